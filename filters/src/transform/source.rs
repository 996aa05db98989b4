//! What a line reads: a field of the body, or what is known around it (`$header.X-Name`, `$query.page`).

use std::borrow::Cow;

use http::{HeaderName, header};
use serde_json::Value;

use super::fault::MappingFault;
use super::path::{FieldPath, Step};
use crate::script::ScriptContext;
use crate::variable::Variable;

/// Something around the body that a table asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Header(Box<str>),
    /// A parameter of the query: its first value, or all of them as a list.
    Query {
        name: Box<str>,
        all: bool,
    },
    PathParameter(Box<str>),
    CallerName,
    Claims,
    Status,
    Event(EventPart),
    Variable(Variable),
}

/// A part of an event's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventPart {
    Type,
    OrgId,
    EntityRid,
    /// One of what scripts see as `metadata`.
    Metadata(&'static str),
}

/// Which message a table is for, which decides what there is around the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// A client's request.
    Request,
    /// A partner's answer.
    Response,
    /// The payload of an event.
    Event,
    /// None in particular: everything may be asked for.
    #[default]
    Any,
}

/// Everything around the body that the lines of one table ask for.
#[derive(Debug, Default)]
pub(super) struct References(Vec<Reference>);

/// A field, and where it is found in a run.
#[derive(Debug)]
pub(super) struct FieldRef {
    pub(super) path: FieldPath,
    /// The cursor that the path starts from: 0 is the body, then come the references.
    pub(super) root: usize,
    /// The cursor that the last of its segments below starts from.
    pub(super) slot: usize,
    /// How many of its lists are entered by the target's lists; what is left below is collected into one list.
    pub(super) entered: usize,
}

impl References {
    /// Reads a source: a path into the body, or a name that starts with `$`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn read(&mut self, text: &str, side: Side) -> Result<FieldRef, String> {
        let (root, path) = match text.strip_prefix('$') {
            None => (0, FieldPath::parse(text)?),
            Some(name) => {
                let (reference, rest) = named(name).map_err(|fault| format!("`{text}`: {fault}"))?;
                check_side(&reference, side).map_err(|fault| format!("`{text}`: {fault}"))?;
                (self.slot(reference), FieldPath::below_root(text, rest)?)
            }
        };
        Ok(FieldRef {
            path,
            root,
            slot: root,
            entered: 0,
        })
    }

    /// A variable of a text, as a source.
    pub(super) fn variable(&mut self, name: &str) -> Result<FieldRef, String> {
        let variable = Variable::parse(name).map_err(|fault| fault.to_string())?;
        let root = self.slot(Reference::Variable(variable));
        Ok(FieldRef {
            path: FieldPath::below_root(name, "")?,
            root,
            slot: root,
            entered: 0,
        })
    }

    pub(super) fn has(&self, reference: &Reference) -> bool {
        self.0.contains(reference)
    }

    pub(super) fn header_fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|reference| match reference {
            Reference::Header(name) => Some(&**name),
            _ => None,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many cursors there are outside of any list.
    pub(super) fn roots(&self) -> usize {
        self.0.len() + 1
    }

    /// What `context` has of them, in their order.
    pub(super) fn given<'c>(&self, context: &'c ScriptContext) -> Result<Vec<Option<Cow<'c, Value>>>, MappingFault> {
        self.0.iter().map(|reference| reference.given(context)).collect()
    }

    fn slot(&mut self, reference: Reference) -> usize {
        let known = self.0.iter().position(|other| *other == reference);
        1 + known.unwrap_or_else(|| {
            self.0.push(reference);
            self.0.len() - 1
        })
    }
}

impl FieldRef {
    /// The steps from its cursor to the value, or to the list that is collected.
    pub(super) fn below(&self) -> &[Vec<Step>] {
        self.path.segments().get(self.entered..).unwrap_or_default()
    }
}

