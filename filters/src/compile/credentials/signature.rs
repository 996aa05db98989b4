//! Checks of signed requests.

use ahash::AHashMap;

use super::{Checks, check_shared};
use crate::auth::signature::{Component, SignatureCheck, SigningKey};
use crate::model::auth::HmacAuth;
use crate::model::problem::join;
use crate::outgoing::header_name;

/// The most parts of what is signed.
const MOST_COMPONENTS: usize = 30;
/// How far a client's clock may be off, in seconds.
const SKEW: std::ops::RangeInclusive<u32> = 1..=3_600;

impl Checks<'_> {
    pub(super) fn signature(&mut self, config: &HmacAuth, path: &str) -> Option<SignatureCheck> {
        let skew = config.clock_skew_seconds.unwrap_or(300);
        if !SKEW.contains(&skew) {
            let message = format!("{skew} must be between {} and {}", SKEW.start(), SKEW.end());
            self.problem(join(path, "clockSkewSeconds"), message);
        }
        let header = |checks: &mut Self, name: &Option<String>, usual, field| {
            checks.header(name.as_ref(), usual, join(path, field))
        };
        let signature = header(self, &config.signature_header, "x-signature", "signatureHeader");
        let key_id = header(self, &config.key_id_header, "x-key-id", "keyIdHeader");
        let timestamp = header(self, &config.timestamp_header, "x-timestamp", "timestampHeader");
        let digest = header(self, &config.digest_header, "content-digest", "digestHeader");
        let nonce = match &config.nonce_header {
            Some(name) => Some(header_name(name, &join(path, "nonceHeader"), self.problems)?),
            None => None,
        };
        let components = self.components(config, path);
        let keys_path = join(path, "keys");
        self.check_count(config.keys.len(), config.consumers, &keys_path);
        let mut keys = AHashMap::new();
        for (index, key) in config.keys.iter().enumerate() {
            let path = format!("{keys_path}[{index}]");
            let name = self.name(&key.name, &join(&path, "name"));
            check_shared(&key.value, join(&path, "value"), self.problems);
            if key.is_active {
                let material = SigningKey::new(key.value.expose().as_bytes());
                keys.insert(key.name.as_str().into(), (name, material));
            }
        }
        Some(SignatureCheck {
            signature,
            prefix: config.signature_prefix.as_deref().unwrap_or_default().into(),
            key_id,
            timestamp,
            nonce,
            digest,
            components,
            algorithm: config.algorithm,
            encoding: config.encoding,
            skew_s: i64::from(skew),
            keys,
            consumers: config.consumers,
        })
    }

    fn components(&mut self, config: &HmacAuth, path: &str) -> Vec<Component> {
        if config.components.is_empty() {
            return Component::usual(config.nonce_header.is_some());
        }
        let path = join(path, "components");
        if config.components.len() > MOST_COMPONENTS {
            let message = format!(
                "holds {} entries; at most {MOST_COMPONENTS} are allowed",
                config.components.len()
            );
            self.problem(path.clone(), message);
        }
        let mut components = Vec::with_capacity(config.components.len());
        for (index, text) in config.components.iter().enumerate() {
            match Component::parse(text) {
                Some(component) => components.push(component),
                None => {
                    let message = format!(
                        "{text:?} must be `method`, `host`, `path`, `query`, `keyId`, `timestamp`, `nonce`, \
                         `contentDigest` or `header:name`"
                    );
                    self.problem(format!("{path}[{index}]"), message);
                }
            }
        }
        for (needed, name) in [
            (Component::Method, "method"),
            (Component::Path, "path"),
            (Component::Timestamp, "timestamp"),
        ] {
            if !components.contains(&needed) {
                let message = format!("must hold `{name}`: whatever is not signed can be changed on the way");
                self.problem(path.clone(), message);
            }
        }
        if components.contains(&Component::Nonce) != config.nonce_header.is_some() {
            let message = "`nonce` needs `nonceHeader`, and the other way round";
            self.problem(path, message);
        }
        components
    }
}
