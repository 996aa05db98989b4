//! Settings of signing in at an identity provider.

use std::collections::BTreeMap;
use std::path::PathBuf;

use filters::address::EgressPolicy;
use filters::model::{Problem, Secret};
use filters::target::{Scheme, TargetUrl};
use ipnet::IpNet;
use serde::Deserialize;

use crate::access::Role;

/// An identity provider that speaks OpenID Connect.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcConfig {
    /// Its address, exactly as it stands in its tokens; `/.well-known/openid-configuration` is looked for below it.
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// Our secret there; none for a public client.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// Where the provider sends people back to: the address of this control plane as browsers know it, followed by
    /// `/api/v1/auth/oidc/callback`.
    pub redirect_url: String,
    /// Where people are sent on to, with the token behind `#token=`; without it they see the answer as JSON.
    #[serde(default)]
    pub return_to: Option<String>,
    /// What is asked for.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// The claim with groups or roles: a name, or a path with dots.
    #[serde(default = "usual_roles_claim")]
    pub roles_claim: String,
    /// The role of each value of that claim. Of several the one that may do most counts; with none of them nobody is let in.
    pub roles: BTreeMap<String, Role>,
    /// The claim with the organizations: numbers, or texts of digits.
    #[serde(default = "usual_organizations_claim")]
    pub organizations_claim: String,
    /// Private networks that the provider may be in; public addresses always may be used.
    #[serde(default)]
    pub allowed_networks: Vec<IpNet>,
    /// Lets the provider be spoken to without TLS.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// PEM file with certificate authorities that are trusted beside those of the machine.
    #[serde(default)]
    pub authorities_file: Option<PathBuf>,
}

impl OidcConfig {
    /// Where the provider may be.
    pub(crate) fn egress(&self) -> EgressPolicy {
        EgressPolicy {
            block_private_networks: true,
            allowed_networks: self.allowed_networks.clone(),
        }
    }

    /// Reads an address of the provider, with which no secret goes out in clear.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn address(&self, text: &str) -> Result<TargetUrl, String> {
        let target = TargetUrl::parse(text).map_err(|error| error.to_string())?;
        if target.scheme() == Scheme::Http && !self.allow_plaintext {
            return Err("must start with https://, or set `allowPlaintext`".to_owned());
        }
        Ok(target)
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |name: &str, message: String| {
            problems.push(Problem::new(format!("auth.oidc.{name}"), message));
        };
        if let Err(message) = self.address(&self.issuer) {
            wrong("issuer", message);
        }
        if self.client_id.is_empty() {
            wrong("clientId", "must not be empty".to_owned());
        }
        if let Err(error) = TargetUrl::parse(&self.redirect_url) {
            wrong("redirectUrl", error.to_string());
        } else if !self.redirect_url.ends_with(CALLBACK) {
            wrong("redirectUrl", format!("must end with {CALLBACK}"));
        }
        if let Some(place) = &self.return_to
            && (place.contains('#') || TargetUrl::parse(place).is_err())
        {
            wrong("returnTo", "must be an address without a fragment".to_owned());
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            wrong("scopes", "must have `openid` among them".to_owned());
        }
        if self.roles.is_empty() {
            wrong("roles", "must give at least one value of the claim a role".to_owned());
        }
        if self.roles.values().any(|role| *role == Role::ApiKey) {
            wrong("roles", "of people are ADMIN, USER and READ_ONLY".to_owned());
        }
    }
}

fn usual_scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

fn usual_roles_claim() -> String {
    "groups".to_owned()
}

fn usual_organizations_claim() -> String {
    "org_ids".to_owned()
}

const CALLBACK: &str = "/api/v1/auth/oidc/callback";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems_of(change: Value) -> Vec<String> {
        let mut config = json!({"issuer": "https://login.example", "clientId": "gateway", "roles": {"admins": "ADMIN"},
            "redirectUrl": "https://gateway.example/api/v1/auth/oidc/callback"});
        config
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let config: OidcConfig = serde_json::from_value(config).unwrap();
        let mut problems = Vec::new();
        config.check(&mut problems);
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(problems_of(json!({})), [""; 0]);
        assert_eq!(
            problems_of(json!({"issuer": "http://login.example", "allowPlaintext": true})),
            [""; 0]
        );
        assert_eq!(
            problems_of(json!({"issuer": "http://login.example"})),
            ["auth.oidc.issuer"]
        );
        assert_eq!(
            problems_of(json!({"redirectUrl": "https://gateway.example/"})),
            ["auth.oidc.redirectUrl"]
        );
        assert_eq!(
            problems_of(json!({"returnTo": "https://console.example/#in"})),
            ["auth.oidc.returnTo"]
        );
        assert_eq!(problems_of(json!({"scopes": ["email"]})), ["auth.oidc.scopes"]);
        assert_eq!(problems_of(json!({"roles": {}})), ["auth.oidc.roles"]);
        assert_eq!(
            problems_of(json!({"roles": {"programs": "API_KEY"}})),
            ["auth.oidc.roles"]
        );
    }
}
