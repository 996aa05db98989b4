//! What requests and answers must look like, compiled: the operations of a partner's API, their parameters and bodies.
//!
//! A violation is told with a JSON pointer into the message as a whole: `/query/limit`, `/header/X-Unit`, `/path/id`,
//! `/cookie/session`, `/body/items/0/code`. The messages show nothing of the values.

mod content;
mod json;
mod kinds;
mod parameter;

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Method, header};

use crate::model::Problem;
use crate::model::validation::Unlisted;
use crate::route::{MethodSet, PathPattern, Tree};
pub(crate) use content::{Content, Contents, Media, Range, form_fields, items_of};
pub(crate) use kinds::Kinds;
pub(crate) use parameter::{Form, Parameter, Place};

/// The most violations that are told of one message.
pub const MOST_VIOLATIONS: usize = 100;

/// The operations of an integration.
#[derive(Debug)]
pub struct Validator {
    operations: Vec<Operation>,
    /// Operations with a path of their own, by it.
    by_path: Tree<usize>,
    /// Operations of any path.
    anywhere: Vec<usize>,
    unlisted: Unlisted,
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    pub(crate) name: Option<String>,
    pub(crate) pattern: Option<PathPattern>,
    pub(crate) methods: MethodSet,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) unlisted_query: Unlisted,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<(Statuses, Contents)>,
}

/// What a client's body must look like.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) required: bool,
    pub(crate) contents: Contents,
}

/// Statuses of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Statuses {
    /// This one.
    One(u16),
    /// All with this first digit.
    Class(u16),
    /// All.
    Any,
}

/// What was found for a path and a method.
#[derive(Debug)]
pub enum Found<'p> {
    /// The operation at this index, and the values of its path's parameters in order.
    Operation(usize, Vec<&'p str>),
    /// None, and the request goes on unchecked.
    Unchecked,
    /// None has this path.
    NoPath,
    /// Those with this path have other methods.
    NoMethod(MethodSet),
}

/// The head of a request, as far as it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    /// Names and values of the path's parameters, as they stand in the path.
    pub path: &'r [(&'r str, &'r str)],
    /// The query.
    pub query: Option<&'r str>,
    /// Names in the query that are not the partner's business.
    pub own_query: &'r [&'r str],
    /// Header fields.
    pub headers: &'r HeaderMap,
    /// What is known of a body: `None` if only its end will tell.
    pub has_body: Option<bool>,
}

/// Why a head is refused.
#[derive(Debug)]
pub enum HeadRefusal {
    /// Parameters are wrong.
    Parameters(Vec<Problem>),
    /// The body has a content type that is none of these.
    ContentType(String),
}

impl Validator {
    pub(crate) fn new(operations: Vec<Operation>, unlisted: Unlisted) -> Self {
        let (mut by_path, mut anywhere) = (Tree::default(), Vec::new());
        for (index, operation) in operations.iter().enumerate() {
            match &operation.pattern {
                Some(pattern) => by_path.place(pattern).push(index),
                None => anywhere.push(index),
            }
        }
        Self {
            operations,
            by_path,
            anywhere,
            unlisted,
        }
    }

    /// The operation for a canonical path and a method.
    pub fn find<'p>(&self, path: &'p str, method: &Method) -> Found<'p> {
        let (here, values) = match self.by_path.find(path) {
            Some((here, values)) => (here, values),
            None => (&[][..], Vec::new()),
        };
        let of_method = |indices: &[usize], method: &Method| {
            let fits = |index: &&usize| {
                let operation = self.operations.get(**index);
                operation.is_some_and(|operation| operation.methods.contains(method))
            };
            indices.iter().find(fits).copied()
        };
        let is_head = *method == Method::HEAD;
        let of_method = |indices: &[usize]| {
            // What is asked of GET is asked of HEAD, unless that is listed itself (RFC 9110 section 9.3.2).
            of_method(indices, method).or_else(|| of_method(indices, &Method::GET).filter(|_| is_head))
        };
        if let Some(index) = of_method(here) {
            return Found::Operation(index, values);
        }
        if let Some(index) = of_method(&self.anywhere) {
            return Found::Operation(index, Vec::new());
        }
        let candidates = || here.iter().chain(&self.anywhere);
        match self.unlisted {
            Unlisted::Pass => Found::Unchecked,
            Unlisted::Reject if candidates().next().is_none() => Found::NoPath,
            Unlisted::Reject => Found::NoMethod(
                candidates()
                    .filter_map(|index| self.operations.get(*index))
                    .fold(MethodSet::default(), |set, operation| set.union(operation.methods)),
            ),
        }
    }

    /// The operation at an index that [`Self::find`] returned.
    pub fn operation(&self, index: usize) -> Option<&Operation> {
        self.operations.get(index)
    }

    /// True if a body has to be read to be checked, of the request or of the answer.
    pub fn reads_bodies(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| operation.reads_body() || !operation.answers.is_empty())
    }
}

