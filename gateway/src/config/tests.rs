use std::fs;

use filters::model::Secret;

use super::*;

fn load(yaml: &str, environment: &[(&str, &str)]) -> Result<ProcessConfig, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, yaml).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ProcessConfig::load(Some(&path), environment)
}

fn problems(yaml: &str, environment: &[(&str, &str)]) -> Vec<Problem> {
    match load(yaml, environment) {
        Err(ConfigError::Invalid(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn the_shipped_file_is_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/gateway.yaml");
    assert_eq!(ProcessConfig::load(Some(&path), []).unwrap(), ProcessConfig::default());
    assert_eq!(ProcessConfig::load(None, []).unwrap(), ProcessConfig::default());
    assert_eq!(load("# nothing\n", &[]).unwrap(), ProcessConfig::default());
}

#[test]
fn the_shipped_file_names_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/gateway.yaml");
    let shipped = filters::model::decode::from_text(&fs::read_to_string(path).unwrap()).unwrap();
    let mut missing = Vec::new();
    absent(
        &serde_json::to_value(ProcessConfig::default()).unwrap(),
        &shipped,
        "",
        &mut missing,
    );
    assert!(missing.is_empty(), "conf/gateway.yaml does not show {missing:?}");
}

fn absent(wanted: &serde_json::Value, shown: &serde_json::Value, path: &str, missing: &mut Vec<String>) {
    let Some(fields) = wanted.as_object() else {
        return;
    };
    for (name, value) in fields {
        let path = filters::model::problem::join(path, name);
        match shown.get(name) {
            Some(shown) => absent(value, shown, &path, missing),
            None => missing.push(path),
        }
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load(
        "listen: {http: '127.0.0.1:1'}\nedge: {headBytes: 2048, headers: 5}",
        &[
            ("GATEWAY_LISTEN__HTTP", "127.0.0.1:0"),
            ("GATEWAY_EDGE__HEAD_BYTES", "4096"),
            ("GATEWAY_EDGE__TRUSTED_PROXIES", "[10.0.0.0/8, \"fd00::/8\"]"),
            ("GATEWAY_GATEWAY__API_HOSTS", "[api.example.com]"),
            ("GATEWAY_ACCESS_LOG__OUTPUT", "off"),
            ("GATEWAY_DATA_DIR", "/var/lib/gateway"),
            ("GATEWAY_THREADS", "3"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.http, "127.0.0.1:0".parse().unwrap());
    assert_eq!(
        (config.edge.head_bytes, config.edge.headers, config.edge.uri_bytes),
        (4096, 5, 8192)
    );
    assert_eq!(config.edge.trusted_proxies.len(), 2);
    assert_eq!(config.gateway.api_hosts, ["api.example.com"]);
    assert_eq!(config.access_log.output, AccessLogOutput::Off);
    assert_eq!(config.upgrade_socket(), Path::new("/var/lib/gateway/upgrade.sock"));
    assert_eq!(config.worker_threads(), 3);
}

#[test]
fn texts_of_the_environment_are_taken_as_they_are() {
    let environment = [
        ("GATEWAY_GATEWAY__ID", "007"),
        ("GATEWAY_CONFIG__CONTROL_PLANE__TOKEN", "0123"),
    ];
    let config = load("", &environment).unwrap();
    assert_eq!(config.gateway_id(), "007");
    let ConfigSource::ControlPlane(control_plane) = &config.config else {
        panic!("{config:?}");
    };
    assert_eq!(control_plane.token, Some(Secret::new("0123")));
    assert_eq!(control_plane.url, ControlPlane::default().url);
    assert!(!format!("{config:?}").contains("0123"), "the token shows");
}

#[test]
fn without_a_name_the_gateway_has_that_of_its_host() {
    assert!(!ProcessConfig::default().gateway_id().is_empty());
}

#[test]
fn the_access_log_goes_where_the_file_says() {
    let output = |yaml: &str| load(yaml, &[]).unwrap().access_log.output;
    assert_eq!(output("accessLog: {output: stdout}"), AccessLogOutput::Stdout);
    assert_eq!(output("accessLog: {output: off}"), AccessLogOutput::Off);
    assert_eq!(
        output("accessLog: {output: {file: a.log}}"),
        AccessLogOutput::File("a.log".into())
    );
}

#[test]
fn a_source_in_the_environment_replaces_that_of_the_file() {
    let yaml = "config: {controlPlane: {url: 'http://127.0.0.1:1'}}";
    let config = load(yaml, &[("GATEWAY_CONFIG__FILE__PATH", "routes.yaml")]).unwrap();
    assert_eq!(
        config.config,
        ConfigSource::File(FileSource {
            path: "routes.yaml".into()
        })
    );
    let config = load(yaml, &[("GATEWAY_CONFIG__CONTROL_PLANE__TOKEN", "t")]).unwrap();
    let ConfigSource::ControlPlane(control_plane) = config.config else {
        panic!("{:?}", config.config);
    };
    assert_eq!(
        (control_plane.url.as_str(), control_plane.token.is_some()),
        ("http://127.0.0.1:1", true)
    );
}

#[test]
fn two_sources_or_none_are_refused() {
    let both = problems("config: {controlPlane: {}, file: {path: a.yaml}}", &[]);
    assert_eq!(both[0].path, "config");
    assert!(both[0].message.contains("both"), "{both:?}");
    let none = problems("config: {}", &[]);
    assert!(none[0].message.contains("set `controlPlane` or `file`"), "{none:?}");
}

#[test]
fn every_wrong_setting_is_named_with_its_place() {
    let found = problems(
        "edge: {headBytes: many, headersss: 1, trustedProxies: [10.0.0.0/8, home]}\nlisten: {http: 8080}",
        &[("GATEWAY_SHUTDOWN__GRACE_SECONDS", "soon")],
    );
    let of = |path: &str| {
        found
            .iter()
            .find(|problem| problem.path.starts_with(path))
            .unwrap_or_else(|| panic!("{path}: {found:?}"))
    };
    assert!(of("edge.headBytes").message.contains("gateway.yaml"), "{found:?}");
    assert!(of("edge.headersss").message.contains("unknown field"), "{found:?}");
    assert!(of("listen.http").message.contains("as in `0.0.0.0:8080`"), "{found:?}");
    assert!(of("edge.trustedProxies[1]").message.contains("10.0.0.0/8"), "{found:?}");
    assert!(of("shutdown.graceSeconds").message.contains("environment"), "{found:?}");
}

#[test]
fn a_token_that_cannot_be_read_is_not_shown() {
    let found = problems("config: {controlPlane: {token: 70514}}", &[]);
    assert_eq!(found[0].path, "config.controlPlane.token");
    assert!(!found[0].message.contains("70514"), "{found:?}");
}

#[test]
fn values_that_make_no_sense_are_refused_with_what_would() {
    let found = problems(
        "threads: 99999\nedge: {headBytes: 3}\nlog: {level: 'gateway=loud'}\ngateway: {id: 'a b', apiHosts: ['x:1']}\n\
         config: {controlPlane: {url: 'http://control.example.com', token: a, tokenFile: b}}",
        &[],
    );
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    let wanted = [
        "gateway.id",
        "gateway.apiHosts[0]",
        "threads",
        "edge.headBytes",
        "config.controlPlane.tokenFile",
        "config.controlPlane.url",
        "log.level",
    ];
    assert_eq!(paths, wanted, "{found:?}");
    assert!(found[2].message.contains("0 to 1024"), "{found:?}");
}

#[test]
fn the_variables_of_a_kubernetes_service_are_no_settings() {
    let environment = [
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_PORT", "tcp://10.0.0.1:8080"),
        ("GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(load("", &environment).unwrap(), ProcessConfig::default());
    let unknown = problems("", &[("GATEWAY_TREADS", "3")]);
    assert!(unknown[0].message.contains("environment"), "{unknown:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = ProcessConfig::load(Some(Path::new("no/such/file.yaml")), []).unwrap_err();
    assert!(error.to_string().contains("no/such/file.yaml"), "{error}");
    let error = load("edge: {headBytes", &[]).unwrap_err();
    assert!(error.to_string().contains("gateway.yaml is not valid YAML"), "{error}");
    assert!(load("- a\n- b", &[]).unwrap_err().to_string().contains("mapping"));
}
