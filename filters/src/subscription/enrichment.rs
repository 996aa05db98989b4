//! Calls before an attempt that fetch fresh data, compiled.

use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use thiserror::Error;

use crate::condition::single_field;
use crate::model::outbound::step::EnrichmentEncoding;
use crate::outgoing::{SignIn, TlsPlan};
use crate::target::TargetUrl;
use crate::transform::path::{Step, resolve};

/// A call before each attempt.
#[derive(Debug)]
pub struct EnrichmentPlan {
    /// Its name.
    pub name: Box<str>,
    /// Scheme, host and port of its address, which do not depend on the payload; the path is that of an example.
    pub target: TargetUrl,
    pub(crate) address: AddressTemplate,
    /// Method.
    pub method: Method,
    /// What signs the gateway in.
    pub sign_in: SignIn,
    /// TLS with whom it calls, where the usual is not enough.
    pub tls: Option<Arc<TlsPlan>>,
    /// What the answer is taken as.
    pub encoding: EnrichmentEncoding,
    /// Names that lead to the field of the payload that it is put into; `None` if it takes the place of the payload.
    pub target_field: Option<Vec<Box<str>>>,
    /// The most bytes of the answer.
    pub max_bytes: u64,
}

/// Why an address cannot be made for a payload.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnrichmentFault {
    /// A field is not there.
    #[error("the payload has no `{0}`, which the address of the enrichment needs")]
    Missing(String),
    /// A field is a list, an object or an empty text.
    #[error("`{0}` must be a text, a number, true or false to stand in the address of the enrichment, and not empty")]
    NotPlain(String),
    /// The address would be another one than was configured.
    #[error("the payload's values make an address that leads elsewhere, as `..` does")]
    Elsewhere,
}

impl EnrichmentPlan {
    /// The address for `payload`.
    ///
    /// # Errors
    /// [`EnrichmentFault`] if a field is missing or cannot stand in an address.
    pub fn url(&self, payload: &Value) -> Result<TargetUrl, EnrichmentFault> {
        self.address.fill(|field, steps| match resolve(payload, steps) {
            None | Some(Value::Null) => Err(EnrichmentFault::Missing(field.to_owned())),
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::Bool(truth)) => Ok(truth.to_string()),
            Some(Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                Err(EnrichmentFault::NotPlain(field.to_owned()))
            }
        })
    }
}

/// An address with fields of the payload in braces.
#[derive(Debug)]
pub(crate) struct AddressTemplate {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Field { text: Box<str>, steps: Box<[Step]> },
}

impl AddressTemplate {
    /// Reads an address, and what it is for an example payload.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn parse(text: &str) -> Result<(Self, TargetUrl), String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (field, behind) = after
                .split_once('}')
                .ok_or("has a { that is not closed; write fields of the payload as {bill.id}")?;
            let steps = single_field(field).map_err(|message| format!("has {{{field}}} in it: {message}"))?;
            parts.push(Part::Text(before.into()));
            parts.push(Part::Field {
                text: field.into(),
                steps,
            });
            rest = behind;
        }
        parts.push(Part::Text(rest.into()));
        let template = Self { parts };
        if rest.contains('}') || template.texts().any(|text| text.contains('}')) {
            return Err("has a } without a { before it".to_owned());
        }
        template.check_origin()?;
        let example = template.write(|_, _| Ok::<_, EnrichmentFault>("x".to_owned()));
        let example = example.map_err(|fault| fault.to_string())?;
        let target = TargetUrl::parse(&example).map_err(|error| error.to_string())?;
        if !is_literal(&example, &target) {
            let path = target.path();
            return Err(format!(
                "has a path that would be repaired (to {path} with x for each field); write it percent-encoded and \
                 without dot segments"
            ));
        }
        Ok((template, target))
    }

    /// The fields come behind scheme and host: a payload never decides who is called.
    fn check_origin(&self) -> Result<(), String> {
        let Some(Part::Text(first)) = self.parts.first() else {
            return Ok(());
        };
        let has_path = first
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains(['/', '?']));
        if self.parts.len() > 1 && !has_path {
            return Err("has a field in scheme or host; fields may stand in path and query only".to_owned());
        }
        Ok(())
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(&**text),
            Part::Field { .. } => None,
        })
    }

    fn fill(
        &self,
        value: impl FnMut(&str, &[Step]) -> Result<String, EnrichmentFault>,
    ) -> Result<TargetUrl, EnrichmentFault> {
        let written = self.write(value)?;
        let target = TargetUrl::parse(&written).map_err(|_| EnrichmentFault::Elsewhere)?;
        if is_literal(&written, &target) {
            Ok(target)
        } else {
            Err(EnrichmentFault::Elsewhere)
        }
    }

    fn write<E>(&self, mut value: impl FnMut(&str, &[Step]) -> Result<String, E>) -> Result<String, E> {
        let mut written = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => written.push_str(text),
                Part::Field { text, steps } => {
                    let value = value(text, steps)?;
                    // Writing to a String cannot fail.
                    let _ = write!(written, "{}", utf8_percent_encode(&value, ENCODED));
                }
            }
        }
        Ok(written)
    }
}

