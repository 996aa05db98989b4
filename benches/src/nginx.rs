//! nginx as the partner that everything is proxied to, and how its configuration is written for both of its roles.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use harness::Process;

use crate::client::{Question, first_good_answer, free_address};
use crate::error::Error;
use crate::tools::Tools;

/// A partner that answers each request at once, on a core of its own if one is named.
#[derive(Debug)]
pub struct Upstream {
    /// Its address.
    pub address: SocketAddr,
    _process: Process,
}

impl Upstream {
    /// Starts it; `location` is what nginx does with each request, as in `return 200 hello;`.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn start(tools: &Tools, folder: &Path, core: Option<usize>, location: &str) -> Result<Self, Error> {
        let address = free_address()?;
        let server = format!(
            "server {{ listen {address} backlog=8192; location / {{ default_type application/json; {location} }} }}"
        );
        let command = command(tools, folder, "upstream", core, &server)?;
        let process = Process::start("upstream", command, folder);
        first_good_answer("the upstream", address, &Question::new("upstream", "/"))?;
        Ok(Self {
            address,
            _process: process,
        })
    }
}

/// The command that starts nginx with these servers: one process, which keeps connections for as long as it can.
///
/// # Errors
/// If its configuration cannot be written.
pub fn command(tools: &Tools, folder: &Path, name: &str, core: Option<usize>, servers: &str) -> Result<Command, Error> {
    let home = folder.join(name);
    let configuration = home.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr error;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_timeout 3600s; keepalive_requests 1000000000;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  {servers}
}}
"
    );
    fs::create_dir_all(&home)
        .and_then(|()| fs::write(&configuration, text))
        .map_err(Error::system(format!("write {}", configuration.display())))?;
    let mut command = tools.command(tools.nginx(), core);
    // The name of a log that exists from the start: the built-in one belongs to the system's nginx.
    command
        .args(["-e", "stderr", "-p"])
        .arg(&home)
        .arg("-c")
        .arg(&configuration);
    Ok(command)
}
