//! Where a request comes from.

use std::net::IpAddr;

use filters::plan::Integration;

use super::super::fault::{Fault, Forbidden};

/// Refuses clients that call from where the integration does not want them to.
pub(super) fn check(integration: &Integration, client: Option<IpAddr>) -> Result<(), Fault> {
    match &integration.client_networks {
        Some(networks) if !networks.admits(client) => Err(Fault::Forbidden(Forbidden::Address)),
        _ => Ok(()),
    }
}
