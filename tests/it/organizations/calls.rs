//! How each operation of the API is called, and whose it is. A new route needs a line here.

mod access;
mod objects;
mod operated;
mod revisions;

use std::fmt;

use harness::process::next_number;
use serde_json::{Value, json};

use super::sides::{NEWCOMER, Side};

/// Whose operation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// It is about what one organization has: for that one's keys.
    Own,
    /// It is about the installation: for keys for all organizations.
    Installation,
    /// Everybody may ask who is known, and learns nothing of organizations.
    Everybody,
    /// It is about the session of somebody who signed in.
    Session,
    /// Whoever is not known yet may ask.
    Open,
}

/// Makes the body that a side sends.
type MakeBody = Box<dyn Fn(&Side) -> Value>;

/// An operation, and how to call it.
pub(crate) struct Call {
    /// As the document has it: `GET /api/v1/logs/{id}`.
    pub(crate) operation: &'static str,
    pub(super) right: Right,
    /// The object that the path names.
    about: Option<&'static str>,
    /// What the path names within it.
    within: &'static str,
    /// True where each organization has names of its own, so that a foreign name may be an own one, too.
    own_names: bool,
    /// True where an answer has nothing in it that is anybody's.
    blank: bool,
    /// True where what its path names is over: whoever may is told so.
    pub(super) over: bool,
    query: Option<fn(&Side) -> String>,
    body: Option<MakeBody>,
    /// A file in the place of a body.
    file: Option<&'static str>,
}

/// One request.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    path: String,
    query: String,
    pub(super) body: Option<Value>,
    /// Rows as CSV.
    pub(super) file: Option<&'static str>,
}

impl Call {
    /// An operation of an organization, which `?orgId=` names.
    fn own(operation: &'static str) -> Self {
        Self {
            operation,
            right: Right::Own,
            about: None,
            query: Some(|side| format!("orgId={}", side.org)),
            within: "",
            own_names: false,
            blank: false,
            over: false,
            body: None,
            file: None,
        }
    }

    /// An operation of the installation.
    fn installation(operation: &'static str) -> Self {
        Self {
            right: Right::Installation,
            query: None,
            ..Self::own(operation)
        }
    }

    /// An operation of everybody who is known.
    fn everybody(operation: &'static str) -> Self {
        Self {
            right: Right::Everybody,
            ..Self::installation(operation)
        }
    }

    /// An operation on one's own session.
    fn session(operation: &'static str) -> Self {
        Self {
            right: Right::Session,
            ..Self::installation(operation)
        }
    }

    /// An operation that comes before any other.
    fn open(operation: &'static str) -> Self {
        Self {
            right: Right::Open,
            ..Self::installation(operation)
        }
    }

    /// Its path names the object `noun` of a side.
    fn of(self, noun: &'static str) -> Self {
        Self {
            about: Some(noun),
            ..self
        }
    }

    /// Its path names `within` in that object.
    fn within(self, within: &'static str) -> Self {
        Self { within, ..self }
    }

    /// Its path names something that each organization may have.
    fn own_names(self) -> Self {
        Self {
            own_names: true,
            ..self
        }
    }

    /// Its answer tells of nobody.
    fn blank(self) -> Self {
        Self { blank: true, ..self }
    }

    /// What its path names is over.
    fn over(self) -> Self {
        Self { over: true, ..self }
    }

    /// It has this query.
    fn query(self, query: fn(&Side) -> String) -> Self {
        Self {
            query: Some(query),
            ..self
        }
    }

    /// It has these rows.
    fn file(self, rows: &'static str) -> Self {
        Self {
            file: Some(rows),
            ..self
        }
    }

    /// It has no query.
    fn bare(self) -> Self {
        Self { query: None, ..self }
    }

    /// It has this body.
    fn body(self, body: impl Fn(&Side) -> Value + 'static) -> Self {
        Self {
            body: Some(Box::new(body)),
            ..self
        }
    }

