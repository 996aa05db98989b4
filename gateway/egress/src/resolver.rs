//! Names to checked addresses: DNS with TTLs, one lookup per name at a time, and a bounded stand-in for a DNS that fails.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use filters::address::EgressPolicy;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::{TokioResolver, system_conf};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::error::{ResolveError, SetupError};

mod lookup;
mod name;

use name::{Flight, Known, Name, Need, Outcome, Records};

/// The addresses of a host that the policy lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    addresses: Vec<SocketAddr>,
    valid_until: Instant,
    refresh_at: Instant,
}

impl Resolved {
    /// An address that needs no DNS and stays what it is.
    pub(crate) fn constant(address: SocketAddr) -> Self {
        let valid_until = Instant::now() + FOR_GOOD;
        Self {
            addresses: vec![address],
            valid_until,
            refresh_at: valid_until,
        }
    }

    /// The addresses, all of one family; never empty.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// When they must be resolved anew.
    pub fn valid_until(&self) -> Instant {
        self.valid_until
    }

    /// When they are better resolved anew, with some time left.
    pub(crate) fn refresh_at(&self) -> Instant {
        self.refresh_at
    }
}

/// Resolves names, without ever blocking a thread. Shared by everything that connects.
///
/// TTLs are honoured between 1 second and 5 minutes. While DNS fails, addresses that it gave before are used for up to 60
/// seconds beyond their time; that a name does not exist is an answer and is believed at once.
#[derive(Debug)]
pub struct Resolver {
    dns: TokioResolver,
    families: [RecordType; 2],
    names: Mutex<AHashMap<Box<str>, Arc<Name>>>,
}

impl Resolver {
    /// A resolver as `/etc/resolv.conf` and `/etc/hosts` describe it; both are read now and not again. Without a usable
    /// `resolv.conf` the name server is `127.0.0.1:53`, as in the C library.
    ///
    /// # Errors
    /// If the name resolution cannot be set up.
    pub fn from_system() -> Result<Self, SetupError> {
        match system_conf::read_system_conf() {
            Ok((config, options)) => Self::build(config, options),
            Err(error) => {
                tracing::warn!(%error, "no usable resolv.conf: names are resolved by 127.0.0.1:53");
                Self::with_name_servers(&[SocketAddr::from(([127, 0, 0, 1], 53))])
            }
        }
    }

