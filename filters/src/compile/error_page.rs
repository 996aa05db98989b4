//! Error answers in an integration's own words, compiled.

use http::HeaderValue;

use super::edits;
use crate::edits::{Source, Template};
use crate::error_page::{ErrorPage, ErrorPages, Escape};
use crate::model::Problem;
use crate::model::error_page as model;
use crate::validation::Range;

/// Compiles `pages`, whose problems have paths below `errorPages`.
pub(crate) fn compile(
    pages: &[model::ErrorPage],
    shared: &[String],
    problems: &mut Vec<Problem>,
) -> Option<ErrorPages> {
    if pages.len() > MOST_PAGES {
        let message = format!("holds {} entries; at most {MOST_PAGES} are allowed", pages.len());
        problems.push(Problem::new("errorPages", message));
        return None;
    }
    let before = problems.len();
    let compiled: Vec<ErrorPage> = pages
        .iter()
        .enumerate()
        .filter_map(|(index, page)| one(page, &format!("errorPages[{index}]"), shared, problems))
        .collect();
    (problems.len() == before).then_some(ErrorPages(compiled))
}

fn one(page: &model::ErrorPage, path: &str, shared: &[String], problems: &mut Vec<Problem>) -> Option<ErrorPage> {
    let mut refuse = |field: String, message: String| problems.push(Problem::new(format!("{path}.{field}"), message));
    let mut statuses = Vec::with_capacity(page.statuses.len());
    for (index, text) in page.statuses.iter().enumerate() {
        match range_of(text) {
            Some(range) => statuses.push(range),
            None => refuse(
                format!("statuses[{index}]"),
                format!("{text:?} must be an error's status such as 404, or 4XX or 5XX"),
            ),
        }
    }
    for (index, code) in page.codes.iter().enumerate() {
        let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        if !is_code {
            let message = format!("{code:?} must be a code such as RATE_LIMITED");
            refuse(format!("codes[{index}]"), message);
        }
    }
    let essence = page.content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let content_type = HeaderValue::from_str(&page.content_type).ok();
    let is_type = matches!(Range::parse(&essence), Some(Range::Exact(_))) && page.content_type.len() <= LONGEST_TYPE;
    let content_type = content_type.filter(|_| is_type);
    if content_type.is_none() {
        let message = format!(
            "{:?} must be a content type such as text/html; charset=utf-8",
            page.content_type
        );
        refuse("contentType".to_owned(), message);
    }
    let body = match body(&page.body, shared) {
        Ok(body) => Some(body),
        Err(message) => {
            refuse("body".to_owned(), message);
            None
        }
    };
    Some(ErrorPage {
        statuses,
        codes: page.codes.clone(),
        replaces_partner: page.replaces_partner,
        content_type: content_type?,
        escape: escape_of(&essence),
        essence,
        body: body?,
    })
}

fn body(text: &str, shared: &[String]) -> Result<Template, String> {
    if text.len() > LONGEST_BODY {
        return Err(format!(
            "is {} bytes long; at most {LONGEST_BODY} are allowed",
            text.len()
        ));
    }
    let template = Template::parse(text)?;
    let of_request = |source: &&Source| !source.is_of_answer();
    for source in template.sources().filter(of_request) {
        edits::check_source(source, shared)?;
    }
    Ok(template)
}

fn range_of(text: &str) -> Option<(u16, u16)> {
    match text {
        "4XX" | "4xx" => Some((400, 499)),
        "5XX" | "5xx" => Some((500, 599)),
        _ => {
            let status = text.parse().ok().filter(|status| (400..600).contains(status))?;
            Some((status, status))
        }
    }
}

fn escape_of(essence: &str) -> Escape {
    match essence {
        "text/html" | "application/xml" | "text/xml" => Escape::Markup,
        _ if essence.ends_with("+xml") => Escape::Markup,
        "application/json" => Escape::Json,
        _ if essence.ends_with("+json") => Escape::Json,
        _ => Escape::Nothing,
    }
}

const MOST_PAGES: usize = 20;
const LONGEST_BODY: usize = 65_536;
const LONGEST_TYPE: usize = 200;
