use super::*;

fn read(text: &str) -> Result<ProcessConfig, Vec<String>> {
    read_with(text, &[])
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<ProcessConfig, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("control-plane.yaml");
    std::fs::write(&file, text).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ProcessConfig::read(Some(&file), variables.collect()).map_err(|error| match error {
        ConfigError::Problems { problems, .. } => problems.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    })
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = read("# nothing set\n").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7070");
    assert!(matches!(config.store, StoreConfig::Sqlite(_)));
    assert!(config.security.enforce_https && config.security.block_private_networks);
}

#[test]
fn every_wrong_setting_is_named() {
    let problems = read("listen: here\nlog: {colour: red}\nstor: 1\nlimits: {bodyBytes: -1}\n").unwrap_err();
    let all = problems.join("\n");
    for part in ["listen", "`colour`", "`stor`", "limits.bodyBytes"] {
        assert!(all.contains(part), "{part} is missing in {all}");
    }
}

#[test]
fn values_out_of_range_are_refused() {
    let problems = read("limits: {requestTimeoutMs: 0, connections: 0}\nrecords: {retentionDays: 0, maxRecords: 0}\n");
    let problems = problems.unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn origins_of_pages_are_checked_and_their_place_is_named() {
    let problems = read("security: {cors: {allowOrigins: ['*', 'console.example'], allowCredentials: true}}\n");
    let problems = problems.unwrap_err().join("\n");
    for place in ["security.cors.allowOrigins[0]", "security.cors.allowOrigins[1]"] {
        assert!(problems.contains(place), "{problems}");
    }
    let any = read("security: {cors: {allowOrigins: ['*'], allowCredentials: true}}\n").unwrap_err();
    assert!(any.join("").contains("allowCredentials"), "{any:?}");
}

#[test]
fn variables_name_settings() {
    assert_eq!(path_of("STORE__SQLITE__PATH"), "store.sqlite.path");
    assert_eq!(path_of("DATA_DIR"), "dataDir");
    assert_eq!(path_of("LIMITS__BULK_BODY_BYTES"), "limits.bulkBodyBytes");
}

#[test]
fn secrets_of_the_settings_are_not_printed() {
    let config = read(
        "operatorKeys: [{name: ops, value: very-secret-operator-key}]\n\
         store: {mongodb: {uri: 'mongodb://user:hunter2@db.example'}}\n",
    )
    .unwrap();
    let printed = format!("{config:?}");
    assert!(
        !printed.contains("hunter2") && !printed.contains("very-secret"),
        "{printed}"
    );
}

#[test]
fn the_shipped_file_shows_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/control-plane.yaml");
    let shipped = ProcessConfig::read(Some(&file), Vec::new()).unwrap();
    assert_eq!(format!("{shipped:?}"), format!("{:?}", ProcessConfig::default()));
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "listen: 127.0.0.1:1\nstore: {sqlite: {path: here.db}}\nlimits: {bodyBytes: 5, connections: 6}\n";
    let variables = [
        ("LISTEN", "127.0.0.1:0"),
        ("DATA_DIR", "elsewhere"),
        ("STORE__SQLITE__PATH", "/there.db"),
        ("LIMITS__BODY_BYTES", "7"),
        ("SECURITY__ENFORCE_HTTPS", "false"),
        (
            "OPERATOR_KEYS",
            "[{name=\"ops\", value=\"0123456789abcdef\", orgIds=[1, 2]}]",
        ),
        ("CONFIG", "not a setting"),
    ];
    let config = read_with(file, &variables).unwrap();
    assert_eq!(config.listen.port(), 0);
    assert_eq!(config.data_dir, Path::new("elsewhere"));
    assert!(
        matches!(&config.store, StoreConfig::Sqlite(sqlite) if sqlite.path.as_deref() == Some(Path::new("/there.db")))
    );
    assert_eq!((config.limits.body_bytes, config.limits.connections), (7, 6));
    assert!(!config.security.enforce_https && config.security.block_private_networks);
    assert_eq!(config.operator_keys[0].org_ids.as_deref(), Some([1, 2].as_slice()));

    let unknown = read_with(file, &[("COLOUR", "red"), ("LIMITS__BODY_BYTES", "many")])
        .unwrap_err()
        .join("\n");
    assert!(
        unknown.contains("`colour`") && unknown.contains("limits.bodyBytes"),
        "{unknown}"
    );
}

#[test]
fn wrong_settings_of_alerts_are_named() {
    let problems = read(
        "alerts:\n  checkEverySeconds: 0\n  rules: {lag: {seconds: 0}}\n  webhooks:\n    - url: http://hooks.example/x\n    \
         - {url: https://hooks.example/x, secret: hunter2}\n    - url: hooks\n  mail: {host: 'smtp://x', tls: none, \
         username: ops, from: nobody, to: []}\n",
    )
    .unwrap_err();
    let all = problems.join("\n");
    for path in [
        "alerts.checkEverySeconds",
        "alerts.rules.lag.seconds",
        "alerts.webhooks[0].url: is without TLS",
        "alerts.webhooks[1].secret: must begin with `whsec_`",
        "alerts.webhooks[2].url",
        "alerts.mail.host",
        "alerts.mail.tls",
        "alerts.mail.password",
        "alerts.mail.from",
        "alerts.mail.to",
    ] {
        assert!(all.contains(path), "no {path} in {all}");
    }
    assert_eq!(problems.len(), 10, "{all}");
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn a_webhook_that_cannot_be_what_it_says_is_refused() {
    let hooks = "alerts:\n  webhooks:\n    - {url: https://a.example, format: pagerDuty}\n    - {url: https://a.example, \
                 routingKey: k}\n    - {url: https://a.example, format: slack, secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}\n";
    let problems = read(hooks).unwrap_err().join("\n");
    for place in ["webhooks[0].routingKey", "webhooks[1].routingKey", "webhooks[2].secret"] {
        assert!(problems.contains(place), "{place} is missing in {problems}");
    }
}

#[test]
fn alerts_are_set_by_the_environment_and_their_secrets_are_not_printed() {
    let variables = [
        ("ALERTS__CHECK_EVERY_SECONDS", "5"),
        ("ALERTS__RULES__DEAD_LETTERS__PER_SUBSCRIPTION", "1"),
        ("ALERTS__WEBHOOKS", "[{url=\"https://hooks.example/hunter2\"}]"),
        ("ALERTS__MAIL__HOST", "smtp.example"),
        ("ALERTS__MAIL__USERNAME", "ops"),
        ("ALERTS__MAIL__PASSWORD", "hunter2"),
        ("ALERTS__MAIL__FROM", "gateway@clinic.example"),
        ("ALERTS__MAIL__TO", "[\"ops@clinic.example\"]"),
    ];
    let alerts = read_with("", &variables).unwrap().alerts;
    assert_eq!(
        (alerts.check_every_seconds, alerts.rules.dead_letters.per_subscription),
        (5, 1)
    );
    assert_eq!(
        alerts.rules.dead_letters.per_organization, 1_000,
        "the others stay as they are"
    );
    assert_eq!(alerts.mail.as_ref().map(|mail| mail.port()), Some(587));
    let printed = format!("{alerts:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
}
