//! Tokens of sessions: JSON Web Tokens (RFC 7519) that this program makes and nobody else can. The signature says that we
//! made it; whether the session still goes on, the store says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filters::model::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::seal::Sealer;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    /// The user.
    pub(super) sub: String,
    /// The session.
    pub(super) sid: String,
    /// When it was made; seconds since 1970.
    pub(super) iat: i64,
    /// When it is over; seconds since 1970.
    pub(super) exp: i64,
}

impl Claims {
    pub(super) fn new(user: &str, session: &str, now: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            sub: user.to_owned(),
            sid: session.to_owned(),
            iat: now.as_second(),
            exp: expires_at.as_second(),
        }
    }

    /// As a signed token.
    pub(super) fn sign(&self, sealer: &Sealer) -> Secret {
        let claims = serde_json::to_string(self).expect("texts and numbers serialize without fail");
        let signed = format!("{}.{}", encoded(HEADER), encoded(&claims));
        let signature = URL_SAFE_NO_PAD.encode(sealer.sign(signed.as_bytes()));
        Secret::new(format!("{signed}.{signature}"))
    }

    /// What `token` says, if we made it and its time is not over. The algorithm is ours to choose: a token with another
    /// header than ours is none of ours.
    pub(super) fn read(token: &str, sealer: &Sealer, now: Timestamp) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if header != encoded(HEADER) || !sealer.signed(signed.as_bytes(), &signature) {
            return None;
        }
        let claims: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        (claims.iss == ISSUER && now.as_second() < claims.exp).then_some(claims)
    }
}

fn encoded(part: &str) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "integration-gateway";
const LONGEST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn only_our_own_tokens_are_read_and_only_in_their_time() {
        let sealer = Sealer::new(&[7; 32]);
        let claims = Claims::new("user", "session", at(1_000), at(2_000));
        let token = claims.sign(&sealer);
        let token = token.expose();
        assert_eq!(Claims::read(token, &sealer, at(1_999)), Some(claims.clone()));
        assert_eq!(Claims::read(token, &sealer, at(2_000)), None);
        assert_eq!(Claims::read(token, &Sealer::new(&[8; 32]), at(1_500)), None);

        let parts: Vec<&str> = token.split('.').collect();
        let none = format!("{}.{}.", encoded(r#"{"alg":"none","typ":"JWT"}"#), parts[1]);
        let other = Claims {
            sub: "admin".to_owned(),
            ..claims
        };
        let forged = format!(
            "{}.{}.{}",
            parts[0],
            encoded(&serde_json::to_string(&other).unwrap()),
            parts[2]
        );
        let short = format!("{}.{}.{}", parts[0], parts[1], &parts[2][..20]);
        for wrong in ["", ".", "..", "a.b", &none, &forged, &short, &"x".repeat(10_000)] {
            assert_eq!(Claims::read(wrong, &sealer, at(1_500)), None, "{wrong}");
        }
    }
}