/// True if `target` has the path that is written in `text`. Dot segments are taken out when an address is read, so that one
/// from a payload would climb up the path.
fn is_literal(text: &str, target: &TargetUrl) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
    let path = path.split('?').next().unwrap_or_default();
    path == target.path() || (path.is_empty() && target.path() == "/")
}

/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, payload: &Value) -> Result<String, EnrichmentFault> {
        let (address, target) = AddressTemplate::parse(template).unwrap();
        let plan = EnrichmentPlan {
            name: "bill".into(),
            target,
            address,
            method: Method::GET,
            sign_in: SignIn::default(),
            tls: None,
            encoding: EnrichmentEncoding::Json,
            target_field: None,
            max_bytes: 1,
        };
        plan.url(payload)
            .map(|url| format!("{url}?{}", url.query().unwrap_or_default()))
    }

    #[test]
    fn fields_are_put_in_percent_encoded() {
        let payload = json!({"bill": {"id": "A/7 ü", "lines": [{"no": 3}]}, "final": true});
        assert_eq!(
            filled(
                "https://his.example/b/{bill.id}/{bill.lines[0].no}.pdf?f={final}&n={bill.id}",
                &payload
            )
            .unwrap(),
            "https://his.example/b/A%2F7%20%C3%BC/3.pdf?f=true&n=A%2F7%20%C3%BC"
        );
        assert_eq!(
            filled("https://his.example?id={final}", &payload).unwrap(),
            "https://his.example/?id=true"
        );
    }

    #[test]
    fn a_payload_cannot_lead_elsewhere() {
        let url = "https://his.example/b/{id}/pdf";
        for id in ["..", ".", "%2e%2e"] {
            let filled = filled(url, &json!({ "id": id }));
            if id.starts_with('%') {
                assert_eq!(filled.unwrap(), "https://his.example/b/%252e%252e/pdf?");
            } else {
                assert_eq!(filled, Err(EnrichmentFault::Elsewhere), "{id}");
            }
        }
        assert_eq!(
            filled("https://his.example/b/{id}.", &json!({"id": "."})),
            Err(EnrichmentFault::Elsewhere)
        );
        assert_eq!(
            filled(url, &json!({"id": "evil.example/@#?"})).unwrap(),
            "https://his.example/b/evil.example%2F%40%23%3F/pdf?"
        );
    }

    #[test]
    fn a_field_that_cannot_stand_in_an_address_is_named() {
        let url = "https://his.example/{a.b}";
        for payload in [json!({}), json!({"a": {"b": null}}), json!([])] {
            assert_eq!(
                filled(url, &payload),
                Err(EnrichmentFault::Missing("a.b".to_owned())),
                "{payload}"
            );
        }
        for value in [json!({}), json!([]), json!("")] {
            let payload = json!({"a": {"b": value}});
            assert_eq!(
                filled(url, &payload),
                Err(EnrichmentFault::NotPlain("a.b".to_owned())),
                "{payload}"
            );
        }
    }

    #[test]
    fn bad_addresses_say_what_is_wrong() {
        for (text, fault) in [
            ("https://{host}/x", "scheme or host"),
            ("https://h{x}.example/x", "scheme or host"),
            ("{url}", "scheme or host"),
            ("https://h.example/{a", "not closed"),
            ("https://h.example/a}", "without a {"),
            ("https://h.example/{}", "empty"),
            ("https://h.example/{a[].b}", "one field"),
            ("https://h.example/../{a}", "repaired"),
            ("ftp://h.example/{a}", "http"),
        ] {
            let message = AddressTemplate::parse(text).unwrap_err();
            assert!(message.contains(fault), "{text}: {message}");
        }
    }
}
