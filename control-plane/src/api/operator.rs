//! Who is asking: a handler that takes [`Caller`] is for those who may come in, and whose role allows the method and the
//! route.

use std::sync::Arc;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use axum::extract::{FromRequestParts, MatchedPath};
use filters::auth::query_value;
use filters::model::push::ObjectKind;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;

use super::App;
use super::error::{ApiError, Challenge, documented};
use super::observe::Noted;
use crate::access::{Denied, Operator, Proof};
use crate::audit::Actor;
use crate::publish::{Author, Refusal};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    operator: Arc<Operator>,
    request_id: Option<String>,
}

impl Caller {
    /// The name of the key, or the user's e-mail address.
    pub(super) fn name(&self) -> &str {
        &self.operator.name
    }

    /// Who asks, with how that was shown and what they may do.
    pub(super) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// As the author of a change.
    pub(super) fn author(&self, message: String) -> Author {
        Author {
            name: self.operator.name.clone(),
            message,
            org_ids: self.operator.org_ids().cloned(),
            request_id: self.request_id.clone(),
        }
    }

    /// As the one who does something, for the audit.
    pub(super) fn actor(&self) -> Actor {
        Actor {
            name: self.operator.name.clone(),
            request_id: self.request_id.clone(),
        }
    }

    /// The session and the user, of somebody who signed in.
    pub(super) fn session(&self) -> Result<(&str, &str), ApiError> {
        match &self.operator.proof {
            Proof::Session { id, user_id } => Ok((id, user_id)),
            Proof::OperatorKey | Proof::ApiKey { .. } => Err(ApiError::forbidden(
                "this is for people who signed in; a key has neither a session nor a password",
            )),
        }
    }

    /// True if this is the caller's own account.
    pub(super) fn is_user(&self, id: &str) -> bool {
        matches!(&self.operator.proof, Proof::Session { user_id, .. } if user_id == id)
    }

    /// Refuses to change objects of a kind by a route that is about several, if the kind's own one would, inside of a change.
    pub(super) fn may_change(&self, kind: ObjectKind) -> Result<(), Refusal> {
        let may = self.operator.may_change(kind);
        may.map_err(|denied| Refusal::Forbidden(denied.to_string()))?;
        // What an organization is allowed is not for itself to say.
        match kind {
            ObjectKind::Organization => self.may_all(),
            _ => Ok(()),
        }
    }

    /// True if objects of a kind are for others to change, whatever the caller's scopes.
    pub(super) fn is_beyond(&self, kind: ObjectKind) -> bool {
        let denied = self.operator.may_change(kind) == Err(Denied::Admin);
        denied || (kind == ObjectKind::Organization && !self.operator.sees_all())
    }

    /// Refuses whoever only reads, where the route alone does not tell that something is changed.
    pub(super) fn require_write(&self) -> Result<(), ApiError> {
        if self.operator.role().may_write() {
            Ok(())
        } else {
            Err(ApiError::forbidden(Denied::Write.to_string()))
        }
    }

    /// The organizations of a list: the one that is asked for, or all (`None`) if the key sees all.
    pub(super) fn scope(&self, org_id: Option<u64>) -> Result<Option<u64>, ApiError> {
        match org_id {
            Some(org_id) => self.allow(org_id).map(|()| Some(org_id)),
            None if self.operator.sees_all() => Ok(None),
            None => Err(ApiError::validation(vec![filters::model::Problem::new(
                "orgId",
                "must be given as a query parameter, as this key is limited to certain organizations",
            )])),
        }
    }

    /// Refuses an organization that the key is not for.
    pub(super) fn allow(&self, org_id: u64) -> Result<(), ApiError> {
        if self.operator.may_touch(org_id) {
            Ok(())
        } else {
            Err(ApiError::forbidden(forbidden(org_id)))
        }
    }

    /// The same inside of a change.
    pub(super) fn may(&self, org_id: u64) -> Result<(), Refusal> {
        if self.operator.may_touch(org_id) {
            Ok(())
        } else {
            Err(Refusal::Forbidden(forbidden(org_id)))
        }
    }

    /// Refuses a key that is limited to certain organizations, inside of a change.
    pub(super) fn may_all(&self) -> Result<(), Refusal> {
        if self.operator.sees_all() {
            Ok(())
        } else {
            Err(Refusal::Forbidden(ALL_NEEDED.to_owned()))
        }
    }

    /// Refuses a key that is limited to certain organizations.
    pub(super) fn require_all(&self) -> Result<(), ApiError> {
        if self.operator.sees_all() {
            Ok(())
        } else {
            Err(ApiError::forbidden(ALL_NEEDED))
        }
    }

    /// True if the caller may know of an object of organization `owner`, asking within `org_id`.
    pub(super) fn sees(&self, owner: u64, org_id: Option<u64>) -> bool {
        self.operator.may_touch(owner) && org_id.is_none_or(|asked| asked == owner)
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let noted = parts.extensions.get::<Noted>().cloned().unwrap_or_default();
        let operator = who(&parts.headers, app, &noted).await?;
        noted.operator(&operator.name);
        let route = parts.extensions.get::<MatchedPath>();
        let route = route.map_or_else(|| parts.uri.path(), MatchedPath::as_str);
        operator
            .may_ask(&parts.method, route)
            .map_err(|denied| ApiError::forbidden(denied.to_string()))?;
        if let Some(org_id) = organization_of(parts.uri.query(), &operator) {
            app.rates.of_organization(org_id)?;
        }
        Ok(Self {
            operator,
            request_id: noted.request_id().map(str::to_owned),
        })
    }
}

/// Who sent these headers.
async fn who(headers: &HeaderMap, app: &App, noted: &Noted) -> Result<Arc<Operator>, ApiError> {
    let key = headers.get("x-api-key").map(|key| key.to_str().unwrap_or_default());
    match (key, bearer(headers)) {
        (Some(_), Some(_)) => {
            let refused = ApiError::unauthorized("give either X-API-Key or Authorization, not both");
            Err(refused.challenging(Challenge::BadRequest))
        }
        (Some(key), None) => match app.access.operator(key) {
            Some(operator) => Ok(operator),
            None => Ok(app.users.of_key(key, Timestamp::now()).await?),
        },
        (None, Some(token)) => {
            let bearer = app.users.of_token(token, Timestamp::now()).await;
            let bearer = bearer.map_err(|error| ApiError::from(error).challenging(Challenge::BadToken))?;
            if let Some(token) = bearer.renewed {
                noted.renewed(token);
            }
            Ok(bearer.operator)
        }
        (None, None) => Err(ApiError::unauthorized(
            "give your key in the header X-API-Key, or the token of your session as `Authorization: Bearer`",
        )),
    }
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
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
