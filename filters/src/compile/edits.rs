//! Edits of header fields, compiled.

use http::{HeaderName, HeaderValue, header};

use crate::edits::{Edits, HeaderEdits, How, Source, Template, Value, Write};
use crate::model::Problem;
use crate::model::headers as model;

/// Compiles `config`, whose problems have paths below `headers`. `shared` are the parameters that every path of the
/// integration has.
pub(crate) fn headers(
    config: &model::HeaderEdits,
    shared: &[String],
    problems: &mut Vec<Problem>,
) -> Option<HeaderEdits> {
    let before = problems.len();
    let compiled = HeaderEdits {
        request: edits(&config.request, "headers.request", shared, problems),
        response: edits(&config.response, "headers.response", shared, problems),
    };
    (problems.len() == before).then_some(compiled)
}

fn edits(config: &model::Edits, path: &str, shared: &[String], problems: &mut Vec<Problem>) -> Edits {
    let mut compiled = Edits::default();
    check_count(config.remove.len(), &format!("{path}.remove"), problems);
    for (index, name) in config.remove.iter().take(MOST_EDITS).enumerate() {
        let place = format!("{path}.remove[{index}]");
        match name.strip_suffix('*') {
            Some(prefix) if HeaderName::try_from(prefix).is_ok() => {
                compiled.remove_prefixes.push(prefix.to_ascii_lowercase());
            }
            _ => compiled.remove.extend(field_name(name, &place, problems)),
        }
    }
    for (how, kind, list) in [
        (How::Set, "set", &config.set),
        (How::Append, "append", &config.append),
        (How::Default, "default", &config.default),
    ] {
        check_count(list.len(), &format!("{path}.{kind}"), problems);
        for (index, edit) in list.iter().take(MOST_EDITS).enumerate() {
            let place = format!("{path}.{kind}[{index}]");
            let name = field_name(&edit.name, &format!("{place}.name"), problems);
            let value = value(&edit.value, &format!("{place}.value"), shared, problems);
            compiled
                .writes
                .extend(name.zip(value).map(|(name, value)| Write { how, name, value }));
        }
    }
    compiled
}

fn field_name(text: &str, path: &str, problems: &mut Vec<Problem>) -> Option<HeaderName> {
    let message = match HeaderName::try_from(text) {
        Ok(name) if is_of_connection(&name) => {
            format!("{text:?} belongs to the connection and its framing, which the gateway sees to")
        }
        // A star stands for a family of names, and alone for none.
        Ok(name) if !text.contains('*') => return Some(name),
        _ => format!("{text:?} is not the name of a header field"),
    };
    problems.push(Problem::new(path, message));
    None
}

/// Fields that an edit would break the message with.
fn is_of_connection(name: &HeaderName) -> bool {
    let own = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        header::PROXY_AUTHORIZATION,
        header::PROXY_AUTHENTICATE,
    ];
    own.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

fn value(text: &str, path: &str, shared: &[String], problems: &mut Vec<Problem>) -> Option<Value> {
    let message = if text.len() > LONGEST_VALUE {
        format!("is {} bytes long; at most {LONGEST_VALUE} are allowed", text.len())
    } else {
        match read(text, shared) {
            Ok(value) => return Some(value),
            Err(message) => message,
        }
    };
    problems.push(Problem::new(path, message));
    None
}

fn read(text: &str, shared: &[String]) -> Result<Value, String> {
    let template = Template::parse(text)?;
    for source in template.sources() {
        check_source(source, shared)?;
    }
    // The text around the places has to be fit for a field as well.
    let sample = template.fill_with(|_| Some("x".into())).unwrap_or_default();
    HeaderValue::from_str(&sample).map_err(|_| "must not hold control characters".to_owned())?;
    match template.fixed() {
        Some(fixed) => HeaderValue::from_str(fixed)
            .map(Value::Fixed)
            .map_err(|_| "must not hold control characters".to_owned()),
        None => Ok(Value::Template(template)),
    }
}

/// Refuses a place whose value no request has.
pub(super) fn check_source(source: &Source, shared: &[String]) -> Result<(), String> {
    match source {
        Source::Path(name) if !shared.contains(name) => Err(format!(
            "{{{{path.{name}}}}} is not a parameter of every path of the integration"
        )),
        source if source.is_of_answer() => Err("speaks of an answer, which only error pages can".to_owned()),
        _ => Ok(()),
    }
}

fn check_count(count: usize, path: &str, problems: &mut Vec<Problem>) {
    if count > MOST_EDITS {
        let message = format!("holds {count} entries; at most {MOST_EDITS} are allowed");
        problems.push(Problem::new(path, message));
    }
}

const MOST_EDITS: usize = 100;
const LONGEST_VALUE: usize = 4_096;
