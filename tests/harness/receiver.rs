//! An endpoint that events are delivered to: it remembers what it received, and fails as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::answer::Answer;
use crate::partner::{Partner, Received};

/// An endpoint that listens until it is dropped. It says 200 unless told otherwise.
#[derive(Debug)]
pub struct Receiver {
    partner: Partner,
    behaviour: Arc<Mutex<Behaviour>>,
}

#[derive(Debug)]
struct Behaviour {
    next: VecDeque<Answer>,
    always: Answer,
}

impl Receiver {
    /// A new one.
    pub async fn start() -> Self {
        let behaviour = Arc::new(Mutex::new(Behaviour {
            next: VecDeque::new(),
            always: Answer::status(200),
        }));
        let script = Arc::clone(&behaviour);
        let partner = Partner::start(move |_| {
            let mut behaviour = script.lock().unwrap();
            let next = behaviour.next.pop_front();
            next.unwrap_or_else(|| behaviour.always.clone())
        })
        .await;
        Self { partner, behaviour }
    }

    /// Answers the next requests so, one after the other.
    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.behaviour.lock().unwrap().next.extend(answers);
    }

    /// Answers all other requests so.
    pub fn always(&self, answer: Answer) {
        self.behaviour.lock().unwrap().always = answer;
    }

    /// Its address followed by `path`.
    pub fn url(&self, path: &str) -> String {
        self.partner.url(path)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Received> {
        self.partner.requests()
    }

    /// Waits until `count` requests have come, and returns them.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        self.partner.received(count).await
    }
}

/// True if the request carries a signature of Standard Webhooks by this secret (`whsec_...`).
///
/// # Panics
/// If the secret or a header of the signature is not in its form.
pub fn is_signed(request: &Received, secret: &str) -> bool {
    let header = |name| match request.header(name) {
        Some(value) => value,
        None => panic!("no {name} in {:?}", request.headers),
    };
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let mut message = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    message.extend_from_slice(&request.body);
    header("webhook-signature").split(' ').any(|signature| {
        let text = signature.strip_prefix("v1,").unwrap();
        hmac::verify(&key, &message, &STANDARD.decode(text).unwrap()).is_ok()
    })
}
