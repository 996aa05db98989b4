//! The stores under test: an embedded one in a folder, and a database of its own in a MongoDB server.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use filters::model::Secret;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::super::*;
use crate::config::{MongodbConfig, SqliteConfig};

/// A place for one test's data, which outlives the stores that are opened on it.
pub(super) trait Backend {
    async fn open(&self) -> Store {
        self.open_with(&[5; 32]).await
    }
    async fn open_with(&self, key: &[u8; 32]) -> Store {
        self.open_sealed_by(Sealer::new(key)).await
    }
    async fn open_sealed_by(&self, sealer: Sealer) -> Store;
    fn can_be_killed(&self) -> bool;
    /// Commits one version after the other, beginning after `done`, until the server is killed in the middle of it.
    /// Returns the last number that was acknowledged. The server runs again afterwards.
    async fn write_until_killed(&mut self, done: u64) -> u64;
    async fn drop_database(&self, store: Store);
}

pub(super) struct Sqlite(TempDir);

impl Sqlite {
    pub(super) fn start() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// The tables of the database, which must not be open.
    pub(super) fn tables(&self) -> BTreeSet<String> {
        let database = rusqlite::Connection::open(self.0.path().join("store.db")).unwrap();
        let mut select = database
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .unwrap();
        select
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    fn config(folder: &Path) -> StoreConfig {
        StoreConfig::Sqlite(SqliteConfig {
            path: Some(folder.join("store.db")),
        })
    }
}

impl Backend for Sqlite {
    async fn open_sealed_by(&self, sealer: Sealer) -> Store {
        let config = Self::config(self.0.path());
        Store::open(&config, self.0.path(), &Limits::default(), Arc::new(sealer))
            .await
            .unwrap()
    }

    fn can_be_killed(&self) -> bool {
        true
    }

    /// The embedded store is this process, so another one of this program is started and killed.
    async fn write_until_killed(&mut self, done: u64) -> u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::contract::backend::writes_until_killed",
                "--nocapture",
            ])
            .env(FOLDER, self.0.path())
            .env(DONE, done.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = done;
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line
                .rsplit("acknowledged ")
                .next()
                .and_then(|number| number.parse().ok())
            {
                acknowledged = number;
            }
            if acknowledged == done + 20 {
                // What it writes after this, it writes while it is being killed.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acknowledged >= done + 20, "the writer ended at {acknowledged}");
        acknowledged
    }

    async fn drop_database(&self, store: Store) {
        store.close().await;
    }
}

