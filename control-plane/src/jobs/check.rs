//! What is wrong with a job. Target, sign-in, script and schedule are those of an outbound integration, and the gateways' own
//! compiler checks them as one.

use filters::model::outbound::{ScheduleConfig, SchedulingMode};
use filters::model::{OutboundIntegration, Problem, secret};
use serde_json::{Map, Value, json};
use url::Url;

use super::{DataSource, Job, JobMethod, JobSchedule};

impl Job {
    /// What is wrong with what no integration has.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |path: &str, message: &str| problems.push(Problem::new(path, message));
        if self.is_active {
            refuse(
                "isActive",
                "must be false: jobs can be configured, and are not carried out yet",
            );
        }
        if self.name.trim().is_empty() || self.name.len() > LONGEST_NAME {
            refuse("name", "must have 1 to 200 bytes");
        }
        if self.kind.len() > LONGEST_NAME {
            refuse("type", "is longer than 200 bytes");
        }
        if let JobSchedule::Interval { interval_ms } = self.schedule
            && !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval_ms)
        {
            refuse(
                "schedule.intervalMs",
                "must be 60000 (a minute) to 31622400000 (366 days)",
            );
        }
        self.data_source.check(&mut problems);
        problems
    }

    /// The job as an outbound integration that is like it.
    pub(crate) fn as_outbound(&self) -> Result<OutboundIntegration, Vec<Problem>> {
        let mut fields = json!({
            "id": format!("job-{}", self.id),
            "orgId": self.org_id,
            "name": self.name,
            "eventType": "scheduled.job",
            "targetUrl": self.target_url,
            "httpMethod": match self.http_method { JobMethod::Post => "POST", JobMethod::Put => "PUT" },
            "outgoingAuthType": self.outgoing_auth_type,
            "schedulingMode": SchedulingMode::Recurring,
            "schedulingConfig": self.schedule(),
        });
        if let Some(tenant_id) = self.tenant_id {
            fields["tenantId"] = tenant_id.into();
        }
        if let Some(config) = &self.outgoing_auth_config {
            fields["outgoingAuthConfig"] = config.clone();
        }
        if let Some(transformation) = &self.transformation {
            fields["transformationMode"] = "SCRIPT".into();
            fields["transformScript"] = transformation.script.as_str().into();
        }
        let mut problems = Vec::new();
        let read = filters::model::decode::from_value(&fields, "", &mut problems);
        match read {
            Some(read) if problems.is_empty() => Ok(read),
            _ => Err(problems.into_iter().map(of_job).collect()),
        }
    }

    fn schedule(&self) -> ScheduleConfig {
        match &self.schedule {
            JobSchedule::Cron { expression, timezone } => ScheduleConfig {
                cron: Some(expression.clone()),
                timezone: timezone.clone(),
                ..ScheduleConfig::default()
            },
            JobSchedule::Interval { interval_ms } => ScheduleConfig {
                interval_ms: Some(*interval_ms),
                ..ScheduleConfig::default()
            },
        }
    }
}

/// A problem of the integration as one of the job.
pub(crate) fn of_job(problem: Problem) -> Problem {
    let renamed = NAMES.iter().find_map(|(theirs, ours)| {
        let rest = problem.path.strip_prefix(theirs)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{ours}{rest}"))
    });
    match renamed {
        Some(path) => Problem::new(path, problem.message),
        None => problem,
    }
}

