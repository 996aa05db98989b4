//! Scheduled jobs: what is fetched from where, when, and where it is delivered to. They are configured and checked here;
//! nothing carries them out yet, so none can be active.

mod check;

use filters::model::Secret;
use filters::model::outgoing::OutgoingAuthType;
use filters::model::secret;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use check::of_job;

use crate::store::{Shelf, Shelved};

/// A scheduled job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Job {
    /// Identifier; made by the control plane when left out.
    #[serde(default)]
    pub(crate) id: String,
    /// Organization that it belongs to.
    pub(crate) org_id: u64,
    /// Which way it works: there is one way.
    #[serde(default)]
    pub(crate) direction: JobDirection,
    /// Name for people. Unique in its organization.
    pub(crate) name: String,
    /// What sort of job it is, as `DAILY_EXPORT`.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// The unit that it is for, or the organization as a whole if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant_id: Option<u64>,
    /// Must be false: jobs are not carried out yet.
    #[serde(default)]
    pub(crate) is_active: bool,
    /// Where what was fetched is delivered to.
    pub(crate) target_url: String,
    /// How it is delivered.
    #[serde(default)]
    pub(crate) http_method: JobMethod,
    /// When it runs.
    pub(crate) schedule: JobSchedule,
    /// What it fetches.
    pub(crate) data_source: DataSource,
    /// What becomes of that before it is delivered; it is delivered as it is if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transformation: Option<JobTransformation>,
    /// How it signs in where it delivers.
    #[serde(default)]
    pub(crate) outgoing_auth_type: OutgoingAuthType,
    /// The configuration of that; as of an outbound integration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outgoing_auth_config: Option<Value>,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) created_at: Option<Timestamp>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) updated_at: Option<Timestamp>,
}

/// Which way a job works: there is one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum JobDirection {
    /// By time.
    #[default]
    Scheduled,
}

/// Methods that a job delivers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum JobMethod {
    /// RFC 9110 section 9.3.3.
    #[default]
    Post,
    /// RFC 9110 section 9.3.4.
    Put,
}

/// When a job runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum JobSchedule {
    /// By a cron expression.
    Cron {
        /// Minute, hour, day of the month, month, day of the week, as `0 9 * * 1-5`.
        expression: String,
        /// IANA name of the time zone that it is in; that of the unit or organization, else `UTC`, if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
    /// Again and again.
    Interval {
        /// Milliseconds from one run to the next; 60,000 (a minute) to 31,622,400,000 (366 days).
        interval_ms: u64,
    },
}

/// What a job fetches. `{{config.tenantId}}`, `{{config.integrationId}}`, `{{date.today()}}`, `{{date.yesterday()}}`,
/// `{{date.todayStart()}}`, `{{date.todayEnd()}}`, `{{date.now()}}` and `{{env.NAME}}` stand for values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum DataSource {
    /// Rows of the product's database.
    Sql {
        /// One statement that reads.
        query: String,
    },
    /// Documents of a MongoDB.
    Mongodb {
        /// Address of another MongoDB than the control plane's own; a secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        connection_string: Option<Secret>,
        /// Its database; must be given beside `connectionString`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<String>,
        /// The collection.
        collection: String,
        /// Steps of an aggregation that reads.
        #[serde(default)]
        pipeline: Vec<Map<String, Value>>,
    },
    /// The answer of an API.
    Api {
        /// Its address.
        url: String,
        /// How it is called.
        #[serde(default)]
        method: SourceMethod,
        /// Headers of the call; their values are secrets.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        #[schemars(with = "std::collections::BTreeMap<String, String>")]
        headers: Map<String, Value>,
        /// Body of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
    },
}

/// Methods that data is fetched with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SourceMethod {
    /// RFC 9110 section 9.3.1.
    #[default]
    Get,
    /// RFC 9110 section 9.3.3.
    Post,
    /// RFC 9110 section 9.3.4.
    Put,
    /// RFC 5789.
    Patch,
}

/// What becomes of fetched data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JobTransformation {
    /// How it is written: there is one way.
    #[serde(default)]
    pub(crate) mode: JobTransformationMode,
    /// `fn transform(payload, context)`; the payload is `{data, metadata}`.
    pub(crate) script: String,
}

/// How the transformation of a job is written: there is one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum JobTransformationMode {
    /// As a script.
    #[default]
    Script,
}

impl Job {
    /// A copy that may be shown: without its secrets.
    pub(crate) fn masked(&self) -> Self {
        let mut shown = self.clone();
        if let Some(config) = &mut shown.outgoing_auth_config {
            secret::mask(config);
        }
        match &mut shown.data_source {
            DataSource::Mongodb {
                connection_string: Some(address),
                ..
            } => *address = Secret::new(secret::MASK),
            DataSource::Api { headers, .. } => {
                headers.values_mut().for_each(|value| *value = secret::MASK.into());
            }
            DataSource::Sql { .. } | DataSource::Mongodb { .. } => {}
        }
        shown
    }

    /// Puts the secrets of the stored `previous` back where this one carries the mask.
    pub(crate) fn restore_secrets(&mut self, previous: &Self) {
        if let (Some(config), Some(old)) = (&mut self.outgoing_auth_config, &previous.outgoing_auth_config) {
            secret::restore(config, old);
        }
        match (&mut self.data_source, &previous.data_source) {
            (
                DataSource::Mongodb {
                    connection_string: Some(address),
                    ..
                },
                DataSource::Mongodb {
                    connection_string: Some(old),
                    ..
                },
            ) if address.expose() == secret::MASK => *address = old.clone(),
            (DataSource::Api { headers, .. }, DataSource::Api { headers: old, .. }) => {
                for (name, value) in headers {
                    if let (true, Some(old)) = (*value == secret::MASK, old.get(name)) {
                        old.clone_into(value);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Shelved for Job {
    const SHELF: Shelf = Shelf::Jobs;
    const NAME: &'static str = "scheduled job";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(self.org_id)
    }

    fn unique(&self) -> Option<String> {
        Some(format!("{}/{}", self.org_id, self.name))
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("name", self.name.clone())]
    }
}

#[cfg(test)]
mod tests;
