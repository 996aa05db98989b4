//! The peers, each with the least configuration that keeps connections alive on both sides, and without an access log.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use benches::error::Error;
use benches::nginx;
use benches::tools::Tools;
use serde_json::json;

use crate::PROXY_CORE;

/// nginx: one process, which keeps as many connections to the upstream as the generator has to it.
pub(crate) fn nginx(tools: &Tools, folder: &Path, address: SocketAddr, upstream: SocketAddr) -> Result<Command, Error> {
    let servers = format!(
        "upstream partner {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 3600s; }}
  server {{
    listen {address} backlog=8192;
    location / {{
      proxy_pass http://partner; proxy_http_version 1.1;
      proxy_set_header Connection \"\"; proxy_set_header Host $host;
    }}
  }}"
    );
    nginx::command(tools, folder, "nginx", Some(PROXY_CORE), &servers)
}

/// HAProxy: one thread.
pub(crate) fn haproxy(
    tools: &Tools,
    program: &Path,
    folder: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
) -> Result<Command, Error> {
    let file = folder.join("haproxy.cfg");
    let text = format!(
        "global
  maxconn 6000
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 30s
  timeout http-keep-alive 60s
  option http-keep-alive
  http-reuse always
frontend clients
  bind {address} backlog 8192
  default_backend partner
backend partner
  server partner {upstream}
"
    );
    write(&file, text)?;
    let mut command = tools.command(program, Some(PROXY_CORE));
    command.arg("-db").arg("-f").arg(&file);
    Ok(command)
}

/// Envoy: one worker, the router as its only filter.
pub(crate) fn envoy(
    tools: &Tools,
    program: &Path,
    folder: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
) -> Result<Command, Error> {
    let file = folder.join("envoy.json");
    let of_type = |name: &str, mut fields: serde_json::Value| {
        fields["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.{name}"));
        fields
    };
    let socket = |address: SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let router = of_type("http.router.v3.Router", json!({}));
    let manager = of_type(
        "network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "clients",
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
            "route_config": {"virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "partner"}}],
            }]},
        }),
    );
    let configuration = json!({"static_resources": {
        "listeners": [{
            "name": "clients",
            "address": socket(address),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }]}],
        }],
        "clusters": [{
            "name": "partner",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": "partner",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(upstream)}}]}],
            },
        }],
    }});
    write(&file, configuration.to_string())?;
    let mut command = tools.command(program, Some(PROXY_CORE));
    command
        .args([
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "error",
            "-c",
        ])
        .arg(&file);
    Ok(command)
}

fn write(file: &Path, text: String) -> Result<(), Error> {
    fs::write(file, text).map_err(Error::system(format!("write {}", file.display())))
}
