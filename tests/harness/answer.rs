//! What a scripted partner answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::watch;

/// An answer: status, headers, body, and what delays it.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body,
    gate: Option<Gate>,
}

impl Answer {
    /// An empty answer.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: Vec::new(),
            body: Body::Whole(Bytes::new()),
            gate: None,
        }
    }

    /// 200 with JSON.
    pub fn json(body: &Value) -> Self {
        Self::status(200)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// 200 with text.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::status(200).header("content-type", "text/plain").body(body)
    }

    /// The same answer with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers.push((name, HeaderValue::try_from(value).unwrap()));
        self
    }

    /// A body of known length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    /// A body in chunks, without a length.
    #[must_use]
    pub fn chunks<const N: usize>(mut self, chunks: [&str; N]) -> Self {
        self.body = Body::Steps(chunks.map(|chunk| Step::Send(bytes(chunk))).into());
        self
    }

    /// A body of which the part after `first` waits for the gate.
    #[must_use]
    pub fn first_then(mut self, first: &str, gate: &Gate, rest: &str) -> Self {
        self.body = Body::Steps(
            [
                Step::Send(bytes(first)),
                Step::Wait(gate.clone()),
                Step::Send(bytes(rest)),
            ]
            .into(),
        );
        self
    }

    /// A body that ends with a broken connection after `sent`.
    #[must_use]
    pub fn broken_after(mut self, sent: &str) -> Self {
        self.body = Body::Steps([Step::Send(bytes(sent)), Step::Break].into());
        self
    }

    /// A body that never ends: a small piece every 20 ms.
    #[must_use]
    pub fn trickle(mut self) -> Self {
        self.body = Body::Steps([Step::Trickle].into());
        self
    }

    /// Holds the whole answer back until the gate opens.
    #[must_use]
    pub fn after(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Waits for the gate, then becomes hyper's answer.
    pub(crate) async fn send(self) -> Response<PartnerBody> {
        if let Some(gate) = self.gate {
            gate.passed().await;
        }
        let mut response = Response::new(self.body.into_hyper());
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// Opened by the test when what it holds back may go on. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Opens it for good.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns once it is open.
    pub async fn passed(&self) {
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

/// Body of a partner's answer.
pub(crate) type PartnerBody = UnsyncBoxBody<Bytes, io::Error>;

#[derive(Clone, Debug)]
enum Body {
    Whole(Bytes),
    Steps(VecDeque<Step>),
}

#[derive(Clone, Debug)]
enum Step {
    Send(Bytes),
    Wait(Gate),
    Break,
    Trickle,
}

impl Body {
    fn into_hyper(self) -> PartnerBody {
        match self {
            Self::Whole(bytes) => Full::new(bytes)
                .map_err(|never: Infallible| match never {})
                .boxed_unsync(),
            Self::Steps(steps) => StreamBody::new(stream::unfold(steps, next_frame)).boxed_unsync(),
        }
    }
}

async fn next_frame(mut steps: VecDeque<Step>) -> Option<(io::Result<Frame<Bytes>>, VecDeque<Step>)> {
    loop {
        match steps.pop_front()? {
            Step::Send(bytes) => return Some((Ok(Frame::data(bytes)), steps)),
            Step::Wait(gate) => gate.passed().await,
            Step::Break => return Some((Err(io::Error::other("broken on purpose")), steps)),
            Step::Trickle => {
                tokio::time::sleep(TRICKLE).await;
                steps.push_back(Step::Trickle);
                return Some((Ok(Frame::data(Bytes::from_static(b"drip "))), steps));
            }
        }
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Time between the pieces of a trickling answer.
const TRICKLE: Duration = Duration::from_millis(20);
