//! Cross-origin calls, compiled.

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::cors::{AllowedHeaders, Cors, Origins};
use crate::model::Problem;
use crate::model::cors as model;
use crate::model::route::HttpMethod;
use crate::route::MethodSet;

/// Compiles `config`, whose problems have paths below `cors`, for an integration with these methods.
pub(crate) fn compile(config: &model::Cors, methods: &[HttpMethod], problems: &mut Vec<Problem>) -> Option<Cors> {
    let before = problems.len();
    let origins = origins(&config.allow_origins, problems);
    if config.allow_credentials && matches!(origins, Origins::Any) {
        let message =
            "must name each origin where `allowCredentials` is true: with * any page could act for its visitor";
        problems.push(Problem::new("cors.allowOrigins", message));
    }
    if config.max_age_seconds > 86_400 {
        let message = format!("{} must be at most 86400", config.max_age_seconds);
        problems.push(Problem::new("cors.maxAgeSeconds", message));
    }
    let allow = match config.allow_headers.as_slice() {
        [one] if one == "*" => AllowedHeaders::Any,
        names => AllowedHeaders::Listed(names_of(names, "cors.allowHeaders", problems)),
    };
    let expose = names_of(&config.expose_headers, "cors.exposeHeaders", problems);
    let chosen = match config.allow_methods.as_slice() {
        [] => methods,
        chosen => chosen,
    };
    let methods = MethodSet::of(chosen).allow();
    (problems.len() == before).then(|| Cors {
        origins,
        methods: value(&methods),
        headers: allow,
        expose,
        credentials: config.allow_credentials,
        max_age: HeaderValue::from(config.max_age_seconds),
    })
}

fn origins(texts: &[String], problems: &mut Vec<Problem>) -> Origins {
    if !(1..=MOST_ENTRIES).contains(&texts.len()) {
        let message = format!("holds {} entries; 1 to {MOST_ENTRIES} are allowed", texts.len());
        problems.push(Problem::new("cors.allowOrigins", message));
    }
    if matches!(texts, [one] if one == "*") {
        return Origins::Any;
    }
    let (mut exact, mut below) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate().take(MOST_ENTRIES) {
        let path = format!("cors.allowOrigins[{index}]");
        match origin(text) {
            Ok(Origin::Exact(origin)) => exact.push(origin),
            Ok(Origin::Below(scheme, suffix)) => below.push((scheme, suffix)),
            Err(message) => problems.push(Problem::new(path, format!("{text:?} {message}"))),
        }
    }
    Origins::Listed { exact, below }
}

enum Origin {
    Exact(String),
    Below(String, String),
}

fn origin(text: &str) -> Result<Origin, &'static str> {
    if text == "*" {
        return Err("stands for all origins and must stand alone");
    }
    if text == "null" {
        return Ok(Origin::Exact(text.to_owned()));
    }
    let wildcard = text.split_once("://*.");
    let plain = match wildcard {
        Some((scheme, suffix)) => format!("{scheme}://{suffix}"),
        None => text.to_owned(),
    };
    let url = Url::parse(&plain).map_err(|_| NO_ORIGIN)?;
    if plain.contains('*') || !matches!(url.scheme(), "http" | "https") || url.origin().ascii_serialization() != plain {
        return Err(NO_ORIGIN);
    }
    Ok(match wildcard {
        Some((scheme, suffix)) => Origin::Below(format!("{scheme}://"), format!(".{suffix}")),
        None => Origin::Exact(plain),
    })
}

/// Names of header fields as one value; `None` where there are none.
fn names_of(names: &[String], path: &str, problems: &mut Vec<Problem>) -> Option<HeaderValue> {
    if names.len() > MOST_ENTRIES {
        let message = format!("holds {} entries; at most {MOST_ENTRIES} are allowed", names.len());
        problems.push(Problem::new(path, message));
        return None;
    }
    let mut list = String::new();
    for (index, name) in names.iter().enumerate() {
        match HeaderName::try_from(name) {
            Ok(name) => {
                if !list.is_empty() {
                    list.push_str(", ");
                }
                list.push_str(name.as_str());
            }
            Err(_) => {
                let message = format!("{name:?} is not the name of a header field");
                problems.push(Problem::new(format!("{path}[{index}]"), message));
            }
        }
    }
    (!list.is_empty()).then(|| value(&list))
}

/// Names of methods and fields, which any field may hold.
fn value(names: &str) -> HeaderValue {
    HeaderValue::from_str(names).unwrap_or_else(|_| HeaderValue::from_static(""))
}

const MOST_ENTRIES: usize = 100;
const NO_ORIGIN: &str = "must be an origin as browsers write it: scheme, host in lower case and a port that is not the usual one, without a path";
