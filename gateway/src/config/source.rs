//! Where the integrations come from.

use std::path::PathBuf;

use filters::model::Secret;
use serde::{Deserialize, Serialize};

/// Where the integrations come from: exactly one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "SourceSettings")]
pub enum ConfigSource {
    /// Pushed by a control plane.
    ControlPlane(ControlPlane),
    /// Read from a file that is watched.
    File(FileSource),
}

impl Default for ConfigSource {
    fn default() -> Self {
        Self::ControlPlane(ControlPlane::default())
    }
}

/// A control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ControlPlane {
    /// Its address. Plain `http` is for the same machine only.
    pub url: String,
    /// This gateway's token.
    #[serde(skip_serializing)]
    pub token: Option<Secret>,
    /// File that holds the token; it is read at each connect, so that a token can be replaced.
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted for it beside those of the machine.
    pub ca_file: Option<PathBuf>,
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:7070".to_owned(),
            token: None,
            token_file: None,
            ca_file: None,
        }
    }
}

/// A file of integrations, YAML or JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSource {
    /// The file.
    pub path: PathBuf,
}

/// [`ConfigSource`] as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SourceSettings {
    control_plane: Option<ControlPlane>,
    file: Option<FileSource>,
}

impl TryFrom<SourceSettings> for ConfigSource {
    type Error = &'static str;

    fn try_from(settings: SourceSettings) -> Result<Self, Self::Error> {
        match (settings.control_plane, settings.file) {
            (Some(control_plane), None) => Ok(Self::ControlPlane(control_plane)),
            (None, Some(file)) => Ok(Self::File(file)),
            (None, None) => Err("says nowhere that integrations come from; set `controlPlane` or `file`"),
            (Some(_), Some(_)) => Err("has both `controlPlane` and `file`; leave one of them out"),
        }
    }
}
