//! Who is told of which alerts, and in which shape.

use filters::delivery::Signer;
use filters::model::outbound::signing::{Signing, SigningSecret, SigningSecrets};
use filters::model::{Problem, Secret};
use filters::target::{Scheme, TargetUrl};
use lettre::message::Mailbox;
use serde::Deserialize;

use crate::alerts::{About, Rule, Severity};

/// Which alerts somebody is told of: those that fit each of the lists. An empty list fits all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Only {
    /// Of these rules.
    pub rules: Vec<Rule>,
    /// This bad.
    pub severities: Vec<Severity>,
    /// About these organizations. Alerts about the whole installation are about none.
    pub org_ids: Vec<u64>,
}

/// Who is told by HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where alerts are posted to. Secret, as it may hold a token.
    pub url: Secret,
    /// The shape of what is posted.
    #[serde(default)]
    pub format: WebhookFormat,
    /// Signs what is posted: `whsec_` and 24 to 64 bytes in base64. Not for Slack and PagerDuty.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// With format `pagerDuty`: the integration key of the service.
    #[serde(default)]
    pub routing_key: Option<Secret>,
    /// Which alerts are posted; all if left out.
    #[serde(default)]
    pub only: Only,
}

/// The shape of what is posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebhookFormat {
    /// Our own.
    #[default]
    Standard,
    /// That of an incoming webhook of Slack.
    Slack,
    /// That of PagerDuty's Events API v2.
    PagerDuty,
}

/// Who is told by mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailConfig {
    /// Name or address of the mail server.
    pub host: String,
    /// Its port; the usual one of `tls` if not given.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// Name to sign in with; without one nobody signs in.
    #[serde(default)]
    pub username: Option<String>,
    /// The password to it.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Sender: `ops@clinic.example`, or `Gateway <ops@clinic.example>`.
    pub from: String,
    /// Receivers, at least one.
    pub to: Vec<String>,
    /// Which alerts are sent; all if left out.
    #[serde(default)]
    pub only: Only,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MailTls {
    /// It begins in clear and must change to TLS before anything is said (port 587).
    #[default]
    Starttls,
    /// TLS from the first byte (port 465).
    Implicit,
    /// None (port 25).
    None,
}

impl Only {
    /// True for what is about `about`. What is about several alerts is for those who may know of all organizations.
    pub(crate) fn takes(&self, about: Option<About>) -> bool {
        let Some(about) = about else {
            return self.org_ids.is_empty();
        };
        (self.rules.is_empty() || self.rules.contains(&about.rule))
            && (self.severities.is_empty() || self.severities.contains(&about.severity))
            && (self.org_ids.is_empty() || about.org_id.is_some_and(|org_id| self.org_ids.contains(&org_id)))
    }
}

impl WebhookConfig {
    /// What signs; `None` without a secret, or with one that cannot be used.
    pub(crate) fn signer(&self, path: &str, problems: &mut Vec<Problem>) -> Option<Signer> {
        let secret = SigningSecret {
            name: "alerts".to_owned(),
            value: self.secret.clone()?,
        };
        let signing = Signing::StandardWebhooks(SigningSecrets { secrets: vec![secret] });
        let mut found = Vec::new();
        let signer = Signer::compile(&signing, "", &mut found);
        let at = |problem: Problem| Problem::new(format!("{path}.secret"), problem.message);
        problems.extend(found.into_iter().map(at));
        signer
    }

    pub(super) fn check(&self, path: &str, allow_plaintext: bool, problems: &mut Vec<Problem>) {
        let at = format!("{path}.url");
        match TargetUrl::parse(self.url.expose()) {
            Err(error) => problems.push(Problem::new(at, error.to_string())),
            Ok(target) if target.scheme() == Scheme::Http && !allow_plaintext => {
                problems.push(Problem::new(at, PLAINTEXT));
            }
            Ok(_) => {}
        }
        self.signer(path, problems);
        let mut wrong = |name: &str, message: &str| problems.push(Problem::new(format!("{path}.{name}"), message));
        let is_pager = self.format == WebhookFormat::PagerDuty;
        match &self.routing_key {
            None if is_pager => wrong(
                "routingKey",
                "must be given with format `pagerDuty`: the service's integration key",
            ),
            Some(_) if !is_pager => wrong("routingKey", "is for format `pagerDuty` only; leave it out"),
            Some(key) if key.expose().trim().is_empty() => wrong("routingKey", "is empty"),
            _ => {}
        }
        if self.secret.is_some() && self.format != WebhookFormat::Standard {
            wrong(
                "secret",
                "is for format `standard` only: nobody else looks at the signature",
            );
        }
    }
}

impl MailConfig {
    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailTls::Starttls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        })
    }

    pub(super) fn check(&self, allow_plaintext: bool, problems: &mut Vec<Problem>) {
        let mut wrong = |name: &str, message: &str| {
            problems.push(Problem::new(format!("alerts.mail.{name}"), message));
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
        if self.host.is_empty() || self.host.len() > 253 || !self.host.bytes().all(allowed) {
            wrong(
                "host",
                "must be the name or address of the mail server, without scheme and port",
            );
        }
        if self.port == Some(0) {
            wrong("port", "must be 1 to 65535");
        }
        if self.tls == MailTls::None && !allow_plaintext {
            wrong("tls", PLAINTEXT);
        }
        if self.username.is_some() != self.password.is_some() {
            wrong("password", "must be given together with `username`, or neither of them");
        }
        if self.from.parse::<Mailbox>().is_err() {
            wrong("from", NO_MAILBOX);
        }
        if self.to.is_empty() {
            wrong("to", "must name at least one receiver");
        }
        for (index, to) in self.to.iter().enumerate() {
            if to.parse::<Mailbox>().is_err() {
                wrong(&format!("to[{index}]"), NO_MAILBOX);
            }
        }
    }
}

const PLAINTEXT: &str = "is without TLS; use TLS, or set `alerts.allowPlaintext` to true";
const NO_MAILBOX: &str = "is no mail address such as `ops@clinic.example` or `Gateway <ops@clinic.example>`";
