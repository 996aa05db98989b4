//! What requests and answers must look like, compiled.

mod definitions;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::HeaderName;
use serde_json::Value;

use crate::model::problem::join;
use crate::model::route::PathMatch;
use crate::model::validation::{
    self as model, Operation as OperationRule, Parameter as ParameterRule, ParameterEncoding, ParameterPlace,
    Validation,
};
use crate::model::{InboundIntegration, Problem};
use crate::route::{MethodSet, PathPattern};
use crate::validation::{
    Body, Content, Contents, Form, Kinds, Media, Operation, Parameter, Place, Range, Statuses, Validator, form_fields,
    items_of,
};
use definitions::Schemas;

/// Compiles what the integration says of its requests and answers.
pub(super) fn of(
    source: &InboundIntegration,
    shared: &[String],
    problems: &mut Vec<Problem>,
) -> Option<Box<Validator>> {
    let validation = source.validation.as_ref()?;
    compile(validation, shared, problems).map(Box::new)
}

/// Compiles `validation`, whose problems have paths below `validation`. `shared` are the parameters that every path of
/// the integration has.
pub(crate) fn compile(validation: &Validation, shared: &[String], problems: &mut Vec<Problem>) -> Option<Validator> {
    let before = problems.len();
    let count = validation.operations.len();
    if !(1..=MOST_OPERATIONS).contains(&count) {
        let message = format!("holds {count} operations; 1 to {MOST_OPERATIONS} are allowed");
        problems.push(Problem::new("validation.operations", message));
        return None;
    }
    let mut schemas = Schemas::new(&validation.definitions, validation.formats, problems);
    let mut operations = Vec::with_capacity(count);
    for (index, rule) in validation.operations.iter().enumerate() {
        let path = format!("validation.operations[{index}]");
        operations.extend(operation(rule, &path, shared, &mut schemas, problems));
    }
    check_overlaps(&validation.operations, &operations, problems);
    schemas.check_total(problems);
    (problems.len() == before).then(|| Validator::new(operations, validation.unlisted))
}

