//! Organizations: what gateways and people need to know of each.

use filters::model::Organization;
use filters::model::push::ObjectId;

use super::error::ApiError;
use super::operator::Caller;
use super::resource::{Everything, Resource, kept_in};
use crate::publish::Refusal;

impl Resource for Organization {
    type Filter = Everything;

    const PATH: &'static str = "admin/organizations";
    const NOUN: &'static str = "organization";
    const LIST: &'static str = "organizations";
    const ID: &'static str = "orgId";
    const PAGE: (usize, usize) = (1_000, 1_000);

    kept_in!(organizations as Organization, numbered org_id);

    fn texts(&self) -> Vec<&str> {
        let others = [&self.code, &self.email, &self.phone, &self.address, &self.region];
        profile(&self.name, others, &self.tags)
    }

    /// Each key sees those that it is for.
    fn scope(caller: &Caller, org_id: Option<u64>) -> Result<Option<u64>, ApiError> {
        org_id.map_or(Ok(()), |org_id| caller.allow(org_id))?;
        Ok(org_id)
    }

    fn within(id: &ObjectId, org_id: Option<u64>) -> Option<u64> {
        match id {
            ObjectId::Organization(number) => Some(*number),
            _ => org_id,
        }
    }

    /// What an organization is allowed is not for itself to say.
    fn may_change(caller: &Caller, _org_id: u64) -> Result<(), Refusal> {
        caller.may_all()
    }
}

/// The texts of an organization or a unit that a search looks at.
pub(super) fn profile<'a>(name: &'a str, others: [&'a Option<String>; 5], tags: &'a [String]) -> Vec<&'a str> {
    let others = others.into_iter().filter_map(Option::as_deref);
    let tags = tags.iter().map(String::as_str);
    std::iter::once(name).chain(others).chain(tags).collect()
}
