//! Finds the programs that cargo built next to the running test.
//!
//! Cargo tells an integration test only where the programs of its own package are. Those of the other packages lie in the
//! same folder; as nothing makes cargo build them first, a missing or outdated one is refused with the command to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The program `name` (`gateway`, `control-plane`, `gwctl`), built from the sources as they are.
///
/// # Panics
/// If it is missing, or older than one of its sources. `HARNESS_STALE=allow` accepts an old one.
pub fn find(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first (`make test` does)",
        path.display()
    );
    if std::env::var("HARNESS_STALE").as_deref() != Ok("allow")
        && let Some(newer) = newer_source(&path)
    {
        panic!(
            "{} is older than {newer}: run `cargo build --workspace --bins` first (`make test` does)",
            path.display()
        );
    }
    path
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the repository")
        .to_path_buf()
}

/// The folder of the profile: `target/debug`, or `target/release` for benchmarks.
fn folder() -> PathBuf {
    let here = std::env::current_exe().expect("a running program knows its path");
    let folder = here.parent().expect("a program lies in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("deps lies in a folder").to_path_buf()
    } else {
        folder.to_path_buf()
    }
}

/// The first source in cargo's own list (`NAME.d` beside the program) that changed after the program was built.
fn newer_source(program: &Path) -> Option<String> {
    let built = modified(program)?;
    let list = fs::read_to_string(program.with_extension("d")).ok()?;
    let sources = list.split_once(": ")?.1;
    sources
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|source| source.replace('\0', " "))
        .find(|source| modified(Path::new(source)).is_some_and(|changed| changed > built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
