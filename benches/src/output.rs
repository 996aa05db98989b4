//! Where the figures go.

use std::fs;
use std::path::PathBuf;

use harness::binaries;
use serde::Serialize;

use crate::error::Error;

/// Writes `report` to `target/bench/NAME.json`, and returns where that is.
///
/// # Errors
/// If it cannot be written.
pub fn write(name: &str, report: &impl Serialize) -> Result<PathBuf, Error> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| binaries::repository().join("target"), PathBuf::from);
    let folder = target.join("bench");
    let file = folder.join(format!("{name}.json"));
    let action = format!("write {}", file.display());
    let text = serde_json::to_string_pretty(report).map_err(|error| Error::System {
        action: action.clone(),
        source: error.into(),
    })?;
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, text + "\n"))
        .map_err(Error::system(action))?;
    Ok(file)
}