    /// A resolver that asks `servers`; `/etc/hosts` is read now and comes first.
    ///
    /// # Errors
    /// If the name resolution cannot be set up.
    pub fn with_name_servers(servers: &[SocketAddr]) -> Result<Self, SetupError> {
        let connections = |port| {
            [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
                let mut connection = ConnectionConfig::new(protocol);
                connection.port = port;
                connection
            })
        };
        let servers = servers
            .iter()
            .map(|server| NameServerConfig::new(server.ip(), true, connections(server.port()).into()))
            .collect();
        Self::build(
            ResolverConfig::from_parts(None, Vec::new(), servers),
            ResolverOpts::default(),
        )
    }

    fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, SetupError> {
        // One cache is enough, and only the one here knows when to keep what has expired.
        options.cache_size = 0;
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Self {
            dns: builder.build().map_err(SetupError::Resolver)?,
            families: lookup::families(),
            names: Mutex::default(),
        })
    }

    /// The addresses of `host` that `policy` lets through, waiting up to `limit`. An IP address stands for itself.
    ///
    /// # Errors
    /// If there are none: the name does not exist, DNS fails, or every address is refused.
    pub async fn resolve(
        &self,
        host: &str,
        port: u16,
        policy: &EgressPolicy,
        limit: Duration,
    ) -> Result<Resolved, ResolveError> {
        self.look_up(host, port, policy, limit, Need::Valid).await
    }

    /// The same, but addresses that are about to expire are resolved anew.
    pub(crate) async fn renew(
        &self,
        host: &str,
        port: u16,
        policy: &EgressPolicy,
        limit: Duration,
    ) -> Result<Resolved, ResolveError> {
        self.look_up(host, port, policy, limit, Need::Renewed).await
    }

    async fn look_up(
        &self,
        host: &str,
        port: u16,
        policy: &EgressPolicy,
        limit: Duration,
        need: Need,
    ) -> Result<Resolved, ResolveError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return checked(host, port, policy, &Records::constant(address, Instant::now()));
        }
        let records = self.records(host, limit, need).await?;
        checked(host, port, policy, &records)
    }

    async fn records(&self, host: &str, limit: Duration, need: Need) -> Outcome {
        let name = self.name(host);
        let (mut flight, stand_in) = {
            let mut state = name.state.lock();
            let stand_in = match state.known(need, Instant::now()) {
                Known::Settled(outcome) => return outcome,
                Known::Expired(records) => Some(records),
                Known::Nothing => None,
            };
            let flight = state.join(|| self.start(host, Arc::clone(&name)));
            (flight, stand_in)
        };
        let patience = stand_in.as_ref().map_or(limit, |_| limit.min(STAND_IN_AFTER));
        match (timeout(patience, flight.wait_for(Option::is_some)).await, stand_in) {
            (Ok(Ok(landed)), _) => landed.clone().unwrap_or_else(|| Err(interrupted(host))),
            (_, Some(records)) => Ok(records),
            (Ok(Err(_)), None) => Err(interrupted(host)),
            (Err(_), None) => Err(ResolveError::Timeout {
                host: host.to_owned(),
                after: limit,
            }),
        }
    }

    /// Starts the one lookup of a name. It goes on when the callers that wait for it lose patience.
    fn start(&self, host: &str, name: Arc<Name>) -> Flight {
        let (landed, flight) = watch::channel(None);
        let dns = self.dns.clone();
        let families = self.families;
        let host = host.to_owned();
        tokio::spawn(async move {
            let outcome = lookup::look_up(&dns, families, &host).await;
            let outcome = name.state.lock().land(outcome, Instant::now());
            landed.send_replace(Some(outcome));
        });
        flight
    }

    fn name(&self, host: &str) -> Arc<Name> {
        let mut names = self.names.lock();
        if let Some(name) = names.get(host) {
            return Arc::clone(name);
        }
        // Names come from the configuration and go with it; a full map is the time to forget those that went.
        if names.len() >= names.capacity() {
            let now = Instant::now();
            names.retain(|_, name| Arc::strong_count(name) > 1 || name.state.lock().is_of_use(now));
        }
        let name = Arc::<Name>::default();
        names.insert(host.into(), Arc::clone(&name));
        name
    }
}

/// What `policy` leaves of `records`, with the port. The time that they may be used for is that of the records; those
/// that stand in past their time are to be asked for again with the next request.
fn checked(host: &str, port: u16, policy: &EgressPolicy, records: &Records) -> Result<Resolved, ResolveError> {
    let mut refused = None;
    let mut addresses = Vec::with_capacity(records.addresses.len());
    for &address in &records.addresses {
        match policy.check(address) {
            Ok(()) => addresses.push(SocketAddr::new(address, port)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(refused) if addresses.is_empty() => Err(ResolveError::Refused {
            host: host.to_owned(),
            refused,
        }),
        _ if addresses.is_empty() => Err(ResolveError::NotFound { host: host.to_owned() }),
        _ => Ok(Resolved {
            addresses,
            valid_until: records.valid_until,
            refresh_at: records.refresh_at,
        }),
    }
}

fn interrupted(host: &str) -> ResolveError {
    ResolveError::Failed {
        host: host.to_owned(),
        reason: "the lookup was interrupted".to_owned(),
    }
}

/// A hundred years.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// Where there are addresses from before, a DNS that does not answer is waited for no longer than this.
const STAND_IN_AFTER: Duration = Duration::from_millis(500);