fn operation(
    rule: &OperationRule,
    path: &str,
    shared: &[String],
    schemas: &mut Schemas<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Operation> {
    if let Some(name) = &rule.name {
        super::check_title(name, &join(path, "name"), problems);
    }
    let pattern = match rule.path.as_ref().map(PathPattern::parse).transpose() {
        Ok(pattern) => pattern,
        Err(message) => {
            problems.push(Problem::new(join(path, "path"), message));
            return None;
        }
    };
    let in_path = pattern.as_ref().map_or(shared, |pattern| &pattern.parameters);
    check_count(
        rule.parameters.len(),
        MOST_PARAMETERS,
        &join(path, "parameters"),
        problems,
    );
    let mut parameters = Vec::with_capacity(rule.parameters.len());
    let mut seen = BTreeSet::new();
    for (index, parameter) in rule.parameters.iter().take(MOST_PARAMETERS).enumerate() {
        let path = format!("{path}.parameters[{index}]");
        if !seen.insert((parameter.place as u8, parameter.name.to_ascii_lowercase())) {
            problems.push(Problem::new(
                join(&path, "name"),
                format!("{:?} is there twice", parameter.name),
            ));
        }
        parameters.extend(one_parameter(parameter, &path, in_path, schemas, problems));
    }
    let body = rule.request_body.as_ref().and_then(|body| {
        let path = join(path, "requestBody");
        let contents = contents(&body.content, &path, schemas, problems);
        if body.content.is_empty() {
            problems.push(Problem::new(join(&path, "content"), "must name a content type"));
        }
        Some(Body {
            required: body.required,
            contents: contents?,
        })
    });
    Some(Operation {
        name: rule.name.clone(),
        pattern,
        methods: MethodSet::exactly(&rule.methods),
        parameters,
        unlisted_query: rule.unlisted_query,
        body,
        answers: answers(rule, path, schemas, problems),
    })
}

fn one_parameter(
    rule: &ParameterRule,
    path: &str,
    in_path: &[String],
    schemas: &mut Schemas<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Parameter> {
    let place = place(rule, in_path)
        .map_err(|message| problems.push(Problem::new(join(path, "name"), message)))
        .ok();
    let at = join(path, "schema");
    let compiled = schemas.compile(&rule.schema, &at, problems);
    let (schema, whole) = compiled?;
    let form = form(rule, &whole)
        .map_err(|(field, message)| problems.push(Problem::new(join(path, field), message)))
        .ok();
    Some(Parameter {
        place: place?,
        required: rule.required || rule.place == ParameterPlace::Path,
        schema,
        form: form?,
    })
}

fn place(rule: &ParameterRule, in_path: &[String]) -> Result<Place, String> {
    let name = &rule.name;
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err("must be 1 to 200 bytes long, without control characters".to_owned());
    }
    match rule.place {
        ParameterPlace::Path if in_path.contains(name) => Ok(Place::Path(name.clone())),
        ParameterPlace::Path => Err(format!("{{{name}}} is not a parameter of the path")),
        ParameterPlace::Query => Ok(Place::Query(name.clone())),
        ParameterPlace::Cookie => Ok(Place::Cookie(name.clone())),
        ParameterPlace::Header => match HeaderName::try_from(name) {
            Ok(name) => Ok(Place::Header(name)),
            Err(_) => Err(format!("{name:?} is not the name of a header field")),
        },
    }
}

/// How the parameter's text is read; else the field that is wrong, and why.
fn form(rule: &ParameterRule, schema: &Value) -> Result<Form, (&'static str, String)> {
    let kinds = Kinds::of(schema, schema);
    let wrong = |field, message: &str| Err((field, message.to_owned()));
    if kinds.is_empty() && NUMERIC.iter().any(|keyword| schema.get(keyword).is_some()) {
        return wrong(
            "schema",
            "limits a number without `type`, and a parameter is a text until then",
        );
    }
    match rule.encoding {
        Some(ParameterEncoding::Json) => Ok(Form::Json),
        Some(ParameterEncoding::Repeated) if rule.place != ParameterPlace::Query => {
            wrong("encoding", "repeated is possible in the query only; use comma")
        }
        Some(_) if !kinds.list => wrong("encoding", "needs a schema with `type: array`"),
        None if kinds.object => wrong(
            "schema",
            "is that of an object, which a parameter can only be with `encoding: json`",
        ),
        None if !kinds.list => Ok(Form::One(kinds)),
        encoding => {
            let default = match rule.place {
                ParameterPlace::Query => ParameterEncoding::Repeated,
                ParameterPlace::Path | ParameterPlace::Header | ParameterPlace::Cookie => ParameterEncoding::Comma,
            };
            Ok(Form::List(encoding.unwrap_or(default), items_of(schema, schema)))
        }
    }
}

fn contents(
    rules: &[model::Content],
    path: &str,
    schemas: &mut Schemas<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Contents> {
    check_count(rules.len(), MOST_CONTENTS, &join(path, "content"), problems);
    let before = problems.len();
    let mut compiled: Vec<Content> = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().take(MOST_CONTENTS).enumerate() {
        let path = format!("{path}.content[{index}]");
        let at = join(&path, "contentType");
        let Some(range) = Range::parse(&rule.content_type.to_ascii_lowercase()) else {
            let message = format!(
                "{:?} must be a content type without parameters, such as application/json, image/* or */*",
                rule.content_type
            );
            problems.push(Problem::new(at, message));
            continue;
        };
        if compiled.iter().any(|other| other.range == range) {
            problems.push(Problem::new(at, format!("{range} is there twice")));
        }
        let media = rule
            .schema
            .as_ref()
            .and_then(|schema| media(&range, schema, &path, schemas, problems));
        compiled.push(Content { range, media });
    }
    (problems.len() == before).then(|| Contents::new(compiled))
}

fn media(
    range: &Range,
    schema: &Value,
    path: &str,
    schemas: &mut Schemas<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(Media, Arc<crate::schema::Schema>)> {
    let at = join(path, "schema");
    let (schema, whole) = schemas.compile(schema, &at, problems)?;
    if range.is_json() {
        return Some((Media::Json, schema));
    }
    if range.is_form() {
        return Some((Media::Form(form_fields(&whole)), schema));
    }
    let message = format!("{range} is neither JSON nor a form, and only those are checked by a schema; leave it out");
    problems.push(Problem::new(at, message));
    None
}

fn answers(
    rule: &OperationRule,
    path: &str,
    schemas: &mut Schemas<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(Statuses, Contents)> {
    check_count(rule.responses.len(), MOST_RESPONSES, &join(path, "responses"), problems);
    let mut answers: Vec<(Statuses, Contents)> = Vec::with_capacity(rule.responses.len());
    for (index, response) in rule.responses.iter().take(MOST_RESPONSES).enumerate() {
        let path = format!("{path}.responses[{index}]");
        let at = join(&path, "status");
        let Some(statuses) = statuses(&response.status) else {
            let message = format!(
                "{:?} must be a status such as 200, a class such as 2XX, or default",
                response.status
            );
            problems.push(Problem::new(at, message));
            continue;
        };
        if answers.iter().any(|(other, _)| *other == statuses) {
            problems.push(Problem::new(at, format!("{:?} is there twice", response.status)));
        }
        answers.extend(contents(&response.content, &path, schemas, problems).map(|contents| (statuses, contents)));
    }
    answers
}

fn statuses(text: &str) -> Option<Statuses> {
    let digit = |text: &str| text.parse::<u16>().ok().filter(|digit| (1..=5).contains(digit));
    match text {
        "default" => Some(Statuses::Any),
        _ if text.len() != 3 => None,
        _ => match text.strip_suffix("XX").or_else(|| text.strip_suffix("xx")) {
            Some(class) => digit(class).map(Statuses::Class),
            None => {
                let status = text.parse().ok()?;
                (100..600).contains(&status).then_some(Statuses::One(status))
            }
        },
    }
}

/// Of two operations with the same path and method, the second would never be asked.
fn check_overlaps(rules: &[OperationRule], operations: &[Operation], problems: &mut Vec<Problem>) {
    if rules.len() != operations.len() {
        return;
    }
    let mut seen: ahash::AHashMap<String, Vec<(usize, MethodSet)>> = ahash::AHashMap::new();
    for (index, (rule, operation)) in rules.iter().zip(operations).enumerate() {
        let key = rule.path.as_ref().map_or_else(String::new, place_of);
        let others = seen.entry(key).or_default();
        let twin = others.iter().find(|(_, methods)| methods.overlaps(operation.methods));
        if let Some((other, _)) = twin {
            let message = format!("has the path and a method of validation.operations[{other}], which is found first");
            problems.push(Problem::new(format!("validation.operations[{index}]"), message));
        }
        others.push((index, operation.methods));
    }
}

/// The same text for rules that stand at the same place, whatever their parameters are called.
fn place_of(rule: &PathMatch) -> String {
    let (kind, text) = match rule {
        PathMatch::Exact(text) => ("", text),
        PathMatch::Template(text) => ("", text),
        PathMatch::Prefix(text) => ("prefix ", text),
    };
    let is_template = matches!(rule, PathMatch::Template(_));
    let segments = text.split('/').map(|segment| {
        if is_template && segment.starts_with('{') {
            "{}"
        } else {
            segment
        }
    });
    format!("{kind}{}", segments.collect::<Vec<_>>().join("/"))
}

fn check_count(count: usize, most: usize, path: &str, problems: &mut Vec<Problem>) {
    if count > most {
        let message = format!("holds {count} entries; at most {most} are allowed");
        problems.push(Problem::new(path, message));
    }
}

const MOST_OPERATIONS: usize = 1_000;
const MOST_PARAMETERS: usize = 200;
const MOST_CONTENTS: usize = 20;
const MOST_RESPONSES: usize = 50;
/// Keywords that say something of numbers only.
const NUMERIC: [&str; 5] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];