impl Operation {
    /// Its name, for people.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Names of its path's parameters; `None` if it has no path of its own.
    pub fn path_parameters(&self) -> Option<&[String]> {
        self.pattern.as_ref().map(|pattern| &*pattern.parameters)
    }

    /// True if the client's body has to be read to be checked.
    pub fn reads_body(&self) -> bool {
        self.body
            .as_ref()
            .is_some_and(|body| body.required || body.contents.have_schema())
    }

    /// True if answers have to be looked at.
    pub fn looks_at_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Checks what stands before the body.
    ///
    /// # Errors
    /// Every violation, or the content types that the body may have.
    pub fn check_head(&self, head: &Head<'_>) -> Result<(), HeadRefusal> {
        let mut problems = Vec::new();
        for parameter in &self.parameters {
            parameter.check(head, &mut problems);
        }
        if self.unlisted_query == Unlisted::Reject {
            self.check_query(head, &mut problems);
        }
        if self.body.as_ref().is_some_and(|body| body.required) && head.has_body == Some(false) {
            problems.push(missing_body());
        }
        problems.truncate(MOST_VIOLATIONS);
        if !problems.is_empty() {
            return Err(HeadRefusal::Parameters(problems));
        }
        if head.has_body != Some(false)
            && let Some(body) = &self.body
            && let Some(given) = content_type(head.headers, head.has_body)
            && body.contents.find(&given).is_none()
        {
            return Err(HeadRefusal::ContentType(body.contents.to_string()));
        }
        Ok(())
    }

    /// Checks the client's body, whose head was checked before.
    ///
    /// # Errors
    /// Every violation.
    pub fn check_body(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Vec<Problem>> {
        let Some(rule) = &self.body else {
            return Ok(());
        };
        if body.is_empty() {
            return if rule.required {
                Err(vec![missing_body()])
            } else {
                Ok(())
            };
        }
        let given = content_type(headers, Some(true)).unwrap_or_default();
        rule.contents.check(&given, body)
    }

    /// True if the body of an answer with this status and these fields has to be read to be checked.
    pub fn reads_answer(&self, status: u16, headers: &HeaderMap) -> bool {
        let given = content_type(headers, Some(true)).unwrap_or_default();
        self.contents_of(status)
            .and_then(|contents| contents.find(&given))
            .is_some_and(|content| content.has_schema())
    }

    /// Checks the head of an answer that has a body.
    ///
    /// # Errors
    /// The violation: its content type.
    pub fn check_answer_head(&self, status: u16, headers: &HeaderMap) -> Result<(), Vec<Problem>> {
        let Some(contents) = self.contents_of(status) else {
            return Ok(());
        };
        let given = content_type(headers, Some(true)).unwrap_or_default();
        if contents.find(&given).is_some() {
            return Ok(());
        }
        let message = format!("must be {contents}");
        Err(vec![Problem::new("/header/content-type", message)])
    }

    /// Checks the body of an answer.
    ///
    /// # Errors
    /// Every violation.
    pub fn check_answer(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<(), Vec<Problem>> {
        let given = content_type(headers, Some(true)).unwrap_or_default();
        match self.contents_of(status) {
            Some(contents) => contents.check(&given, body),
            None => Ok(()),
        }
    }

    /// What an answer with this status must look like: by its own rule, else that of its class, else the default.
    fn contents_of(&self, status: u16) -> Option<&Contents> {
        let fitting = self.answers.iter().filter(|(statuses, _)| statuses.contain(status));
        let (_, contents) = fitting.min_by_key(|(statuses, _)| *statuses)?;
        (!contents.is_empty()).then_some(contents)
    }

    fn check_query(&self, head: &Head<'_>, problems: &mut Vec<Problem>) {
        let mut told: Vec<Cow<'_, str>> = Vec::new();
        for (name, _) in form_urlencoded::parse(head.query.unwrap_or_default().as_bytes()) {
            let is_listed = self.parameters.iter().any(|parameter| parameter.is_in_query(&name));
            let is_own = head.own_query.iter().any(|own| *own == name);
            if !is_listed && !is_own && !told.contains(&name) && told.len() < MOST_VIOLATIONS {
                problems.push(Problem::new(
                    pointer("query", &name),
                    "is not a parameter of this operation",
                ));
                told.push(name);
            }
        }
    }
}

impl Statuses {
    fn contain(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Class(digit) => digit == status / 100,
            Self::Any => true,
        }
    }
}

/// The content type without its parameters, in lower case. `None` where there is none and need not be.
fn content_type(headers: &HeaderMap, has_body: Option<bool>) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    match value {
        Some(value) => {
            let text = String::from_utf8_lossy(value);
            let essence = text.split(';').next().unwrap_or_default();
            Some(essence.trim().to_ascii_lowercase())
        }
        None if has_body == Some(true) => Some(String::new()),
        None => None,
    }
}

fn missing_body() -> Problem {
    Problem::new("/body", "a body is required")
}

/// A JSON pointer (RFC 6901) to `name` in a part of the message.
fn pointer(part: &str, name: &str) -> String {
    format!("/{part}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
