//! What an attempt's answer means.

use http::{HeaderMap, StatusCode, header};

use crate::delivery::MAX_RETRY_AFTER_MS;
use crate::model::Problem;
use crate::model::delivery::ErrorCategory;
use crate::model::outbound::handling::StatusMeaning;
use crate::model::outbound::{Retry, StatusRule};
use crate::model::problem::join;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The endpoint answered.
    Answer(Answer),
    /// It did not.
    Failure(ErrorCategory),
}

/// The part of an answer that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Milliseconds that it asks to be left alone (`Retry-After`), at most a day.
    pub retry_after_ms: Option<i64>,
    /// What it says of the delivery (`webhook-delivery`).
    pub control: Option<ReplyControl>,
    /// True if the sign-in used a token that can be renewed, and has not been renewed for this attempt yet.
    pub can_renew: bool,
}

/// What a receiver says in the header `webhook-delivery` of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyControl {
    /// `abort-message`: it does not want this delivery again.
    Abort,
    /// `disable`: it wants no more deliveries at all.
    Disable,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The endpoint has it.
    Delivered,
    /// It is tried again by its schedule.
    Retry,
    /// It becomes a dead letter at once.
    DeadLetter,
    /// The sign-in's token is to be renewed and the attempt repeated at once, this one time.
    RenewToken,
}

/// What an attempt says of its endpoint's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// Nothing: the fault was this event's, or ours.
    #[default]
    Unknown,
}

/// An attempt, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What becomes of the delivery.
    pub meaning: Meaning,
    /// Why it failed; `None` if it did not.
    pub category: Option<ErrorCategory>,
    /// What it says of the endpoint.
    pub health: Health,
    /// The least to wait before the next attempt, in milliseconds.
    pub wait_ms: Option<i64>,
    /// True if the endpoint asks for less: it is not to be called for other deliveries either for a while.
    pub pauses_lane: bool,
    /// Why the endpoint is to get nothing more until an operator enables it.
    pub disable: Option<&'static str>,
}

impl Answer {
    /// Reads an answer that came at `now_ms`.
    pub fn read(status: StatusCode, headers: &HeaderMap, now_ms: i64) -> Self {
        Self {
            status: status.as_u16(),
            retry_after_ms: retry_after_ms(headers, now_ms),
            control: control(headers),
            can_renew: false,
        }
    }
}

impl Classified {
    /// Until when the endpoint is left alone: until the delivery itself is due again at `due_ms`, but no longer than the
    /// endpoint asked for, or a minute where it did not say.
    pub fn pause_until(&self, now_ms: i64, due_ms: Option<i64>) -> Option<i64> {
        let longest = now_ms.saturating_add(self.wait_ms.unwrap_or(OVERLOAD_MS));
        self.pauses_lane
            .then(|| due_ms.map_or(longest, |due_ms| due_ms.min(longest)))
    }
}

/// What statuses mean to a subscription: its own rules, then the built-in table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusTable {
    statuses: Box<[(u16, StatusMeaning)]>,
    /// By the first digit, from 1.
    classes: [Option<StatusMeaning>; 5],
    /// The least to wait after 429, 502, 504 and timeouts, if the endpoint does not say.
    overload_ms: Option<i64>,
}

