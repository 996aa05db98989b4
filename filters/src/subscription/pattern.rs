//! Names of event types, and patterns of them.

/// The most bytes of a name or pattern.
const LONGEST: usize = 200;

/// A pattern of event types: a name in which `*` stands for one or more whole segments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TypePattern(Box<str>);

impl TypePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        check(text, |segment| segment == "*" || is_segment(segment)).ok_or_else(|| {
            format!(
                "{text:?} must be segments of letters, digits, hyphens and underscores with dots between them, at most \
                 {LONGEST} bytes in all; `*` may only stand for whole segments, as in `patient.*`"
            )
        })?;
        Ok(Self(text.into()))
    }

    /// True if it is the name of one type.
    pub(crate) fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// True if the event type `name` fits. Where it does not, the last `*` takes a segment more, and again: that is as
    /// good as trying every split, since whatever came before it fitted already.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut name) = (self.0.split('.'), name.split('.'));
        let mut last_star = None;
        loop {
            let fits = match (pattern.next(), name.next()) {
                (None, None) => return true,
                (Some(_), None) => return false,
                (None, Some(_)) => false,
                (Some("*"), Some(_)) => {
                    last_star = Some((pattern.clone(), name.clone()));
                    true
                }
                (Some(wanted), Some(found)) => wanted == found,
            };
            if !fits {
                let Some((after, rest)) = &mut last_star else {
                    return false;
                };
                if rest.next().is_none() {
                    return false;
                }
                (pattern, name) = (after.clone(), rest.clone());
            }
        }
    }
}

/// Checks the name of an event type.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn check_name(text: &str) -> Result<(), String> {
    check(text, is_segment).ok_or_else(|| {
        format!(
            "{text:?} must be segments of letters, digits, hyphens and underscores with dots between them, as \
             `bill.generated`, at most {LONGEST} bytes in all"
        )
    })
}

fn check(text: &str, is_segment: impl Fn(&str) -> bool) -> Option<()> {
    (text.len() <= LONGEST && text.split('.').all(is_segment)).then_some(())
}

fn is_segment(segment: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !segment.is_empty() && segment.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        TypePattern::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn a_star_stands_for_one_or_more_whole_segments() {
        for (pattern, name, expected) in [
            ("bill.generated", "bill.generated", true),
            ("bill.generated", "bill.generated.late", false),
            ("bill.generated", "bill", false),
            ("*", "bill", true),
            ("*", "bill.generated", true),
            ("bill.*", "bill", false),
            ("bill.*", "bill.generated", true),
            ("bill.*", "bill.a.b.c", true),
            ("bill.*", "billing.a", false),
            ("*.created", "patient.created", true),
            ("*.created", "a.b.created", true),
            ("*.created", "created", false),
            ("*.created", "created.created", true),
            ("*.created", "patient.created.late", false),
            ("a.*.c", "a.c", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.c.d.c", true),
            ("a.*.c.*", "a.c.c.c", true),
            ("a.*.c.*", "a.b.c", false),
            ("*.*", "a", false),
            ("*.*", "a.b.c", true),
            ("*.a.b", "a.a.a.b", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_is_a_whole_segment_and_a_name_has_none() {
        for text in ["", ".", "a.", ".a", "a..b", "a*", "*a.b", "a.**", "a b", "a/b", "é"] {
            assert!(TypePattern::parse(text).is_err(), "{text}");
            assert!(check_name(text).is_err(), "{text}");
        }
        assert!(check_name("a.*").is_err());
        assert!(check_name("Bill-2.generated_x").is_ok());
        assert!(check_name(&"a".repeat(201)).is_err());
    }

    /// What the words say, without any cleverness.
    fn by_definition(pattern: &[&str], name: &[&str]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((&"*", rest)) => (1..=name.len()).any(|taken| by_definition(rest, &name[taken..])),
            Some((wanted, rest)) => name.first() == Some(wanted) && by_definition(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_words_say(pattern in "([ab*]\\.){0,5}[ab*]", name in "([ab]\\.){0,7}[ab]") {
            let split = |text: &'_ str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
            let (parts, words) = (split(&pattern), split(&name));
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            prop_assert_eq!(matches(&pattern, &name), by_definition(&parts, &words));
        }
    }
}
