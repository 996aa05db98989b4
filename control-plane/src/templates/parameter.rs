//! What has to be said to make something of a template.

use filters::model::Problem;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// A parameter of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TemplateParameter")]
pub(crate) struct Parameter {
    /// Its name: a letter, then letters, digits or underscores.
    pub(crate) name: String,
    /// What it is called for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) label: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    /// What its value is.
    #[serde(rename = "type")]
    pub(crate) kind: ParameterType,
    /// False where it may be left out: without a `default` the field that it stands for is left out then.
    #[serde(default = "yes")]
    pub(crate) required: bool,
    /// Its value where none is given; not for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Value>,
    /// A value that it could have, to try the template with. Must be given beside `pattern`, unless there is a `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<Value>,
    /// The only values that it may have; any if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allowed: Vec<Value>,
    /// Regular expression that a whole text must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<String>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) minimum: Option<f64>,
    /// The largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maximum: Option<f64>,
}

/// What the value of a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ParameterType {
    /// A text that is not empty.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// An address, `http` or `https`.
    Url,
    /// A text that is shown nowhere, and only kept in what is made.
    Secret,
}

impl Parameter {
    /// Adds everything that is wrong with it.
    pub(super) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let mut refuse = |field: &str, message: String| problems.push(Problem::new(format!("{path}.{field}"), message));
        let is_name = self.name.len() <= LONGEST_NAME
            && self.name.starts_with(|first: char| first.is_ascii_alphabetic())
            && self
                .name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            refuse(
                "name",
                "must be a letter, then letters, digits or underscores".to_owned(),
            );
        }
        let is_text = matches!(
            self.kind,
            ParameterType::Text | ParameterType::Url | ParameterType::Secret
        );
        let is_number = matches!(self.kind, ParameterType::Number | ParameterType::Integer);
        match &self.pattern {
            Some(_) if !is_text => refuse("pattern", "is for texts only".to_owned()),
            Some(pattern) => {
                if let Err(error) = compiled(pattern) {
                    refuse("pattern", format!("is no regular expression: {error}"));
                    return;
                }
                if self.example.is_none() && self.default.is_none() {
                    refuse("example", "must be given beside `pattern`".to_owned());
                }
            }
            None => {}
        }
        for (field, bound) in [("minimum", self.minimum), ("maximum", self.maximum)] {
            if bound.is_some() && !is_number {
                refuse(field, "is for numbers only".to_owned());
            }
        }
        if self.allowed.len() > MOST_ALLOWED {
            refuse("allowed", format!("has more than {MOST_ALLOWED} values"));
        }
        if self.kind == ParameterType::Secret && (self.default.is_some() || self.example.is_some()) {
            let field = if self.default.is_some() { "default" } else { "example" };
            refuse(field, "would be a secret in the template; leave it out".to_owned());
        }
        let given = [("default", &self.default), ("example", &self.example)];
        for (field, value) in given {
            if let Some(Err(message)) = value.as_ref().map(|value| self.accepts(value)) {
                refuse(field, message);
            }
        }
    }

    /// Its value, if that is right; `None` where it is left out and may be.
    pub(super) fn value(&self, given: Option<&Value>) -> Result<Option<Value>, String> {
        match given.filter(|given| !given.is_null()).or(self.default.as_ref()) {
            Some(value) => self.accepts(value).map(|()| Some(value.clone())),
            None if self.required => Err(format!("must be given{}", self.meaning())),
            None => Ok(None),
        }
    }

    /// A value to try the template with.
    pub(super) fn sample(&self) -> Option<Value> {
        let known = self
            .default
            .as_ref()
            .or(self.example.as_ref())
            .or_else(|| self.allowed.first());
        Some(known.cloned().unwrap_or_else(|| match self.kind {
            ParameterType::Text | ParameterType::Secret => "example".into(),
            ParameterType::Url => "https://partner.example/".into(),
            ParameterType::Boolean => true.into(),
            ParameterType::Number => self.minimum.or(self.maximum).unwrap_or(1.0).into(),
            ParameterType::Integer => whole(self.minimum.map(f64::ceil).or(self.maximum).unwrap_or(1.0)).into(),
        }))
    }

    fn accepts(&self, value: &Value) -> Result<(), String> {
        let fits = match self.kind {
            ParameterType::Text | ParameterType::Secret => value.as_str().is_some_and(|text| !text.is_empty()),
            ParameterType::Url => value.as_str().is_some_and(is_address),
            ParameterType::Boolean => value.is_boolean(),
            ParameterType::Number => value.is_number(),
            ParameterType::Integer => value.is_i64() || value.is_u64(),
        };
        if !fits {
            return Err(format!("must be {}{}", self.kind.wanted(), self.meaning()));
        }
        if let Some(text) = value.as_str() {
            if text.len() > LONGEST_TEXT {
                return Err(format!("is longer than {LONGEST_TEXT} bytes"));
            }
            let pattern = self.pattern.as_deref().map(compiled);
            if let Some(Ok(pattern)) = pattern
                && !pattern.is_match(text)
            {
                return Err(format!(
                    "does not match {:?}",
                    self.pattern.as_deref().unwrap_or_default()
                ));
            }
        }
        if let Some(number) = value.as_f64() {
            if let Some(least) = self.minimum.filter(|least| number < *least) {
                return Err(format!("is less than {least}"));
            }
            if let Some(most) = self.maximum.filter(|most| number > *most) {
                return Err(format!("is more than {most}"));
            }
        }
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            let known: Vec<String> = self.allowed.iter().map(Value::to_string).collect();
            return Err(format!("must be one of {}", known.join(", ")));
        }
        Ok(())
    }

    fn meaning(&self) -> String {
        let text = if self.label.is_empty() {
            &self.description
        } else {
            &self.label
        };
        if text.is_empty() {
            String::new()
        } else {
            format!(" ({text})")
        }
    }
}

impl ParameterType {
    const fn wanted(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "a text that is not empty",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Url => "an address as https://partner.example/path",
        }
    }
}

fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// A pattern for the whole of a text.
fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES)
        .build()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a bound beyond what whole numbers hold becomes the nearest of them"
)]
fn whole(number: f64) -> i64 {
    number as i64
}

fn yes() -> bool {
    true
}

const LONGEST_NAME: usize = 64;
const LONGEST_TEXT: usize = 64 * 1_024;
const MOST_ALLOWED: usize = 200;
/// Memory of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;