impl Reference {
    fn given<'c>(&self, context: &'c ScriptContext) -> Result<Option<Cow<'c, Value>>, MappingFault> {
        let text = |text: &str| Cow::Owned(Value::from(text));
        Ok(match self {
            Self::Header(name) => context.headers.get(&**name).map(|value| text(value)),
            Self::Query { name, all: false } => {
                let first = context.pairs.iter().find(|(other, _)| **other == **name);
                first.map(|(_, value)| text(value))
            }
            Self::Query { name, all: true } => {
                let of_name = context.pairs.iter().filter(|(other, _)| **other == **name);
                let values: Vec<Value> = of_name.map(|(_, value)| Value::from(value.as_str())).collect();
                (!values.is_empty()).then(|| Cow::Owned(Value::from(values)))
            }
            Self::PathParameter(name) => context.params.get(&**name).map(|value| text(value)),
            Self::CallerName => context.caller.name.as_deref().map(text),
            Self::Claims => context.caller.claims.as_deref().map(Cow::Borrowed),
            Self::Status => context.status.map(|status| Cow::Owned(Value::from(status))),
            Self::Event(EventPart::Type) => context.event_type.as_deref().map(text),
            Self::Event(EventPart::OrgId) => Some(Cow::Owned(Value::from(context.org_id))),
            Self::Event(EventPart::EntityRid) => context.entity_rid.map(|rid| Cow::Owned(Value::from(rid))),
            Self::Event(EventPart::Metadata(name)) => context.metadata.get(*name).map(Cow::Borrowed),
            Self::Variable(variable) => Some(Cow::Owned(Value::String(variable.value(&context.known())?))),
        })
    }
}

/// Reads what follows the `$`: the reference, and the path below it.
fn named(name: &str) -> Result<(Reference, &str), String> {
    let split = |text: &'_ str| text.find('[').unwrap_or(text.len());
    let (kind, rest) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
    let below = rest.strip_prefix('.').unwrap_or_default();
    let needs_name = || {
        if below.is_empty() {
            Err(format!("a name is missing, as in `${kind}.name`"))
        } else {
            Ok(below)
        }
    };
    Ok(match kind {
        "header" => (Reference::Header(shown_header(needs_name()?)?.as_str().into()), ""),
        "query" => {
            let (name, rest) = needs_name()?.split_at(split(below));
            let all = !rest.is_empty();
            (Reference::Query { name: name.into(), all }, rest)
        }
        "path" => (Reference::PathParameter(needs_name()?.into()), ""),
        "caller" => match needs_name()? {
            "name" => (Reference::CallerName, ""),
            claims => match claims.strip_prefix("claims") {
                Some(rest) if rest.is_empty() || rest.starts_with(['.', '[']) => (Reference::Claims, rest),
                _ => return Err("of the caller there are `$caller.name` and `$caller.claims`".to_owned()),
            },
        },
        "status" if rest.is_empty() => (Reference::Status, ""),
        "event" => (Reference::Event(event_part(needs_name()?)?), ""),
        _ => {
            return Err(
                "names that start with `$` are `$header.NAME`, `$query.NAME`, `$path.NAME`, `$caller.name`, \
                 `$caller.claims`, `$status` and `$event.NAME`"
                    .to_owned(),
            );
        }
    })
}

fn event_part(name: &str) -> Result<EventPart, String> {
    Ok(match name {
        "type" => EventPart::Type,
        "orgId" => EventPart::OrgId,
        "entityRid" => EventPart::EntityRid,
        "id" => EventPart::Metadata("eventId"),
        "source" => EventPart::Metadata("source"),
        "subject" => EventPart::Metadata("subject"),
        "time" => EventPart::Metadata("time"),
        "correlationId" => EventPart::Metadata("correlationId"),
        "attempt" => EventPart::Metadata("attempt"),
        _ => {
            return Err(
                "of the event there are `type`, `id`, `source`, `subject`, `time`, `orgId`, `entityRid`, `correlationId` \
                 and `attempt`"
                    .to_owned(),
            );
        }
    })
}

/// Fields that carry credentials are shown to no table and no script.
pub(super) fn shown_header(name: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{name}` cannot be the name of a header field"))?;
    let hidden = [
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
    ];
    if hidden.contains(&name) {
        return Err(format!(
            "`{name}` may carry credentials, which mappings do not get to see"
        ));
    }
    Ok(name)
}

fn check_side(reference: &Reference, side: Side) -> Result<(), String> {
    let fits = match reference {
        Reference::Query { .. } => matches!(side, Side::Request | Side::Any),
        Reference::Header(_) | Reference::PathParameter(_) | Reference::CallerName | Reference::Claims => {
            side != Side::Event
        }
        Reference::Status => matches!(side, Side::Response | Side::Any),
        Reference::Event(_) => matches!(side, Side::Event | Side::Any),
        Reference::Variable(_) => true,
    };
    if fits {
        return Ok(());
    }
    Err(match side {
        Side::Request => "a request has `$header`, `$query`, `$path` and `$caller`",
        Side::Response => "an answer has `$header`, `$status`, `$path` and `$caller`",
        Side::Event | Side::Any => "an event has `$event`",
    }
    .to_owned())
}
