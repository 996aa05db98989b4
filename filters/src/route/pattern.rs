//! The paths of one integration, checked.

use super::Rank;
use crate::model::route::PathMatch;
use crate::path;

/// A path rule, checked and in canonical form.
#[derive(Clone, Debug)]
pub(crate) struct PathPattern {
    pub(crate) rank: Rank,
    /// Canonical; for a prefix without the slash at its end.
    pub(crate) text: String,
    /// Names of a template's parameters.
    pub(crate) parameters: Vec<String>,
}

impl PathPattern {
    /// The rule that every path matches.
    pub(crate) fn everything() -> Self {
        Self {
            rank: Rank::Prefix,
            text: String::new(),
            parameters: Vec::new(),
        }
    }

    /// Checks a rule of the model.
    ///
    /// # Errors
    /// What is wrong with it, for a problem.
    pub(crate) fn parse(rule: &PathMatch) -> Result<Self, String> {
        let (rank, text) = match rule {
            PathMatch::Exact(text) => (Rank::Exact, text),
            PathMatch::Prefix(text) => (Rank::Prefix, text),
            PathMatch::Template(text) => return Self::parse_template(text),
        };
        if text.contains(['{', '}']) {
            return Err("holds a brace; use `template` for parameters".to_owned());
        }
        let canonical = path::canonical(text).map_err(|refusal| refusal.to_string())?;
        let text = match rank {
            Rank::Prefix => canonical.trim_end_matches('/').to_owned(),
            Rank::Exact | Rank::Template => canonical.into_owned(),
        };
        Ok(Self {
            rank,
            text,
            parameters: Vec::new(),
        })
    }

    fn parse_template(text: &str) -> Result<Self, String> {
        let mut parameters: Vec<String> = Vec::new();
        let mut plain = String::with_capacity(text.len());
        for segment in text.split('/') {
            match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) if is_parameter_name(name) => {
                    if parameters.iter().any(|other| other == name) {
                        return Err(format!("names the parameter {name} twice"));
                    }
                    parameters.push(name.to_owned());
                    plain.push_str("/p");
                }
                Some(name) => return Err(format!("{{{name}}} is not a parameter; use letters, digits and _")),
                None if segment.contains(['{', '}']) => {
                    return Err(format!("{segment:?}: a parameter must be a whole segment"));
                }
                None => {
                    plain.push('/');
                    plain.push_str(segment);
                }
            }
        }
        if parameters.is_empty() {
            return Err("holds no parameter; use `exact`".to_owned());
        }
        if !text.starts_with('/') {
            return Err(path::PathRefusal::NotAbsolute.to_string());
        }
        // Checked with the parameters replaced, as braces are no path characters.
        let plain = &plain[1..];
        match path::canonical(plain).map_err(|refusal| refusal.to_string())? {
            canonical if canonical == plain => {}
            canonical => return Err(format!("must be in canonical form: {canonical}")),
        }
        Ok(Self {
            rank: Rank::Template,
            text: text.to_owned(),
            parameters,
        })
    }

    /// Length that is taken off for `appendRest`; `None` for rules that match whole paths.
    pub(crate) fn prefix_length(&self) -> Option<usize> {
        (self.rank == Rank::Prefix).then_some(self.text.len())
    }

    /// The segments that the rule is made of.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let is_template = self.rank == Rank::Template;
        self.text
            .split('/')
            .skip(1)
            .map(move |segment| match segment.strip_prefix('{') {
                Some(_) if is_template => Segment::Parameter,
                _ => Segment::Literal(segment),
            })
    }
}

/// A segment of a rule.
pub(crate) enum Segment<'r> {
    /// This text.
    Literal(&'r str),
    /// Any text but an empty one.
    Parameter,
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rank {
            Rank::Exact => write!(f, "exact {}", self.text),
            Rank::Template => write!(f, "template {}", self.text),
            Rank::Prefix if self.text.is_empty() => f.write_str("prefix /"),
            Rank::Prefix => write!(f, "prefix {}", self.text),
        }
    }
}

fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
