//! How deliveries are signed, so that a receiver can tell that they are ours.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::decode;
use crate::model::problem::Problem;
use crate::model::secret::Secret;

/// Kinds of signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SigningType {
    /// None.
    #[default]
    None,
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks.
    StandardWebhooks,
    /// A hexadecimal HMAC-SHA256 of the body in a header.
    HmacSha256,
    /// `X-Hub-Signature-256` and `X-GitHub-Delivery`.
    Github,
    /// `Stripe-Signature` with a time and an HMAC-SHA256 of time and body.
    Stripe,
    /// `X-Shopify-Hmac-Sha256` and `X-Shopify-Triggered-At`.
    Shopify,
}

/// A signature, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signing {
    /// None.
    None,
    /// Standard Webhooks.
    StandardWebhooks(SigningSecrets),
    /// HMAC-SHA256 of the body.
    HmacSha256(HmacSigning),
    /// As GitHub does.
    Github(SigningSecrets),
    /// As Stripe does.
    Stripe(SigningSecrets),
    /// As Shopify does.
    Shopify(SigningSecrets),
}

impl Signing {
    /// Reads `config` as the configuration of `kind`; problems carry paths below `signingConfig`.
    pub fn read(kind: SigningType, config: Option<&Value>, problems: &mut Vec<Problem>) -> Option<Self> {
        const PATH: &str = "signingConfig";
        if kind == SigningType::None {
            if config.is_some_and(|config| !config.is_null()) {
                problems.push(Problem::new(PATH, "must be left out when the signing type is NONE"));
            }
            return Some(Self::None);
        }
        let Some(config) = config else {
            problems.push(Problem::new(PATH, "is missing; give it `secrets`"));
            return None;
        };
        match kind {
            SigningType::None => Some(Self::None),
            SigningType::StandardWebhooks => decode::from_value(config, PATH, problems).map(Self::StandardWebhooks),
            SigningType::HmacSha256 => decode::from_value(config, PATH, problems).map(Self::HmacSha256),
            SigningType::Github => decode::from_value(config, PATH, problems).map(Self::Github),
            SigningType::Stripe => decode::from_value(config, PATH, problems).map(Self::Stripe),
            SigningType::Shopify => decode::from_value(config, PATH, problems).map(Self::Shopify),
        }
    }
}

/// Secrets that sign; during a rotation there are several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningSecrets {
    /// Secrets, 1 to 10. Where the scheme has room for several signatures (Standard Webhooks, Stripe) each signs, else the
    /// first.
    pub secrets: Vec<SigningSecret>,
}

/// Configuration of `HMAC_SHA256`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HmacSigning {
    /// Header of the signature, which is 64 lower-case hexadecimal digits and nothing else; `X-Webhook-Signature` if left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// Secrets, 1 to 10; the first signs.
    pub secrets: Vec<SigningSecret>,
}

/// A secret that signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningSecret {
    /// Its name, which records show as the signature's id. Unique within its list.
    pub name: String,
    /// For Standard Webhooks `whsec_` and base64 of 24 to 64 bytes, or `whsk_` and base64 of an ed25519 key pair; else any
    /// text, whose bytes are the key.
    pub value: Secret,
}