impl StatusTable {
    /// Checks `rules`, which stand at `path`. With the standard `retry` schedule an overloaded endpoint gets a minute; a
    /// schedule of the operator's own is followed as it is.
    pub fn compile(rules: &[StatusRule], retry: &Retry, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let mut statuses: Vec<(u16, StatusMeaning)> = Vec::new();
        let mut classes = [None; 5];
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if rule.statuses.is_empty() {
                problems.push(Problem::new(join(&path, "statuses"), "is empty: name a status"));
            }
            for (place, text) in rule.statuses.iter().enumerate() {
                let at = || format!("{path}.statuses[{place}]");
                let is_repeated = match read_status(text) {
                    Ok(Statuses::One(status)) => {
                        let is_repeated = statuses.iter().any(|(known, _)| *known == status);
                        statuses.push((status, rule.treat_as));
                        is_repeated
                    }
                    Ok(Statuses::Class(class)) => classes[class].replace(rule.treat_as).is_some(),
                    Err(message) => {
                        problems.push(Problem::new(at(), message));
                        false
                    }
                };
                if is_repeated {
                    let message = format!("`{text}` is there twice; each status may have one meaning");
                    problems.push(Problem::new(at(), message));
                }
            }
        }
        statuses.sort_unstable_by_key(|(status, _)| *status);
        (problems.len() == before).then(|| Self {
            statuses: statuses.into(),
            classes,
            overload_ms: matches!(retry, Retry::Standard {}).then_some(OVERLOAD_MS),
        })
    }

    /// Judges an attempt.
    pub fn classify(&self, result: AttemptResult) -> Classified {
        match result {
            AttemptResult::Answer(answer) => self.judge(answer),
            AttemptResult::Failure(category) => {
                let (meaning, health) = failure(category);
                let is_slow = category == ErrorCategory::Timeout && meaning == Meaning::Retry;
                Classified {
                    meaning,
                    category: Some(category),
                    health,
                    wait_ms: self.overload_ms.filter(|_| is_slow),
                    pauses_lane: false,
                    disable: None,
                }
            }
        }
    }

    fn judge(&self, answer: Answer) -> Classified {
        let rule = self.rule(answer.status);
        let built_in = built_in(answer);
        let mut meaning = match rule {
            None => built_in,
            Some(StatusMeaning::Success) => Meaning::Delivered,
            Some(StatusMeaning::Retry) => Meaning::Retry,
            Some(StatusMeaning::DeadLetter | StatusMeaning::Disable) => Meaning::DeadLetter,
        };
        if answer.control.is_some() && matches!(meaning, Meaning::Retry | Meaning::RenewToken) {
            meaning = Meaning::DeadLetter;
        }
        let is_delivered = meaning == Meaning::Delivered;
        let disable = match (answer.control, rule) {
            (Some(ReplyControl::Disable), _) => Some("the endpoint answered with `webhook-delivery: disable`"),
            (_, Some(StatusMeaning::Disable)) => Some("the endpoint's status is set to disable it"),
            (_, None) if answer.status == 410 => Some("the endpoint answered 410 Gone"),
            _ => None,
        };
        let asks_for_less =
            !is_delivered && (answer.status == 429 || (meaning == Meaning::Retry && answer.retry_after_ms.is_some()));
        let overload_ms = self.overload_ms.filter(|_| matches!(answer.status, 429 | 502 | 504));
        // What the endpoint says itself is better than our guess.
        let wait_ms = answer.retry_after_ms.or(overload_ms);
        Classified {
            meaning,
            category: (!is_delivered).then(|| category(answer.status, disable.is_some())),
            health: if is_delivered {
                Health::Good
            } else {
                health(answer.status)
            },
            wait_ms: wait_ms.filter(|_| !is_delivered),
            pauses_lane: asks_for_less,
            disable,
        }
    }

    fn rule(&self, status: u16) -> Option<StatusMeaning> {
        let exact = self.statuses.binary_search_by_key(&status, |(status, _)| *status);
        let class = usize::from(status / 100).checked_sub(1);
        exact.map_or_else(
            |_| class.and_then(|class| self.classes.get(class).copied().flatten()),
            |place| Some(self.statuses[place].1),
        )
    }
}

/// What an operator may do about a failure.
pub fn advice(category: ErrorCategory, status: Option<u16>) -> &'static str {
    match (category, status) {
        (ErrorCategory::Auth, Some(403)) => "the endpoint knows the credentials and refuses them: check their rights",
        (ErrorCategory::Auth, _) => "the endpoint does not accept the credentials: check the outgoing sign-in",
        (ErrorCategory::ClientError, Some(404)) => "the endpoint has nothing at this address: check `targetUrl`",
        (ErrorCategory::ClientError, Some(405)) => "the endpoint does not take this method: check `httpMethod`",
        (ErrorCategory::ClientError, Some(413)) => "the payload is too large for the endpoint",
        (ErrorCategory::ClientError, Some(415)) => "the endpoint does not take this media type",
        (ErrorCategory::ClientError, _) => "the endpoint refuses this event: check the payload and its mapping",
        (ErrorCategory::Redirect, _) => "redirects are not followed: set `targetUrl` to the final address",
        (ErrorCategory::Gone, _) => "the endpoint wants no more events; it gets none until it is enabled again",
        (ErrorCategory::RateLimited, _) => "the endpoint asks for less: lower `rateLimits`",
        (ErrorCategory::ServerError, _) => "the endpoint has a fault of its own",
        (ErrorCategory::Dns, _) => "the name of the endpoint cannot be resolved: check `targetUrl`",
        (ErrorCategory::Network, _) => "no connection to the endpoint",
        (ErrorCategory::Tls, _) => "the endpoint's certificate is not trusted, or the handshake failed",
        (ErrorCategory::Timeout, _) => "the endpoint did not answer in time",
        (ErrorCategory::BlockedAddress, _) => {
            "the endpoint's address may not be connected to: check the security rules"
        }
        (ErrorCategory::Protocol, _) => "what the endpoint answered is no HTTP",
        (ErrorCategory::Transformation, _) => "the payload could not be transformed: check the mapping or the script",
        (ErrorCategory::Enrichment, _) => "the data of an enrichment could not be fetched",
        (ErrorCategory::SignIn, _) => "the gateway could not sign in to the endpoint: check the outgoing sign-in",
        (ErrorCategory::Unavailable, _) => "no target of the integration takes requests now",
        (ErrorCategory::Internal, _) => "a fault of the gateway",
    }
}