    /// The request that `side` makes about what it has.
    pub(super) fn ask(&self, side: &Side) -> Ask {
        let (method, path) = self.operation.split_once(' ').unwrap();
        let path = match (path.split_once('{'), self.about) {
            (None, None) => path.to_owned(),
            (Some((before, rest)), Some(noun)) => {
                let (_, after) = rest.split_once('}').unwrap();
                let after = after.split_once('{').map_or_else(
                    || after.to_owned(),
                    |(slash, rest)| {
                        let (_, end) = rest.split_once('}').unwrap();
                        format!("{slash}{}{end}", self.within)
                    },
                );
                format!("{before}{}{after}", side.id(noun))
            }
            _ => panic!("{}: say what its path is about", self.operation),
        };
        Ask {
            method,
            path,
            query: self.query.map(|query| query(side)).unwrap_or_default(),
            body: self.body.as_ref().map(|body| body(side)),
            file: self.file,
        }
    }

    /// The object that its path names.
    pub(crate) fn about(&self) -> Option<&'static str> {
        self.about
    }

    /// The parameter of its path.
    pub(crate) fn parameter(&self) -> Option<&'static str> {
        let (_, rest) = self.operation.split_once('{')?;
        Some(rest.split_once('}')?.0)
    }

    /// True if it only reads.
    pub(super) fn is_read(&self) -> bool {
        self.operation.starts_with("GET ")
    }

    /// True if its path names an object of an organization.
    pub(super) fn names_an_object(&self) -> bool {
        self.about.is_some() && !self.own_names
    }

    /// True if its answer shows whose it is.
    pub(super) fn tells(&self) -> bool {
        self.is_read() && !self.blank
    }
}

impl Ask {
    pub(super) fn new(method: &'static str, path: &str, body: Value) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            body: Some(body).filter(|body| !body.is_null()),
            file: None,
        }
    }

    /// Path and query.
    pub(super) fn address(&self) -> String {
        match self.query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }

    /// Ways in which a stranger may try to pass it off as a request about what is its own.
    pub(super) fn twisted(&self, owner: &Side, stranger: &Side) -> Vec<Self> {
        let (from, to) = (owner.org.to_string(), stranger.org.to_string());
        let mut twisted = Vec::new();
        if !self.query.is_empty() {
            let rest = self.query.split('&').filter(|pair| !pair.starts_with("orgId="));
            twisted.push(Self {
                query: rest.collect::<Vec<_>>().join("&"),
                ..self.clone()
            });
        }
        let mut own = Self {
            query: self.query.replace(&format!("orgId={from}"), &format!("orgId={to}")),
            ..self.clone()
        };
        twisted.push(own.clone());
        if let Some(body) = &mut own.body {
            rename(body, owner.org, stranger.org);
            twisted.push(own);
        }
        twisted
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.address())?;
        match &self.body {
            Some(body) => write!(f, " {body}"),
            None => Ok(()),
        }
    }
}

/// Every `orgId` that is `from` becomes `to`.
fn rename(value: &mut Value, from: u64, to: u64) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "orgId" && *value == from {
                    *value = json!(to);
                } else {
                    rename(value, from, to);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, from, to)),
        _ => {}
    }
}

/// All of them: what reads before what changes, what deletes last.
pub(crate) fn all() -> Vec<Call> {
    let mut calls = configured();
    calls.extend(operated::tried());
    calls.extend(operated::told());
    calls.extend(installation());
    calls.extend(access::all());
    calls.extend(objects::all());
    calls.extend(revisions::all());
    calls.sort_by_key(|call| match call.operation.split(' ').next() {
        Some("GET") => 0,
        // What is a part of something goes before it.
        Some("DELETE") if call.operation.matches('{').count() > 1 => 2,
        Some("DELETE") => 3,
        _ => 1,
    });
    calls
}

