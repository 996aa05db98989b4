//! What a token says of its bearer, and what it must say.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::consumers::Consumers;
use super::{AuthRefusal, Identity};
use crate::model::Problem;
use crate::model::auth::ClaimRule;
use crate::model::problem::join;

/// The most rules, and the most values of one.
const MOST_RULES: usize = 50;
/// The longest name of a caller, in bytes.
const LONGEST_NAME: usize = 256;

/// What claims must be, whoever vouches for them.
#[derive(Debug)]
pub(crate) struct ClaimCheck {
    /// What `iss` must be; not looked at if `None` and the token has none.
    pub(crate) issuer: Option<Box<str>>,
    /// `aud` must name one of these; whatever it is if empty.
    pub(crate) audiences: Vec<Box<str>>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) name: NameClaim,
    /// Claim that names a consumer.
    pub(crate) consumer: Option<Box<str>>,
}

/// Which claim names the caller.
#[derive(Debug)]
pub(crate) enum NameClaim {
    /// This one, which must be there.
    Given(Box<str>),
    /// The first of these that is there.
    Usual(&'static [&'static str]),
}

/// What one claim must be.
#[derive(Debug)]
pub(crate) struct Rule {
    claim: Box<str>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Exists,
    OneOf(Vec<Value>),
    Contains(Vec<String>),
}

/// How far a vouching party that is asked for each token, or signs it, must go with `iss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// It must be there.
    Required,
    /// It counts if it is there.
    IfThere,
}

impl ClaimCheck {
    /// Who the bearer of these claims is.
    ///
    /// # Errors
    /// [`AuthRefusal`] if the claims are for somebody else, or say too little.
    pub(crate) fn identity(
        &self,
        claims: Arc<Value>,
        issuer: Issuer,
        consumers: Option<&Consumers>,
    ) -> Result<Identity, AuthRefusal> {
        self.check_issuer(&claims, issuer)?;
        if !self.audiences.is_empty() && !self.names_audience(&claims) {
            return Err(AuthRefusal::Invalid);
        }
        let mut identity = match &self.consumer {
            Some(claim) => {
                let issuer = self.issuer.as_deref().unwrap_or_default();
                let found = consumers.and_then(|consumers| consumers.of_claim(issuer, &claims, claim));
                Identity::of_consumer(Arc::clone(found.ok_or(AuthRefusal::Invalid)?))
            }
            None => Identity {
                name: self.name_of(&claims)?,
                ..Identity::default()
            },
        };
        if !self.rules.iter().all(|rule| rule.holds(&claims)) {
            return Err(AuthRefusal::NotAllowed);
        }
        identity.claims = Some(claims);
        Ok(identity)
    }

    fn check_issuer(&self, claims: &Value, issuer: Issuer) -> Result<(), AuthRefusal> {
        let Some(expected) = &self.issuer else { return Ok(()) };
        match claims.get("iss") {
            Some(Value::String(said)) if **said == **expected => Ok(()),
            None if issuer == Issuer::IfThere => Ok(()),
            _ => Err(AuthRefusal::Invalid),
        }
    }

    fn names_audience(&self, claims: &Value) -> bool {
        let is_ours = |said: &Value| {
            let said = said.as_str();
            said.is_some_and(|said| self.audiences.iter().any(|own| **own == *said))
        };
        match claims.get("aud") {
            Some(Value::Array(list)) => list.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        }
    }

    fn name_of(&self, claims: &Value) -> Result<Option<Arc<str>>, AuthRefusal> {
        let said = match &self.name {
            NameClaim::Given(path) => Some(text(claims, path).ok_or(AuthRefusal::Invalid)?),
            NameClaim::Usual(claim) => claim.iter().find_map(|claim| text(claims, claim)),
        };
        match said {
            Some(name) if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) => {
                Err(AuthRefusal::Invalid)
            }
            name => Ok(name.map(Arc::from)),
        }
    }
}

