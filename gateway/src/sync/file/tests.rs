use std::fs::{self, File};
use std::io::Write as _;

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::sync::last_good;
use crate::sync::rig::{Rig, document, until};

/// A watched file in a folder of its own.
struct Watched {
    rig: Rig,
    path: PathBuf,
    stop: CancellationToken,
    running: JoinHandle<()>,
    folder: TempDir,
}

impl Watched {
    /// Starts to watch `conf/integrations.yaml`, which holds `content`.
    fn start(content: Option<&str>, pace: Pace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf")).unwrap();
        let path = folder.path().join("conf/integrations.yaml");
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        Self::start_in(folder, path, pace)
    }

    fn start_in(folder: TempDir, path: PathBuf, pace: Pace) -> Self {
        let rig = Rig::new();
        let watch = Watch {
            path: path.clone(),
            applier: Arc::clone(&rig.applier),
            state: Arc::clone(&rig.state),
            data_dir: Arc::new(DataDir::open(&folder.path().join("data"), None).unwrap()),
            pace,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(watch.run(stop.clone()));
        Self {
            rig,
            path,
            stop,
            running,
            folder,
        }
    }

    async fn until_live(&self, ids: &[&str]) {
        until(&format!("{ids:?} are live"), || {
            self.rig.live().is_some_and(|live| live == ids)
        })
        .await;
    }

    async fn until_refused(&self, reason: &str) {
        let refused = || {
            self.rig
                .problems()
                .iter()
                .any(|problem| problem.message.contains(reason))
        };
        until(&format!("it is refused with {reason:?}"), refused).await;
    }

    async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.running.await.unwrap();
        self.folder
    }
}

/// Sees changes by events only.
fn by_events() -> Pace {
    Pace {
        poll: Duration::from_secs(3600),
        ..Pace::default()
    }
}

/// Sees changes within milliseconds wherever events fail.
fn by_looking() -> Pace {
    Pace {
        poll: Duration::from_millis(10),
        ..Pace::default()
    }
}

#[tokio::test]
async fn a_change_in_place_and_a_rename_are_both_seen() {
    let watched = Watched::start(Some(&document(&["a"])), by_events());
    watched.until_live(&["1-a"]).await;
    fs::write(&watched.path, document(&["a", "b"])).unwrap();
    watched.until_live(&["1-a", "1-b"]).await;
    let draft = watched.path.with_extension("tmp");
    fs::write(&draft, document(&["c"])).unwrap();
    fs::rename(&draft, &watched.path).unwrap();
    watched.until_live(&["1-c"]).await;
    // And once more, as the file is another one now.
    fs::write(&watched.path, document(&["d"])).unwrap();
    watched.until_live(&["1-d"]).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_file_that_is_still_being_written_is_left_alone() {
    let patient = Pace {
        unfinished: Duration::from_secs(3600),
        ..by_events()
    };
    let watched = Watched::start(Some(&document(&["a"])), patient);
    watched.until_live(&["1-a"]).await;
    let whole = document(&["b", "c", "d"]);
    let first_line_ends = whole.match_indices('\n').nth(1).unwrap().0;
    let mut file = File::create(&watched.path).unwrap();
    file.write_all(&whole.as_bytes()[..=first_line_ends]).unwrap();
    // The first part is a good document by itself, and is not taken for the whole one.
    let part = &whole[..=first_line_ends];
    assert!(matches!(
        Rig::new().applier.apply(Update::Document(part.to_owned())).await,
        Outcome::Live(_)
    ));
    // Time enough to read it too early.
    tokio::time::sleep(by_events().quiet * 4).await;
    file.write_all(&whole.as_bytes()[first_line_ends + 1..]).unwrap();
    drop(file);
    watched.until_live(&["1-b", "1-c", "1-d"]).await;
    assert_eq!(
        watched.rig.state.report().applied,
        2,
        "the part must not have been live in between"
    );
    watched.stop().await;
}

#[tokio::test]
async fn bad_content_keeps_what_is_live_and_says_why() {
    let watched = Watched::start(Some(&document(&["a"])), by_events());
    watched.until_live(&["1-a"]).await;
    for (bad, reason) in [
        ("integrations: [", "not valid YAML"),
        ("", "empty"),
        (
            "integrations: [{name: n, type: t, orgId: 1, targetUrl: 'gopher://x'}]",
            "http",
        ),
    ] {
        fs::write(&watched.path, bad).unwrap();
        watched.until_refused(reason).await;
        assert_eq!(watched.rig.live().unwrap(), ["1-a"]);
    }
    fs::remove_file(&watched.path).unwrap();
    watched.until_refused("cannot read").await;
    assert_eq!(watched.rig.live().unwrap(), ["1-a"]);
    // Even the same content as before ends the error.
    fs::write(&watched.path, document(&["a"])).unwrap();
    until("the error is over", || watched.rig.problems().is_empty()).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_bad_file_at_the_start_is_waited_for() {
    let watched = Watched::start(Some("integrations: 5"), by_events());
    watched.until_refused("sequence").await;
    assert!(watched.rig.live().is_none());
    fs::write(&watched.path, document(&["a"])).unwrap();
    watched.until_live(&["1-a"]).await;
    watched.stop().await;
}

#[tokio::test]
async fn with_a_bad_file_at_the_start_the_last_known_good_one_is_live() {
    let watched = Watched::start(Some(&document(&["a"])), by_events());
    watched.until_live(&["1-a"]).await;
    let path = watched.path.clone();
    let accepted = watched.rig.accepted.clone();
    let folder = watched.stop().await;
    let data_dir = Arc::new(DataDir::open(&folder.path().join("data"), None).unwrap());
    let stopped = CancellationToken::new();
    stopped.cancel();
    last_good::keep(data_dir, accepted, stopped).await;

    fs::write(&path, "nonsense").unwrap();
    let watched = Watched::start_in(folder, path, by_events());
    watched.until_live(&["1-a"]).await;
    assert_eq!(watched.rig.state.report().source, Some(Source::LastKnownGood));
    fs::write(&watched.path, document(&["b"])).unwrap();
    watched.until_live(&["1-b"]).await;
    assert_eq!(watched.rig.state.report().source, Some(Source::File));
    watched.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_yet_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/integrations.yaml");
    let watched = Watched::start_in(folder, path, by_looking());
    watched.until_refused("cannot read").await;
    fs::create_dir(watched.path.parent().unwrap()).unwrap();
    fs::write(&watched.path, document(&["a"])).unwrap();
    watched.until_live(&["1-a"]).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_link_whose_target_is_exchanged_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conf/integrations.yaml");
    for (version, kind) in [("one", "a"), ("two", "b")] {
        let target = folder.path().join(version);
        fs::create_dir(&target).unwrap();
        fs::write(target.join("integrations.yaml"), document(&[kind])).unwrap();
    }
    let root = folder.path().to_owned();
    let switch_to = |version: &str| {
        std::os::unix::fs::symlink(root.join(version), root.join("next")).unwrap();
        fs::rename(root.join("next"), root.join("current")).unwrap();
    };
    switch_to("one");
    fs::create_dir(root.join("conf")).unwrap();
    std::os::unix::fs::symlink(root.join("current/integrations.yaml"), &path).unwrap();
    let watched = Watched::start_in(folder, path, by_looking());
    watched.until_live(&["1-a"]).await;
    switch_to("two");
    watched.until_live(&["1-b"]).await;
    watched.stop().await;
}
