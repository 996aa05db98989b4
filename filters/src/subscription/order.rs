//! Which deliveries of a subscription wait for each other.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::condition::single_field;
use crate::event::{Event, Payload};
use crate::model::Problem;
use crate::model::outbound::Ordering;
use crate::model::outbound::handling::{OnBlocked, OrderingMode};
use crate::transform::path::{Step, resolve};

/// Which deliveries of a subscription wait for each other.
#[derive(Debug)]
pub struct Order {
    rule: Rule,
    /// What happens to those behind one that fails.
    pub on_blocked: OnBlocked,
}

#[derive(Debug)]
enum Rule {
    TenantAndType,
    Field(Box<[Step]>),
    None,
}

impl Order {
    /// Compiles `ordering`, adding its problems with paths below `ordering`.
    pub(crate) fn compile(ordering: &Ordering, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut refuse = |path: &str, message: String| problems.push(Problem::new(path, message));
        if let OnBlocked::DeadLetterAfter(attempts) = ordering.on_blocked
            && !(1..=MOST_ATTEMPTS).contains(&attempts)
        {
            let message = format!("{attempts} must be between 1 and {MOST_ATTEMPTS}");
            refuse("ordering.onBlocked.deadLetterAfter", message);
        }
        let rule = match (ordering.mode, &ordering.key) {
            (OrderingMode::PerKey, Some(key)) => match single_field(key) {
                Ok(steps) => Some(Rule::Field(steps)),
                Err(message) => {
                    refuse("ordering.key", message);
                    None
                }
            },
            (OrderingMode::PerKey, None) => {
                refuse(
                    "ordering.key",
                    "is needed in mode perKey; name a field of the payload".to_owned(),
                );
                None
            }
            (_, Some(_)) => {
                refuse(
                    "ordering.key",
                    "has an effect in mode perKey only; leave it out".to_owned(),
                );
                None
            }
            (OrderingMode::PerTenantAndType, None) => Some(Rule::TenantAndType),
            (OrderingMode::None, None) => Some(Rule::None),
        };
        rule.map(|rule| Self {
            rule,
            on_blocked: ordering.on_blocked,
        })
    }

    /// The key by which deliveries of this subscription wait for each other; `None` for one that waits for nobody.
    ///
    /// It is the same in every process and after every restart. A payload without the field of `perKey` (absent, null, or
    /// no JSON at all) gives `None`; 1 and 1.0 give the same key, and a list or object goes by its JSON text.
    pub fn key(&self, event: &Event, payload: &Payload<'_>) -> Option<u64> {
        match &self.rule {
            Rule::None => None,
            Rule::TenantAndType => {
                let entity = event.head.entity().to_be_bytes();
                Some(digest(b't', &entity, event.head.event_type.as_bytes()))
            }
            Rule::Field(steps) => key_of(resolve(payload.value()?, steps)?),
        }
    }
}

fn key_of(value: &Value) -> Option<u64> {
    let (kind, text) = match value {
        Value::Null => return None,
        Value::String(text) => return Some(digest(b's', &[], text.as_bytes())),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), ..) => (b'n', whole.to_string()),
            (None, Some(whole), _) => (b'n', whole.to_string()),
            // A fraction without a fractional part prints as the whole number that it is; the sum makes -0 a 0.
            (None, None, fraction) => (b'n', (fraction.unwrap_or_default() + 0.0).to_string()),
        },
        other => (b'j', other.to_string()),
    };
    Some(digest(kind, &[], text.as_bytes()))
}

fn digest(kind: u8, first: &[u8], second: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash.update(first);
    hash.update(second);
    let mut key = [0; 8];
    key.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(key)
}

/// The most attempts that others may wait for.
const MOST_ATTEMPTS: u32 = 50;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_the_same_forever() {
        assert_eq!(digest(b's', &[], b"a"), 0x4cf6_829a_a937_28e8);
        assert_eq!(
            digest(b't', &7_u64.to_be_bytes(), b"bill.generated"),
            0x4232_1407_8344_af3b
        );
    }

    #[test]
    fn equal_values_have_equal_keys_and_others_do_not() {
        let key = |value: Value| key_of(&value);
        assert_eq!(key(json!(1)), key(json!(1.0)));
        assert_eq!(key(json!(null)), None);
        let different = [
            json!(1),
            json!("1"),
            json!(true),
            json!([1]),
            json!(1.5),
            json!(-1),
            json!(u64::MAX),
        ];
        for (index, one) in different.iter().enumerate() {
            for other in &different[index + 1..] {
                assert_ne!(key(one.clone()), key(other.clone()), "{one} {other}");
            }
        }
    }
}