impl Rule {
    /// Compiles the rules, which stand at `path`.
    pub(crate) fn compile(rules: &[ClaimRule], path: &str, problems: &mut Vec<Problem>) -> Vec<Self> {
        if rules.len() > MOST_RULES {
            let message = format!("holds {} entries; at most {MOST_RULES} are allowed", rules.len());
            problems.push(Problem::new(path, message));
        }
        let compiled = rules.iter().enumerate().map(|(index, rule)| {
            let path = format!("{path}[{index}]");
            check_claim(&rule.claim, &join(&path, "claim"), problems);
            let test = match (&rule.equals, &rule.one_of, &rule.contains) {
                (None, None, None) => Test::Exists,
                (Some(value), None, None) => Test::OneOf(vec![value.clone()]),
                (None, Some(values), None) if (1..=MOST_RULES).contains(&values.len()) => Test::OneOf(values.clone()),
                (None, None, Some(values)) if (1..=MOST_RULES).contains(&values.len()) => {
                    Test::Contains(values.clone())
                }
                (None, Some(_), None) | (None, None, Some(_)) => {
                    let message = format!("must list 1 to {MOST_RULES} values");
                    problems.push(Problem::new(path, message));
                    Test::Exists
                }
                _ => {
                    problems.push(Problem::new(
                        path,
                        "give at most one of `equals`, `oneOf` and `contains`",
                    ));
                    Test::Exists
                }
            };
            Self {
                claim: rule.claim.as_str().into(),
                test,
            }
        });
        compiled.collect()
    }

    fn holds(&self, claims: &Value) -> bool {
        let Some(value) = find(claims, &self.claim) else {
            return false;
        };
        match &self.test {
            Test::Exists => !value.is_null(),
            Test::OneOf(values) => values.contains(value),
            Test::Contains(words) => words.iter().all(|word| holds_word(value, word)),
        }
    }
}

/// A list of texts, or a text of words with spaces between them.
fn holds_word(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text.split(' ').any(|own| own == word),
        Value::Array(list) => list.iter().any(|own| own.as_str() == Some(word)),
        _ => false,
    }
}

/// Adds what is wrong with the name of a claim.
pub(crate) fn check_claim(claim: &str, path: &str, problems: &mut Vec<Problem>) {
    if !(1..=200).contains(&claim.len()) {
        problems.push(Problem::new(path, "must be 1 to 200 bytes long"));
    }
}

/// The claim `path`: one of that name (names may hold dots, as `https://example.com/role`), else by steps.
fn find<'c>(claims: &'c Value, path: &str) -> Option<&'c Value> {
    let claims: &Map<String, Value> = claims.as_object()?;
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    find(claims.get(first)?, rest)
}

/// The claim `path` as text, if it is a text or a whole number.
pub(crate) fn text<'c>(claims: &'c Value, path: &str) -> Option<Cow<'c, str>> {
    match find(claims, path)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(rules: Value) -> Vec<Rule> {
        let mut problems = Vec::new();
        let rules: Vec<ClaimRule> = serde_json::from_value(rules).unwrap();
        let compiled = Rule::compile(&rules, "r", &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        compiled
    }

    fn holds(rule: Value, claims: &Value) -> bool {
        rules(json!([rule]))[0].holds(claims)
    }

    #[test]
    fn scopes_roles_and_values_are_asked_for() {
        let claims = json!({"scope": "read write", "realm": {"roles": ["nurse", "admin"]}, "level": 3,
            "https://example.com/role": "ward", "none": null});
        assert!(holds(json!({"claim": "scope", "contains": ["write"]}), &claims));
        assert!(!holds(json!({"claim": "scope", "contains": ["writ"]}), &claims));
        assert!(holds(
            json!({"claim": "realm.roles", "contains": ["admin", "nurse"]}),
            &claims
        ));
        assert!(!holds(
            json!({"claim": "realm.roles", "contains": ["admin", "chief"]}),
            &claims
        ));
        assert!(holds(json!({"claim": "level", "oneOf": [2, 3]}), &claims));
        assert!(!holds(json!({"claim": "level", "equals": "3"}), &claims));
        assert!(holds(
            json!({"claim": "https://example.com/role", "equals": "ward"}),
            &claims
        ));
        assert!(!holds(json!({"claim": "none"}), &claims), "null is as good as absent");
        assert!(!holds(json!({"claim": "absent"}), &claims));
    }

    #[test]
    fn a_rule_has_one_test() {
        let mut problems = Vec::new();
        let bad: Vec<ClaimRule> = serde_json::from_value(json!([
            {"claim": "a", "equals": 1, "oneOf": [1]}, {"claim": "", "contains": ["x"]}, {"claim": "b", "oneOf": []}
        ]))
        .unwrap();
        Rule::compile(&bad, "requiredClaims", &mut problems);
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            paths,
            ["requiredClaims[0]", "requiredClaims[1].claim", "requiredClaims[2]"]
        );
    }
}
