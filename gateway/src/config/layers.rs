//! File and environment, laid over each other and read into settings.

use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use filters::model::{Problem, decode};

use super::{ConfigError, ProcessConfig};

/// Reads the settings; the environment wins over the file.
///
/// # Errors
/// If the file cannot be read, or with every setting that cannot be read.
pub(super) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<ProcessConfig, ConfigError> {
    let variables = Layer::of_environment(environment);
    let mut figment = Figment::new();
    if let Some(path) = file {
        figment = figment.merge(Layer::of_file(path, &variables)?);
    }
    let figment = figment.merge(variables);
    let merged: serde_json::Value = figment.extract().map_err(|error| {
        let problems = error
            .into_iter()
            .map(|error| Problem::new(error.path.join("."), error.kind.to_string()));
        ConfigError::Invalid(problems.collect())
    })?;
    let mut problems = Vec::new();
    if let Some(config) = decode::from_value(&merged, "", &mut problems) {
        return Ok(config);
    }
    for problem in &mut problems {
        if let Some(message) = better_message(&problem.path) {
            message.clone_into(&mut problem.message);
        }
        if let Some(origin) = origin(&figment, &problem.path) {
            problem.message = format!("{} ({origin})", problem.message);
        }
    }
    Err(ConfigError::Invalid(problems))
}

/// Settings from one place.
struct Layer {
    origin: Metadata,
    settings: Dict,
}

impl Layer {
    fn of_file(path: &Path, over_it: &Self) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let syntax = |problem| ConfigError::Syntax {
            path: path.to_owned(),
            problem,
        };
        let document = decode::from_text(&text).map_err(syntax)?;
        let mut settings = match Value::serialize(document) {
            Ok(Value::Dict(_, settings)) => settings,
            Ok(Value::Empty(..)) => Dict::new(),
            _ => {
                let message = "not a mapping of settings, as in `listen: {http: \"0.0.0.0:8080\"}`";
                return Err(syntax(Problem::new("", message)));
            }
        };
        if over_it.names_a_source()
            && let Some(Value::Dict(_, sources)) = settings.get_mut("config")
        {
            // A source named in the environment takes the place of the file's, rather than standing beside it.
            sources.retain(|source, _| over_it.find(&["config", source]).is_some());
        }
        Ok(Self {
            origin: Metadata::named(format!("in {}", path.display())),
            settings,
        })
    }

    fn of_environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut settings = Dict::new();
        for (name, value) in variables {
            let Some(name) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if is_service_link(name) {
                continue;
            }
            let path: Vec<String> = name.split("__").map(camel_case).collect();
            let value = if TEXTS.contains(&path.join(".").as_str()) {
                Value::from(value)
            } else {
                // Cannot fail: what is nothing else is a text.
                value.parse().unwrap_or_else(|_| Value::from(value))
            };
            insert(&mut settings, &path, value);
        }
        Self {
            origin: Metadata::named("in the environment"),
            settings,
        }
    }

    fn names_a_source(&self) -> bool {
        self.find(&["config"]).is_some()
    }

    fn find(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.settings.get(*first)?, |value, key| value.as_dict()?.get(*key))
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.origin.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

/// What to say of a setting whose value is of the wrong kind, where the reader's own words would help nobody.
fn better_message(path: &str) -> Option<&'static str> {
    match path {
        "listen.http" | "listen.admin" => {
            Some("is no address to listen on; give address and port, as in `0.0.0.0:8080`")
        }
        // What stands there is not shown.
        "config.controlPlane.token" => Some("is no text; put it in quotes"),
        _ if path.starts_with("edge.trustedProxies[") => Some("is no address range; give one as in `10.0.0.0/8`"),
        _ => None,
    }
}

fn origin(figment: &Figment, path: &str) -> Option<String> {
    Some(figment.find_metadata(path)?.name.to_string())
}

fn insert(settings: &mut Dict, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            settings.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = settings
                .entry(first.clone())
                .or_insert_with(|| Value::from(Dict::new()));
            if inner.as_dict().is_none() {
                *inner = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// `HEAD_BYTES` as `headBytes`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_').map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let head = letters.next().map(|letter| letter.to_ascii_uppercase());
        name.chars().chain(head).chain(letters).collect()
    })
}

/// True for the variables that Kubernetes sets in every pod beside a service called `gateway`; they are no settings.
fn is_service_link(name: &str) -> bool {
    name == "PORT"
        || ["PORT_", "SERVICE_HOST", "SERVICE_PORT"]
            .iter()
            .any(|link| name.starts_with(link))
}

const PREFIX: &str = "GATEWAY_";

/// Settings that are taken from the environment letter by letter, even if they look like a number or a list.
const TEXTS: [&str; 11] = [
    "gateway.id",
    "portsFile",
    "dataDir",
    "upgrade.socket",
    "config.controlPlane.url",
    "config.controlPlane.token",
    "config.controlPlane.tokenFile",
    "config.controlPlane.caFile",
    "config.file.path",
    "egress.extraCaFile",
    "queue.dir",
];
