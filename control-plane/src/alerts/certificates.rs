//! When the certificates that gateways show expire. They are read when the configuration changes, and not at each look.

use filters::certificate::expiry;
use filters::model::Snapshot;
use jiff::Timestamp;

/// A certificate that gateways show, to clients or to a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) org_id: u64,
    /// Whose it is.
    pub(crate) holder: Holder,
    /// Its name, or that of the integration, for people.
    pub(crate) name: String,
    /// When it, or one of those that vouch for it, is refused.
    pub(crate) at: Timestamp,
}

/// Whose certificate it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// One that clients see.
    Certificate(String),
    /// The one that an inbound integration shows to its partner.
    Inbound(String),
    /// The one that a subscription shows to its endpoint.
    Outbound(String),
}

/// What was read of one version of the configuration.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    version: Option<u64>,
    found: Vec<Expiry>,
}

impl Expiries {
    /// Those of the active objects of `snapshot`. What cannot be read was refused when it was saved.
    pub(super) fn of(&mut self, snapshot: &Snapshot) -> &[Expiry] {
        if self.version != Some(snapshot.version) {
            self.found = read(snapshot);
            self.version = Some(snapshot.version);
        }
        &self.found
    }
}

fn read(snapshot: &Snapshot) -> Vec<Expiry> {
    let certificates = snapshot.certificates.values().map(|entry| &*entry.value);
    let shown = certificates.filter(|one| one.is_active).filter_map(|one| {
        Some(Expiry {
            org_id: one.org_id,
            holder: Holder::Certificate(one.id.clone()),
            name: one.name.clone(),
            at: at(&one.certificate)?,
        })
    });
    let inbound = snapshot.integrations.values().map(|entry| &*entry.value);
    let inbound = inbound.filter(|one| one.is_active).filter_map(|one| {
        Some(Expiry {
            org_id: one.org_id,
            holder: Holder::Inbound(one.id.clone()),
            name: one.name.clone(),
            at: client_certificate(one.outgoing_tls.as_ref())?,
        })
    });
    let outbound = snapshot.outbound.values().map(|entry| &*entry.value);
    let outbound = outbound.filter(|one| one.is_active).filter_map(|one| {
        let steps = one.actions.iter().map(|action| action.outgoing_tls.as_ref());
        let all = std::iter::once(one.outgoing_tls.as_ref()).chain(steps);
        Some(Expiry {
            org_id: one.org_id,
            holder: Holder::Outbound(one.id.clone()),
            name: one.name.clone(),
            at: all.filter_map(client_certificate).min()?,
        })
    });
    shown.chain(inbound).chain(outbound).collect()
}

fn client_certificate(tls: Option<&serde_json::Value>) -> Option<Timestamp> {
    at(tls?.get("clientCertificate")?.as_str()?)
}

fn at(chain: &str) -> Option<Timestamp> {
    Timestamp::from_second(expiry(chain.as_bytes()).ok()?).ok()
}