fn built_in(answer: Answer) -> Meaning {
    match answer.status {
        200..=299 | 409 => Meaning::Delivered,
        401 if answer.can_renew => Meaning::RenewToken,
        408 | 429 | 500..=599 => Meaning::Retry,
        300..=499 => Meaning::DeadLetter,
        // No final status of HTTP: the answer is as good as none.
        _ => Meaning::Retry,
    }
}

fn health(status: u16) -> Health {
    match status {
        401 | 403 | 404 | 405 | 408 | 410 | 429 => Health::Bad,
        200..=299 | 400..=499 => Health::Unknown,
        // A redirect turns every event away, whatever is in it.
        _ => Health::Bad,
    }
}

fn category(status: u16, is_disabled: bool) -> ErrorCategory {
    match status {
        _ if is_disabled => ErrorCategory::Gone,
        410 => ErrorCategory::Gone,
        300..=399 => ErrorCategory::Redirect,
        401 | 403 => ErrorCategory::Auth,
        429 => ErrorCategory::RateLimited,
        408 | 500..=599 => ErrorCategory::ServerError,
        200..=299 | 400..=499 => ErrorCategory::ClientError,
        _ => ErrorCategory::Protocol,
    }
}

fn failure(category: ErrorCategory) -> (Meaning, Health) {
    match category {
        ErrorCategory::Dns
        | ErrorCategory::Network
        | ErrorCategory::Tls
        | ErrorCategory::Timeout
        | ErrorCategory::Protocol
        | ErrorCategory::RateLimited
        | ErrorCategory::ServerError
        // The sign-in belongs to the endpoint: without it no event gets there.
        | ErrorCategory::SignIn => (Meaning::Retry, Health::Bad),
        ErrorCategory::Enrichment | ErrorCategory::Unavailable | ErrorCategory::Internal => (Meaning::Retry, Health::Unknown),
        ErrorCategory::BlockedAddress | ErrorCategory::Redirect | ErrorCategory::Auth | ErrorCategory::Gone => {
            (Meaning::DeadLetter, Health::Bad)
        }
        ErrorCategory::ClientError | ErrorCategory::Transformation => (Meaning::DeadLetter, Health::Unknown),
    }
}

/// `Retry-After` as seconds or as a date (RFC 9110 section 10.2.3). What cannot be read counts as absent, and so does a
/// repeated header.
pub fn retry_after_ms(headers: &HeaderMap, now_ms: i64) -> Option<i64> {
    let mut values = headers.get_all(header::RETRY_AFTER).iter();
    let text = values.next()?.to_str().ok()?.trim();
    if values.next().is_some() {
        return None;
    }
    let wait_ms = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a very long time.
        text.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1_000)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since_epoch.as_millis()).ok()?.saturating_sub(now_ms)
    };
    Some(wait_ms.clamp(0, MAX_RETRY_AFTER_MS))
}

fn control(headers: &HeaderMap) -> Option<ReplyControl> {
    let values = headers.get_all(REPLY_CONTROL).iter();
    let said = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|word| match word.trim() {
            word if word.eq_ignore_ascii_case("abort-message") => Some(ReplyControl::Abort),
            word if word.eq_ignore_ascii_case("disable") => Some(ReplyControl::Disable),
            _ => None,
        });
    // The stronger word holds if both are there.
    said.max_by_key(|control| *control == ReplyControl::Disable)
}

/// What an operator names with one text.
pub(crate) enum Statuses {
    One(u16),
    /// By the first digit, less one.
    Class(usize),
}

/// Reads `404` or `5xx`; an error says what is wrong with the text.
pub(crate) fn read_status(text: &str) -> Result<Statuses, String> {
    let wrong =
        || format!("`{text}` is neither a status such as `404` nor a class such as `5xx`; both begin with 2 to 5");
    let (&first, rest) = text.as_bytes().split_first().ok_or_else(wrong)?;
    if !(b'2'..=b'5').contains(&first) || rest.len() != 2 {
        return Err(wrong());
    }
    if rest.eq_ignore_ascii_case(b"xx") {
        return Ok(Statuses::Class(usize::from(first - b'1')));
    }
    let is_number = rest.iter().all(u8::is_ascii_digit);
    text.parse()
        .ok()
        .filter(|_| is_number)
        .map(Statuses::One)
        .ok_or_else(wrong)
}

const REPLY_CONTROL: &str = "webhook-delivery";
/// The least that an endpoint is given that is overloaded, or too slow to answer.
const OVERLOAD_MS: i64 = 60_000;

#[cfg(test)]
mod tests;
