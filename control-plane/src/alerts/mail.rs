//! Tells by mail: one message over one SMTP connection to a checked address.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use egress::{ResolveError, Resolver};
use filters::address::EgressPolicy;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::notice::Notice;
use crate::config::alerts::receivers::{MailConfig, MailTls};

/// The mail server, and who gets the mail.
pub(super) struct Mail {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    from: Mailbox,
    to: Vec<Mailbox>,
    policy: EgressPolicy,
    resolver: Arc<Resolver>,
}

/// Why mail cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum MailSetupError {
    #[error("cannot read the authorities in {path}: {source}")]
    Authorities {
        path: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot set up TLS for mail: {0}")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("a mail address cannot be used: {0}")]
    Address(#[from] lettre::address::AddressError),
}

/// Why a mail server did not take it.
#[derive(Debug, thiserror::Error)]
pub(super) enum MailError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("the message cannot be written: {0}")]
    Message(#[from] lettre::error::Error),
    #[error("{host} did not take it: {source}")]
    Smtp {
        host: String,
        source: lettre::transport::smtp::Error,
    },
    #[error("{host} did not take it within {} s", .after.as_secs())]
    Timeout { host: String, after: Duration },
}

impl MailError {
    /// True if trying again later may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Resolve(_) | Self::Timeout { .. } => true,
            Self::Message(_) => false,
            Self::Smtp { source, .. } => !source.is_permanent(),
        }
    }
}

impl Mail {
    /// Reads the machine's trust store, and the authorities in a file.
    pub(super) fn new(
        config: &MailConfig,
        authorities: Option<&Path>,
        policy: EgressPolicy,
        resolver: &Arc<Resolver>,
    ) -> Result<Self, MailSetupError> {
        let tls = match config.tls {
            MailTls::None => Tls::None,
            MailTls::Starttls => Tls::Required(tls(&config.host, authorities)?),
            MailTls::Implicit => Tls::Wrapper(tls(&config.host, authorities)?),
        };
        let credentials = config.username.as_ref().zip(config.password.as_ref());
        let to: Result<Vec<Mailbox>, _> = config.to.iter().map(|to| to.parse()).collect();
        Ok(Self {
            host: config.host.clone(),
            port: config.port(),
            tls,
            credentials: credentials
                .map(|(name, password)| Credentials::new(name.clone(), password.expose().to_owned())),
            from: config.from.parse()?,
            to: to?,
            policy,
            resolver: Arc::clone(resolver),
        })
    }

    /// The mail server.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) async fn send(&self, notice: &Notice) -> Result<(), MailError> {
        let message = self.message(notice)?;
        let resolved = self
            .resolver
            .resolve(&self.host, self.port, &self.policy, CONNECT)
            .await?;
        let mut last = None;
        for address in resolved.addresses().iter().take(MOST_ADDRESSES) {
            match self.hand_over(*address, message.clone()).await {
                Ok(()) => return Ok(()),
                // Another address of the server does not change what the server says.
                Err(error) if !error.may_pass() => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| self.too_slow(CONNECT)))
    }

    async fn hand_over(&self, address: SocketAddr, message: Message) -> Result<(), MailError> {
        // The address is the one that was checked; the certificate is checked against the name.
        let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(address.port())
            .tls(self.tls.clone())
            .hello_name(ClientId::Domain(self.from.email.domain().to_owned()))
            .timeout(Some(CONNECT));
        let server = match &self.credentials {
            Some(credentials) => server.credentials(credentials.clone()),
            None => server,
        };
        let server: AsyncSmtpTransport<Tokio1Executor> = server.build();
        match tokio::time::timeout(TOTAL, server.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(source)) => Err(MailError::Smtp {
                host: self.host.clone(),
                source,
            }),
            Err(_) => Err(self.too_slow(TOTAL)),
        }
    }

    fn message(&self, notice: &Notice) -> Result<Message, MailError> {
        let domain = self.from.email.domain();
        let id = |id: &str| format!("<{id}@{domain}>");
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(&notice.subject)
            .message_id(Some(id(&notice.id)))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN);
        if let Some(thread) = &notice.thread {
            message = message.in_reply_to(id(thread)).references(id(thread));
        }
        for to in &self.to {
            message = message.to(to.clone());
        }
        Ok(message.body(notice.text.clone())?)
    }

    fn too_slow(&self, after: Duration) -> MailError {
        MailError::Timeout {
            host: self.host.clone(),
            after,
        }
    }
}

fn tls(host: &str, authorities: Option<&Path>) -> Result<TlsParameters, MailSetupError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(path) = authorities {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| MailSetupError::Authorities {
            path: path.display().to_string(),
            source,
        };
        let pem = std::fs::read(path).map_err(|error| failed(error.into()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| failed(error.into()))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    parameters.build_rustls().map_err(MailSetupError::Tls)
}

/// For the name and the connection, each.
const CONNECT: Duration = Duration::from_secs(10);
/// For everything that is said on one connection.
const TOTAL: Duration = Duration::from_secs(60);
const MOST_ADDRESSES: usize = 3;