/// The writer of [`Sqlite::write_until_killed`]; without its environment it has nothing to do.
#[tokio::test]
async fn writes_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let done: u64 = std::env::var(DONE).unwrap().parse().unwrap();
    let sealer = Arc::new(Sealer::new(&[5; 32]));
    let store = Store::open(&Sqlite::config(&folder), &folder, &Limits::default(), sealer)
        .await
        .unwrap();
    for number in done + 1.. {
        super::commit(&store, number, vec![super::organization(number)], vec![])
            .await
            .unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\nacknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

pub(super) struct Mongo {
    uri: String,
    database: String,
    server: Option<Arc<Mutex<Server>>>,
    /// True if no other test uses the server, which may then be killed.
    alone: bool,
}

/// A server that the tests started.
struct Server {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Mongo {
    /// A database of its own, in a server that other tests use too. `None` only where `MONGO_TESTS=off` says so.
    pub(super) fn start() -> Option<Self> {
        Self::start_on(|| {
            let mut shared = SHARED.lock();
            shared.upgrade().unwrap_or_else(|| {
                let server = Arc::new(Mutex::new(Server::start()));
                *shared = Arc::downgrade(&server);
                server
            })
        })
    }

    /// The same in a server of its own.
    pub(super) fn start_alone() -> Option<Self> {
        let mut mongo = Self::start_on(|| Arc::new(Mutex::new(Server::start())))?;
        mongo.alone = mongo.server.is_some();
        Some(mongo)
    }

    fn start_on(server: impl FnOnce() -> Arc<Mutex<Server>>) -> Option<Self> {
        if std::env::var("MONGO_TESTS").is_ok_and(|value| value == "off") {
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let database = format!("igw_{}_{number}", std::process::id());
        let (uri, server) = match std::env::var("MONGODB_URI") {
            Ok(uri) => (uri, None),
            Err(_) => {
                let server = server();
                let uri = format!("mongodb://127.0.0.1:{}", server.lock().port);
                (uri, Some(server))
            }
        };
        Some(Self {
            uri,
            database,
            server,
            alone: false,
        })
    }

    /// The database, for looking at it past the store.
    pub(super) async fn handle(&self) -> mongodb::Database {
        let client = mongodb::Client::with_uri_str(&self.uri).await.unwrap();
        client.database(&self.database)
    }

    fn config(&self) -> StoreConfig {
        StoreConfig::Mongodb(MongodbConfig {
            uri: Secret::new(self.uri.as_str()),
            database: self.database.clone(),
        })
    }
}

impl Backend for Mongo {
    async fn open_sealed_by(&self, sealer: Sealer) -> Store {
        let limits = Limits {
            store_timeout_ms: 60_000,
            ..Limits::default()
        };
        Store::open(&self.config(), Path::new(""), &limits, Arc::new(sealer))
            .await
            .unwrap()
    }

    fn can_be_killed(&self) -> bool {
        self.alone
    }

    async fn write_until_killed(&mut self, done: u64) -> u64 {
        let store = Arc::new(self.open().await);
        let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let writer = tokio::spawn(async move {
            for number in done + 1.. {
                match super::commit(&store, number, vec![super::organization(number)], vec![]).await {
                    Ok(()) => report.send(number).unwrap(),
                    Err(_) => break,
                }
            }
        });
        let mut acknowledged = done;
        while acknowledged < done + 20 {
            acknowledged = reports.recv().await.expect("the writer goes on");
        }
        self.server.as_ref().unwrap().lock().kill();
        // What it does not know the outcome of, the writer would try until its time is up.
        writer.abort();
        let _ = writer.await;
        while let Some(number) = reports.recv().await {
            acknowledged = number;
        }
        self.server.as_ref().unwrap().lock().restart();
        acknowledged
    }

    async fn drop_database(&self, store: Store) {
        store.close().await;
        self.handle().await.drop().await.unwrap();
    }
}

impl Server {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut child = Self::launch(&folder, 0);
        let port = Self::port(&folder, &mut child);
        Self { child, folder, port }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = Self::launch(&self.folder, self.port);
        self.port = Self::port(&self.folder, &mut self.child);
    }

    fn launch(folder: &TempDir, port: u16) -> Child {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        Command::new(program())
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--sync-on-commit"])
            .arg("--storage-path")
            .arg(folder.path().join("data"))
            .current_dir(folder.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Waits for the line that names the port.
    fn port(folder: &TempDir, child: &mut Child) -> u16 {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            let rest = log.split("listening on 127.0.0.1:").nth(1).unwrap_or_default();
            let digits = rest
                .split(|letter: char| !letter.is_ascii_digit())
                .next()
                .unwrap_or_default();
            // A line that is only half written shows a shorter number.
            if digits.len() < rest.len()
                && let Ok(port) = digits.parse()
            {
                return port;
            }
            assert!(child.try_wait().unwrap().is_none(), "the MongoDB server ended: {log}");
            assert!(Instant::now() < deadline, "the MongoDB server does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("MONGO_TEST_BIN") {
        return program.into();
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/mongo-venv/bin/secantusd-py");
    assert!(
        installed.is_file(),
        "there is no MongoDB server for the tests: run `make mongo`, or set MONGODB_URI to a replica set, MONGO_TEST_BIN \
         to a server program, or MONGO_TESTS=off to leave these tests out"
    );
    installed
}

static NEXT: AtomicU32 = AtomicU32::new(0);
/// The server of the tests that run now; it ends with the last of them.
static SHARED: Mutex<Weak<Mutex<Server>>> = Mutex::new(Weak::new());
const FOLDER: &str = "STORE_TEST_FOLDER";
const DONE: &str = "STORE_TEST_DONE";
