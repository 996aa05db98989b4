//! What a producer is told of its events.

use bytes::Bytes;
use filters::event::ItemFault;
use filters::model::Problem;
use http::StatusCode;
use serde::Serialize;

/// What became of one event of a request.
#[derive(Debug)]
pub enum Item {
    /// It is on disk, with so many deliveries.
    New {
        /// Its identifier.
        id: String,
        /// Deliveries that are to be made.
        deliveries: usize,
    },
    /// It was there already.
    Repeat {
        /// Identifier of the event that is kept.
        id: String,
    },
    /// It was refused.
    Refused(ItemFault),
}

/// The answer to a request whose events were taken in, at least in part.
#[derive(Debug)]
pub struct Answer {
    /// 202 if all were, 207 if some were.
    pub status: StatusCode,
    /// JSON.
    pub body: Bytes,
}

impl Answer {
    /// The answer to one event that was taken in.
    pub fn single(result: &Item) -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            body: json(&Shown::of(result)),
        }
    }

    /// The answer to a batch.
    pub fn list(results: &[Item]) -> Self {
        let refused = results.iter().any(|result| matches!(result, Item::Refused(_)));
        let results: Vec<_> = results
            .iter()
            .enumerate()
            .map(|(index, result)| Listed {
                index,
                status: match result {
                    Item::New { .. } | Item::Repeat { .. } => StatusCode::ACCEPTED,
                    Item::Refused(refused) => refused.fault.status(),
                }
                .as_u16(),
                shown: Shown::of(result),
            })
            .collect();
        Self {
            status: if refused {
                StatusCode::MULTI_STATUS
            } else {
                StatusCode::ACCEPTED
            },
            body: json(&List { results }),
        }
    }
}

fn json(shown: &impl Serialize) -> Bytes {
    serde_json::to_vec(shown)
        .expect("texts, numbers and problems are JSON")
        .into()
}

#[derive(Serialize)]
struct List<'r> {
    results: Vec<Listed<'r>>,
}

#[derive(Serialize)]
struct Listed<'r> {
    index: usize,
    status: u16,
    #[serde(flatten)]
    shown: Shown<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'r> {
    Taken {
        id: &'r str,
        accepted: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        deliveries: Option<usize>,
        duplicate: bool,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'r str>,
        accepted: bool,
        code: &'static str,
        error: String,
        #[serde(skip_serializing_if = "<[Problem]>::is_empty")]
        problems: &'r [Problem],
    },
}

impl<'r> Shown<'r> {
    fn of(result: &'r Item) -> Self {
        match result {
            Item::New { id, deliveries } => Self::Taken {
                id,
                accepted: true,
                deliveries: Some(*deliveries),
                duplicate: false,
            },
            Item::Repeat { id } => Self::Taken {
                id,
                accepted: true,
                deliveries: None,
                duplicate: true,
            },
            Item::Refused(refused) => Self::Refused {
                id: refused.id.as_deref(),
                accepted: false,
                code: refused.fault.code(),
                error: refused.fault.to_string(),
                problems: &refused.fault.problems,
            },
        }
    }
}