impl DataSource {
    fn check(&self, problems: &mut Vec<Problem>) {
        let mut refuse = |field: &str, message: String| {
            problems.push(Problem::new(format!("dataSource.{field}"), message));
        };
        match self {
            Self::Sql { query } => {
                let first = query.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
                if !matches!(first.as_str(), "SELECT" | "WITH") {
                    refuse(
                        "query",
                        "must be one statement that begins with SELECT or WITH".to_owned(),
                    );
                }
                let rest = query.trim().trim_end_matches(';');
                if rest.contains(';') {
                    refuse("query", "has a `;` within it; give one statement".to_owned());
                }
                check_text("query", query, &mut refuse);
            }
            Self::Mongodb {
                connection_string,
                database,
                collection,
                pipeline,
            } => {
                let address = connection_string.as_ref().map(|address| address.expose().to_owned());
                if address.as_deref() == Some(secret::MASK) {
                    refuse("connectionString", MASKED.to_owned());
                } else if address.is_some_and(|address| !is_mongodb(&address)) {
                    refuse(
                        "connectionString",
                        "must begin with mongodb:// or mongodb+srv://".to_owned(),
                    );
                }
                if connection_string.is_some() && database.as_deref().is_none_or(str::is_empty) {
                    refuse("database", "must be given beside `connectionString`".to_owned());
                }
                if collection.is_empty() || collection.contains('$') || collection.contains('\0') {
                    refuse("collection", "must be the name of a collection".to_owned());
                }
                for (at, step) in pipeline.iter().enumerate() {
                    check_step(at, step, &mut refuse);
                }
                check_text("pipeline", &json!(pipeline).to_string(), &mut refuse);
            }
            Self::Api { url, headers, body, .. } => {
                // Values in the address are put in when the job runs.
                let plain = url.replace("{{", "").replace("}}", "");
                let is_address = Url::parse(&plain).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
                if !is_address {
                    refuse("url", "must be an address as https://api.example/path".to_owned());
                }
                check_text("url", url, &mut refuse);
                for (name, value) in headers {
                    check_header(name, value, &mut refuse);
                }
                if let Some(body) = body {
                    check_text("body", &body.to_string(), &mut refuse);
                }
            }
        }
    }
}

fn check_step(at: usize, step: &Map<String, Value>, refuse: &mut impl FnMut(&str, String)) {
    let path = format!("pipeline[{at}]");
    match step.keys().next().filter(|_| step.len() == 1) {
        Some(name) if WRITING.contains(&name.as_str()) => refuse(&path, format!("`{name}` writes; a job only reads")),
        Some(name) if name.starts_with('$') => {}
        _ => refuse(&path, "must be one step, as {\"$match\": {...}}".to_owned()),
    }
}

fn check_header(name: &str, value: &Value, refuse: &mut impl FnMut(&str, String)) {
    let path = format!("headers.{name}");
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        refuse(&path, "is no name of a header".to_owned());
    }
    match value.as_str() {
        Some(secret::MASK) => refuse(&path, MASKED.to_owned()),
        Some(text) if http::HeaderValue::from_str(text).is_ok() => check_text(&path, text, refuse),
        _ => refuse(&path, "must be a text that a header may have".to_owned()),
    }
}

/// Values that stand in a text must be those that there are.
fn check_text(field: &str, text: &str, refuse: &mut impl FnMut(&str, String)) {
    if text.len() > LONGEST_TEXT {
        refuse(field, format!("is longer than {LONGEST_TEXT} bytes"));
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            refuse(field, "has a `{{` without `}}`".to_owned());
            return;
        };
        let name = name.trim();
        let is_environment = name.strip_prefix("env.").is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if !is_environment && !VALUES.contains(&name) {
            let known = VALUES.join(", ");
            refuse(
                field,
                format!("names the value `{name}`, which there is not; there are {known} and env.NAME"),
            );
        }
        rest = after;
    }
}

fn is_mongodb(address: &str) -> bool {
    ["mongodb://", "mongodb+srv://"]
        .iter()
        .any(|scheme| address.starts_with(scheme))
}

/// Fields of an integration, and what a job calls them.
const NAMES: [(&str, &str); 5] = [
    ("transformScript", "transformation.script"),
    ("schedulingConfig.cron", "schedule.expression"),
    ("schedulingConfig.intervalMs", "schedule.intervalMs"),
    ("schedulingConfig.timezone", "schedule.timezone"),
    ("schedulingConfig", "schedule"),
];
const VALUES: [&str; 7] = [
    "config.tenantId",
    "config.integrationId",
    "date.today()",
    "date.yesterday()",
    "date.todayStart()",
    "date.todayEnd()",
    "date.now()",
];
const WRITING: [&str; 2] = ["$out", "$merge"];
const MASKED: &str = "is the mask of a secret that is not stored; give the secret itself";
const LONGEST_NAME: usize = 200;
const LONGEST_TEXT: usize = 64 * 1_024;
const SHORTEST_INTERVAL: u64 = 60_000;
const LONGEST_INTERVAL: u64 = 31_622_400_000;