/// What is configured.
#[expect(clippy::too_many_lines, reason = "a list, a line or a few for each operation")]
fn configured() -> Vec<Call> {
    let mut calls = Vec::new();
    // Without `id`, as one is made; the name is another than that of the one that is there.
    let fresh = |noun: &'static str| {
        move |side: &Side| {
            let mut body = side.object(noun);
            let fields = body.as_object_mut().unwrap();
            fields.remove("id");
            let (field, value) = match noun {
                "labs" => ("type", json!("another")),
                "event" => ("eventType", json!("another.event")),
                // Another at each call, as whoever asks first gets it.
                "unit" => ("rid", json!(side.rid() * 1_000 + u64::from(next_number()))),
                _ => ("name", json!("another")),
            };
            fields.insert(field.to_owned(), value);
            fields.remove("hosts");
            body
        }
    };
    let switched = |_: &Side| json!({"isActive": true});
    let renamed = |side: &Side| json!({"name": side.marked("renamed")});
    let table = |side: &Side| json!({"entries": {"b": side.marked("entry")}});
    macro_rules! kind {
        ($path:literal, $noun:literal, $patch:expr, $id:literal) => {
            calls.extend([
                Call::own(concat!("GET /api/v1/", $path)),
                Call::own(concat!("POST /api/v1/", $path)).body(fresh($noun)),
                Call::own(concat!("GET /api/v1/", $path, "/{id}")).of($noun),
                Call::own(concat!("PUT /api/v1/", $path, "/{id}"))
                    .of($noun)
                    .body(|side| side.object($noun)),
                Call::own(concat!("PATCH /api/v1/", $path, "/{id}"))
                    .of($noun)
                    .body($patch),
                Call::own(concat!("DELETE /api/v1/", $path, "/{id}")).of($noun),
            ]);
        };
        ($path:literal, $noun:literal, $patch:expr) => {
            kind!($path, $noun, $patch, "id");
            calls.push(Call::own(concat!("POST /api/v1/", $path, "/validate")).body(|side| side.object($noun)));
        };
    }
    kind!("inbound-integrations", "labs", switched);
    kind!("outbound-integrations", "hook", switched);
    kind!("event-types", "event", renamed);
    kind!("certificates", "certificate", switched);
    kind!("lookups", "table", table);
    kind!("consumers", "app", switched);
    kind!("admin/org-units", "unit", renamed, "rid");
    calls.extend([
        Call::own("GET /api/v1/producer-keys"),
        Call::own("POST /api/v1/producer-keys").body(|side| json!({"orgId": side.org, "name": "another"})),
        Call::own("GET /api/v1/producer-keys/{id}").of("producer"),
        Call::own("PATCH /api/v1/producer-keys/{id}")
            .of("producer")
            .body(switched),
        Call::own("DELETE /api/v1/producer-keys/{id}").of("producer"),
        Call::own("GET /api/v1/export"),
        Call::own("POST /api/v1/apply")
            .bare()
            .body(|side| json!({"put": [{"kind": "integration", "value": side.object("labs")}]})),
    ]);
    calls
}

/// What is the installation's.
fn installation() -> Vec<Call> {
    let organization = |side: &Side| side.organization();
    vec![
        Call::own("GET /api/v1/admin/organizations"),
        Call::own("GET /api/v1/admin/organizations/{id}")
            .of("organization")
            .bare(),
        Call::installation("POST /api/v1/admin/organizations").body(|_| json!({"orgId": NEWCOMER, "name": "new"})),
        Call::installation("PUT /api/v1/admin/organizations/{id}")
            .of("organization")
            .body(organization),
        Call::installation("PATCH /api/v1/admin/organizations/{id}")
            .of("organization")
            .body(|side| json!({"name": side.marked("clinic")})),
        Call::installation("DELETE /api/v1/admin/organizations/{id}").of("newcomer"),
        Call::installation("GET /api/v1/gateways"),
        // It is connected.
        Call::installation("DELETE /api/v1/gateways/{id}").of("gateway").over(),
    ]
}
