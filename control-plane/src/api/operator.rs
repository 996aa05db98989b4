//! Who is asking: a handler that takes [`Caller`] is for operators only.

use std::sync::Arc;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use axum::extract::FromRequestParts;
use filters::auth::query_value;
use http::request::Parts;

use super::App;
use super::error::{ApiError, documented};
use super::observe::Noted;
use crate::access::Operator;
use crate::publish::{Author, Refusal};

/// The operator who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller(Arc<Operator>);

impl Caller {
    /// The operator's name.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// As the author of a change.
    pub(super) fn author(&self, message: String) -> Author {
        Author {
            name: self.0.name.clone(),
            message,
            org_ids: self.0.org_ids().cloned(),
        }
    }

    /// The organizations of a list: the one that is asked for, or all (`None`) if the key sees all.
    pub(super) fn scope(&self, org_id: Option<u64>) -> Result<Option<u64>, ApiError> {
        match org_id {
            Some(org_id) => self.allow(org_id).map(|()| Some(org_id)),
            None if self.0.sees_all() => Ok(None),
            None => Err(ApiError::validation(vec![filters::model::Problem::new(
                "orgId",
                "must be given as a query parameter, as this key is limited to certain organizations",
            )])),
        }
    }

    /// Refuses an organization that the key is not for.
    pub(super) fn allow(&self, org_id: u64) -> Result<(), ApiError> {
        if self.0.may_touch(org_id) {
            Ok(())
        } else {
            Err(ApiError::forbidden(forbidden(org_id)))
        }
    }

    /// The same inside of a change.
    pub(super) fn may(&self, org_id: u64) -> Result<(), Refusal> {
        if self.0.may_touch(org_id) {
            Ok(())
        } else {
            Err(Refusal::Forbidden(forbidden(org_id)))
        }
    }

    /// Refuses a key that is limited to certain organizations, inside of a change.
    pub(super) fn may_all(&self) -> Result<(), Refusal> {
        if self.0.sees_all() {
            Ok(())
        } else {
            Err(Refusal::Forbidden(ALL_NEEDED.to_owned()))
        }
    }

    /// Refuses a key that is limited to certain organizations.
    pub(super) fn require_all(&self) -> Result<(), ApiError> {
        if self.0.sees_all() {
            Ok(())
        } else {
            Err(ApiError::forbidden(ALL_NEEDED))
        }
    }

    /// True if the caller may know of an object of organization `owner`, asking within `org_id`.
    pub(super) fn sees(&self, owner: u64, org_id: Option<u64>) -> bool {
        self.0.may_touch(owner) && org_id.is_none_or(|asked| asked == owner)
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let key = parts.headers.get("x-api-key").and_then(|key| key.to_str().ok());
        let key = key.ok_or_else(|| ApiError::unauthorized("give your key in the header X-API-Key"))?;
        let operator = app.access.operator(key);
        let operator = operator.ok_or_else(|| ApiError::unauthorized("the key in X-API-Key is not known"))?;
        if let Some(noted) = parts.extensions.get::<Noted>() {
            noted.operator(&operator.name);
        }
        if let Some(org_id) = organization_of(parts.uri.query(), &operator) {
            app.rates.of_organization(org_id)?;
        }
        Ok(Self(operator))
    }
}

impl OperationInput for Caller {
    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[401, 403, 429])
    }
}

/// The organization that a request is about: the one that it names, or the only one that the key is for. One that the key is
/// not for is not charged for it.
fn organization_of(query: Option<&str>, operator: &Operator) -> Option<u64> {
    let named = query
        .and_then(|query| query_value(query, "orgId"))
        .and_then(|value| value.parse().ok());
    let only = || operator.org_ids().filter(|ids| ids.len() == 1)?.first().copied();
    named.or_else(only).filter(|org_id| operator.may_touch(*org_id))
}

fn forbidden(org_id: u64) -> String {
    format!("this key is not for organization {org_id}")
}

const ALL_NEEDED: &str = "this needs a key for all organizations";
