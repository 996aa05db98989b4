//! How a client's path and query become the partner's.

use std::fmt::Write as _;

use crate::model::route::PathRewrite;
use crate::path;

/// A rewrite, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The target's path as it stands.
    Target,
    /// The target's path and what follows the matched prefix.
    AppendRest,
    /// The target's path and the client's whole path.
    AppendPath,
    /// A path of its own.
    Template(Vec<Part>),
}

/// A piece of a rewrite template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// The value of a parameter.
    Parameter(String),
}

impl Rewrite {
    /// Checks a rewrite of the model against the parameters that every path rule of the integration has.
    ///
    /// # Errors
    /// What is wrong with it, for a problem.
    pub(crate) fn compile(rewrite: &PathRewrite, parameters: &[String]) -> Result<Self, String> {
        let template = match rewrite {
            PathRewrite::Target => return Ok(Self::Target),
            PathRewrite::AppendRest => return Ok(Self::AppendRest),
            PathRewrite::AppendPath => return Ok(Self::AppendPath),
            PathRewrite::Template(template) => template,
        };
        let mut parts = Vec::new();
        let mut rest = template.as_str();
        while let Some((text, tail)) = rest.split_once('{') {
            let Some((name, after)) = tail.split_once('}') else {
                return Err("holds a { without its }".to_owned());
            };
            if !parameters.iter().any(|parameter| parameter == name) {
                return Err(format!(
                    "{{{name}}} is not a parameter of every path of the integration"
                ));
            }
            parts.push(Part::Text(text.to_owned()));
            parts.push(Part::Parameter(name.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let plain: String = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Parameter(_) => "p",
            })
            .collect();
        path::canonical(&plain).map_err(|refusal| refusal.to_string())?;
        Ok(Self::Template(parts))
    }

    /// The partner's path and query. `base` is the target's path, `client` the canonical path of the client, `matched`
    /// the length that a prefix rule matched.
    pub fn path_and_query<'p>(
        &self,
        base: &str,
        client: &str,
        matched: usize,
        parameter: impl Fn(&str) -> Option<&'p str>,
        queries: [Option<&str>; 3],
    ) -> String {
        let mut to = String::with_capacity(base.len() + client.len() + 16);
        match self {
            Self::Target => to.push_str(base),
            // The root of a host is the target itself, not the target with a slash behind it.
            Self::AppendRest if matched == 0 && client == "/" => to.push_str(base),
            Self::AppendRest => append(&mut to, base, client.get(matched..).unwrap_or_default()),
            Self::AppendPath => append(&mut to, base, client),
            Self::Template(parts) => {
                for part in parts {
                    match part {
                        Part::Text(text) => to.push_str(text),
                        Part::Parameter(name) => to.push_str(parameter(name).unwrap_or_default()),
                    }
                }
            }
        }
        let mut separator = '?';
        for query in queries.into_iter().flatten().filter(|query| !query.is_empty()) {
            let _ = write!(to, "{separator}{query}");
            separator = '&';
        }
        to
    }
}

fn append(to: &mut String, base: &str, rest: &str) {
    if rest.is_empty() {
        to.push_str(base);
    } else {
        to.push_str(base.trim_end_matches('/'));
        if !rest.starts_with('/') {
            to.push('/');
        }
        to.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rewrite: &Rewrite, base: &str, client: &str, matched: usize) -> String {
        rewrite.path_and_query(
            base,
            client,
            matched,
            |name| (name == "id").then_some("7"),
            [None, None, None],
        )
    }

    #[test]
    fn each_kind_makes_its_path() {
        assert_eq!(rewritten(&Rewrite::Target, "/v1/x", "/a/b", 4), "/v1/x");
        assert_eq!(rewritten(&Rewrite::AppendRest, "/v1/", "/a/b", 2), "/v1/b");
        assert_eq!(rewritten(&Rewrite::AppendRest, "/v1", "/a", 2), "/v1");
        assert_eq!(rewritten(&Rewrite::AppendRest, "/", "/a/b/", 0), "/a/b/");
        assert_eq!(rewritten(&Rewrite::AppendRest, "/v1", "/", 0), "/v1");
        assert_eq!(rewritten(&Rewrite::AppendPath, "/v1", "/a/b", 2), "/v1/a/b");
        let template = PathRewrite::Template("/p/{id}/x{id}".to_owned());
        let template = Rewrite::compile(&template, &["id".to_owned()]).unwrap();
        assert_eq!(rewritten(&template, "/v1", "/a/7", 0), "/p/7/x7");
    }

    #[test]
    fn queries_are_joined_and_empty_ones_left_out() {
        let joined = Rewrite::Target.path_and_query("/", "/", 1, |_| None, [Some("a=1"), Some(""), Some("b=2")]);
        assert_eq!(joined, "/?a=1&b=2");
    }

    #[test]
    fn a_template_with_an_unknown_parameter_is_refused() {
        for template in ["/a/{other}", "/a/{id", "a/{id}", "/../{id}"] {
            let rewrite = PathRewrite::Template(template.to_owned());
            assert!(Rewrite::compile(&rewrite, &["id".to_owned()]).is_err(), "{template}");
        }
    }
}
