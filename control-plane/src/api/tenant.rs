//! An organization with its units: within which somebody works, and how much there is in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::{Entry, OrgUnit, Organization, Snapshot};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Params, Place};
use super::resource::Resource;
use super::templates::OfOrganization;
use crate::store::Sheet;
use crate::ui_config::{Section, UiConfig};

/// The organization that a caller works within.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tenant {
    /// The organization. One that nobody described has its number only.
    organization: Organization,
    /// Its units, by number.
    units: Vec<OrgUnit>,
    /// IANA name of its time zone.
    timezone: String,
    /// The time there now (RFC 3339, with its offset from UTC).
    local_time: String,
    /// Sections of the console that it is shown.
    features: Vec<Section>,
    /// How many objects it has.
    counts: Counts,
}

/// An organization with its units.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hierarchy {
    /// The organization.
    organization: Organization,
    /// How many objects it has, those of its units included.
    counts: Counts,
    /// Outbound integrations that are for the organization as a whole.
    outbound_integrations: usize,
    /// Its units, by number.
    units: Vec<UnitNode>,
}

/// A unit, and what is for it alone.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UnitNode {
    #[serde(flatten)]
    unit: OrgUnit,
    /// Outbound integrations that are for this unit.
    outbound_integrations: usize,
    /// Those of the organization as a whole that leave this unit out.
    excluded_from: usize,
}

/// How many objects an organization has.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TenantCounts")]
struct Counts {
    /// Units.
    units: usize,
    /// Inbound integrations.
    inbound_integrations: usize,
    /// Inbound integrations that are active.
    active_inbound_integrations: usize,
    /// Outbound integrations.
    outbound_integrations: usize,
    /// Outbound integrations that are active.
    active_outbound_integrations: usize,
    /// Types of events.
    event_types: usize,
    /// Lookup tables.
    lookups: usize,
    /// Client systems.
    consumers: usize,
    /// Producers' keys.
    producer_keys: usize,
    /// Certificates of the listeners.
    certificates: usize,
}

/// An organization in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Numbered {
    /// Number of the organization.
    id: u64,
}

/// Shows the organization that the caller works within.
pub(super) async fn tenant(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(OfOrganization { org_id }): Params<OfOrganization>,
) -> Result<Json<Tenant>, ApiError> {
    caller.allow(org_id)?;
    let console: Option<Sheet<UiConfig>> = app.store.sheet(&org_id.to_string()).await?;
    let hidden = console.map(|sheet| sheet.value.hidden_sections).unwrap_or_default();
    let state = app.publisher.state();
    let snapshot = &state.snapshot;
    let organization = described(snapshot, org_id).unwrap_or_else(|| Organization {
        org_id,
        ..Organization::default()
    });
    let timezone = organization.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
    let zone = TimeZone::get(&timezone).unwrap_or(TimeZone::UTC);
    let now = Timestamp::now().to_zoned(zone);
    Ok(Json(Tenant {
        organization,
        units: units_of(snapshot, org_id).cloned().collect(),
        timezone,
        local_time: now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        features: Section::ALL
            .into_iter()
            .filter(|section| !hidden.contains(section))
            .collect(),
        counts: Counts::of(snapshot, org_id),
    }))
}

/// Shows an organization with its units.
pub(super) async fn hierarchy(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { id }): Place<Numbered>,
) -> Result<Json<Hierarchy>, ApiError> {
    caller.allow(id)?;
    let state = app.publisher.state();
    let snapshot = &state.snapshot;
    let absent = || ApiError::not_found(&format!("organization {id}"));
    let organization = described(snapshot, id).ok_or_else(absent)?;
    let (mut of_units, mut excluded): (BTreeMap<u64, usize>, BTreeMap<u64, usize>) = Default::default();
    let mut whole = 0;
    for entry in snapshot.outbound.values().filter(|entry| entry.value.org_id == id) {
        match entry.value.tenant() {
            tenant if tenant == id => whole += 1,
            unit => *of_units.entry(unit).or_default() += 1,
        }
        for rid in &entry.value.excluded_entity_rids {
            *excluded.entry(*rid).or_default() += 1;
        }
    }
    let units = units_of(snapshot, id).map(|unit| UnitNode {
        outbound_integrations: of_units.get(&unit.rid).copied().unwrap_or_default(),
        excluded_from: excluded.get(&unit.rid).copied().unwrap_or_default(),
        unit: unit.clone(),
    });
    Ok(Json(Hierarchy {
        organization,
        counts: Counts::of(snapshot, id),
        outbound_integrations: whole,
        units: units.collect(),
    }))
}

fn described(snapshot: &Snapshot, org_id: u64) -> Option<Organization> {
    let entry = snapshot.organizations.get(&org_id)?;
    Some((*entry.value).clone())
}

fn units_of(snapshot: &Snapshot, org_id: u64) -> impl Iterator<Item = &OrgUnit> {
    let units = snapshot.units.values().map(|entry| &*entry.value);
    units.filter(move |unit| unit.org_id == org_id)
}

impl Counts {
    fn of(snapshot: &Snapshot, org_id: u64) -> Self {
        let active = |is_active: bool| usize::from(is_active);
        let inbound = snapshot
            .integrations
            .values()
            .filter(|entry| entry.value.org_id == org_id);
        let outbound = snapshot.outbound.values().filter(|entry| entry.value.org_id == org_id);
        Self {
            units: count(snapshot.units.values(), org_id),
            inbound_integrations: inbound.clone().count(),
            active_inbound_integrations: inbound.map(|entry| active(entry.value.is_active)).sum(),
            outbound_integrations: outbound.clone().count(),
            active_outbound_integrations: outbound.map(|entry| active(entry.value.is_active)).sum(),
            event_types: count(snapshot.event_types.values(), org_id),
            lookups: count(snapshot.lookups.values(), org_id),
            consumers: count(snapshot.consumers.values(), org_id),
            producer_keys: count(snapshot.producer_keys.values(), org_id),
            certificates: count(snapshot.certificates.values(), org_id),
        }
    }
}

fn count<'a, T: Resource>(entries: impl Iterator<Item = &'a Entry<T>>, org_id: u64) -> usize {
    entries.filter(|entry| entry.value.org_id() == org_id).count()
}

pub(super) fn tenant_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Show the organization that a caller works within: its units, time zone, features and counts")
}

pub(super) fn hierarchy_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Show an organization with its units, and how much there is in each")
        .errors(&[404])
}
