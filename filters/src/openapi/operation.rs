//! Operations of the document: parameters, bodies, answers.

use serde_json::Value;

use super::Reading;
use crate::model::problem::join;
use crate::model::route::{HttpMethod, PathMatch};
use crate::model::validation::{
    Content, Operation, Parameter, ParameterEncoding, ParameterPlace, RequestBody, ResponseRule, Unlisted,
};
use crate::validation::{Kinds, Range};

/// The name of a path's parameter here, where it may hold letters, digits and underscores.
pub(super) fn path_name(name: &str) -> String {
    let allowed = |character: char| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    };
    name.chars().map(allowed).collect()
}

impl<'d> Reading<'d> {
    /// The operation `part` of the path `item`.
    pub(super) fn operation(
        &mut self,
        item: &'d Value,
        part: &'d Value,
        path: &PathMatch,
        method: HttpMethod,
        place: &str,
    ) -> Operation {
        let name = part.get("operationId").or_else(|| part.get("summary"));
        let name = name
            .and_then(Value::as_str)
            .filter(|name| (1..=200).contains(&name.len()));
        let body = part.get("requestBody");
        Operation {
            name: name.map(str::to_owned),
            path: Some(path.clone()),
            methods: vec![method],
            parameters: self.parameters(item, part, place),
            unlisted_query: Unlisted::Pass,
            request_body: body.and_then(|body| self.body(body, &join(place, "requestBody"))),
            responses: if self.wanted.answers {
                self.responses(part, place)
            } else {
                Vec::new()
            },
        }
    }

    /// The parameters of the operation, and those of the path that it does not have itself.
    fn parameters(&mut self, item: &'d Value, part: &'d Value, place: &str) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let path_place = place.rsplit_once('.').map_or(place, |(path, _)| path);
        for (list, place) in [(part, place), (item, path_place)] {
            let list = list.get("parameters").and_then(Value::as_array);
            for (index, parameter) in list.into_iter().flatten().enumerate() {
                let place = format!("{place}.parameters[{index}]");
                let Some(parameter) = self.parameter(parameter, &place) else {
                    continue;
                };
                let same = |other: &Parameter| other.name == parameter.name && other.place == parameter.place;
                if !parameters.iter().any(same) {
                    parameters.push(parameter);
                }
            }
        }
        parameters
    }

    fn parameter(&mut self, part: &'d Value, place: &str) -> Option<Parameter> {
        let part = self.resolved(part, place)?;
        let Some(name) = part.get("name").and_then(Value::as_str) else {
            self.refuse(join(place, "name"), "must be there, as a text");
            return None;
        };
        let stands = match part.get("in").and_then(Value::as_str) {
            Some("path") => ParameterPlace::Path,
            Some("query") => ParameterPlace::Query,
            Some("cookie") => ParameterPlace::Cookie,
            // Told by the document elsewhere (OpenAPI: these header parameters are to be ignored).
            Some("header") if IGNORED.iter().any(|ignored| name.eq_ignore_ascii_case(ignored)) => return None,
            Some("header") => ParameterPlace::Header,
            _ => {
                self.refuse(join(place, "in"), "must be path, query, header or cookie");
                return None;
            }
        };
        let (schema, encoding) = self.parameter_schema(part, stands, place)?;
        Some(Parameter {
            name: match stands {
                ParameterPlace::Path => path_name(name),
                _ => name.to_owned(),
            },
            place: stands,
            required: stands == ParameterPlace::Path || part.get("required") == Some(&Value::Bool(true)),
            schema,
            encoding,
        })
    }

    /// The schema of a parameter and how it is written; `None` where that cannot be checked.
    fn parameter_schema(
        &mut self,
        part: &'d Value,
        stands: ParameterPlace,
        place: &str,
    ) -> Option<(Value, Option<ParameterEncoding>)> {
        if let Some(content) = part.get("content").and_then(Value::as_object) {
            let json = content.iter().find(|(kind, _)| kind.starts_with("application/json"));
            let Some((kind, media)) = json else {
                self.note(join(place, "content"), "is not JSON and will not be checked");
                return None;
            };
            let place = join(&join(place, "content"), kind);
            let schema = media
                .get("schema")
                .map_or(Value::Bool(true), |schema| self.schema(schema, &join(&place, "schema")));
            return Some((schema, Some(ParameterEncoding::Json)));
        }
        let Some(given) = part.get("schema") else {
            return Some((Value::Bool(true), None));
        };
        let kinds = self.kinds(given);
        let style = part.get("style").and_then(Value::as_str);
        if kinds.object || matches!(style, Some("deepObject" | "label" | "matrix")) {
            let message = "is an object, or written in a style that is not read, and will not be checked";
            self.note(place.to_owned(), message);
            return None;
        }
        let schema = self.schema(given, &join(place, "schema"));
        if !kinds.list {
            return Some((schema, None));
        }
        let explode = part.get("explode").and_then(Value::as_bool);
        let encoding = match (stands, style) {
            (ParameterPlace::Query, Some("spaceDelimited")) if explode != Some(true) => ParameterEncoding::Space,
            (ParameterPlace::Query, Some("pipeDelimited")) if explode != Some(true) => ParameterEncoding::Pipe,
            (ParameterPlace::Query, _) if explode != Some(false) => ParameterEncoding::Repeated,
            _ => ParameterEncoding::Comma,
        };
        Some((schema, Some(encoding)))
    }

    fn body(&mut self, part: &'d Value, place: &str) -> Option<RequestBody> {
        let part = self.resolved(part, place)?;
        let content = self.contents(part, place);
        if content.is_empty() {
            self.note(place.to_owned(), "names no content type and will not be checked");
            return None;
        }
        Some(RequestBody {
            required: part.get("required") == Some(&Value::Bool(true)),
            content,
        })
    }

    fn responses(&mut self, part: &'d Value, place: &str) -> Vec<ResponseRule> {
        let place = join(place, "responses");
        let responses = part.get("responses").and_then(Value::as_object);
        let mut rules = Vec::new();
        for (status, response) in responses.into_iter().flatten() {
            if status.starts_with("x-") {
                continue;
            }
            let place = join(&place, status);
            let Some(response) = self.resolved(response, &place) else {
                continue;
            };
            rules.push(ResponseRule {
                status: status.clone(),
                content: self.contents(response, &place),
            });
        }
        rules
    }

    fn contents(&mut self, part: &'d Value, place: &str) -> Vec<Content> {
        let place = join(place, "content");
        let mut contents: Vec<Content> = Vec::new();
        for (kind, media) in part.get("content").and_then(Value::as_object).into_iter().flatten() {
            let place = join(&place, kind);
            let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            if contents.iter().any(|content| content.content_type == essence) {
                self.note(place, "is the same content type as another one, whose schema counts");
                continue;
            }
            let is_readable = Range::parse(&essence).is_some_and(|range| range.is_json() || range.is_form());
            let schema = media.get("schema");
            if schema.is_some() && !is_readable {
                self.note(
                    join(&place, "schema"),
                    "is of neither JSON nor a form and will not be checked",
                );
            }
            let schema = schema.filter(|_| is_readable);
            contents.push(Content {
                content_type: essence,
                schema: schema.map(|schema| self.schema(schema, &join(&place, "schema"))),
            });
        }
        contents
    }

    /// The kinds of values that a schema of the document names.
    fn kinds(&self, schema: &Value) -> Kinds {
        Kinds::of(schema, self.root)
    }
}

/// Header fields that are told of elsewhere in a document.
const IGNORED: [&str; 3] = ["Accept", "Content-Type", "Authorization"];
