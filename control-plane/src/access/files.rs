//! Secrets in private files of the data folder, and in those that settings name.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use filters::model::Secret;

use super::{AccessError, SHORTEST_KEY};

/// Makes the folder with everything above it, readable by its owner only.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), AccessError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| AccessError::File {
            path: path.to_owned(),
            source,
        })
}

/// The text of a private file; made with `make` if the file is not there.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> Secret) -> Result<Secret, AccessError> {
    let failed = |source| AccessError::File {
        path: path.to_owned(),
        source,
    };
    match read_private(path) {
        Ok(text) if text.expose().len() < SHORTEST_KEY => {
            let message = "holds no key; remove the file to have a new one made";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let secret = make();
    write_private(path, &secret).map_err(failed)?;
    Ok(secret)
}

/// Writes a private file, in the place of the one that is there. It is whole and on disk when this returns.
pub(crate) fn write_private(path: &Path, secret: &Secret) -> io::Result<()> {
    // Under another name first: a file that exists is always whole.
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(secret.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    path.parent()
        .map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// Reads a secret from the file that the setting `setting` names. It is never made: a key that is not there would be
/// replaced by another one, with which nothing that was stored can be read.
pub(crate) fn read_configured(setting: &str, path: &Path) -> Result<Secret, AccessError> {
    read_private(path).map_err(|error| AccessError::Setting {
        path: setting.to_owned(),
        message: match error.kind() {
            io::ErrorKind::NotFound => format!(
                "{} is not there; make the file, or leave the setting out to have one made in dataDir",
                path.display()
            ),
            _ => format!("{} cannot be read: {error}", path.display()),
        },
    })
}

fn read_private(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MOST_KEY_BYTES)
        .read_to_string(&mut text)?;
    Ok(Secret::new(text.trim()))
}

const MOST_KEY_BYTES: u64 = 4096;
