//! What an attempt sends: the event's payload, enriched and transformed, made anew each time.

use bytes::Bytes;
use filters::model::delivery::ErrorCategory;
use filters::plan::{Change, Transform};
use filters::script::ScriptContext;
use filters::subscription::Subscription;
use filters::transform::{Edits, Mapped};
use http::HeaderValue;
use serde_json::Value;

use super::Attempts;
use super::content::Content;
use super::enrich::enriched;
use super::fault::Fault;
use super::memory::Memory;
use super::request::Trace;
use crate::delivery::Job;
use crate::live::subscription::{CallRuntime, SubscriptionRuntime};

/// What is sent, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) content: Content,
    pub(super) media_type: HeaderValue,
    /// Header fields that the mapping writes, or takes out.
    pub(super) edits: Edits,
}

/// Makes what `call` sends.
pub(super) async fn prepare(
    attempts: &Attempts,
    job: &Job,
    subscription: &SubscriptionRuntime,
    call: &CallRuntime,
    memory: &Memory,
    trace: &Trace,
) -> Result<Prepared, Fault> {
    let replaced = job.state.payload.as_deref();
    let mut text = match replaced {
        Some(payload) => Bytes::copy_from_slice(payload.as_bytes()),
        None => job.event.payload.clone(),
    };
    let mut is_json = replaced.is_some();
    let mut spooled = Vec::new();
    if !subscription.enrichments.is_empty() {
        let (payload, content) = enriched(subscription, &text, trace, &attempts.spool).await?;
        text = serde_json::to_vec(&payload)
            .map_err(|error| Fault::ours(ErrorCategory::Internal, error.to_string()))?
            .into();
        spooled = content;
        is_json = true;
    }
    if let Some(transform) = &call.transform {
        let input = with_answers(text, memory);
        let around = Around {
            attempts,
            job,
            subscription: &subscription.subscription,
            call,
        };
        let (changed, edits) = around.transformed(transform, input).await?;
        return Ok(Prepared {
            content: Content::assembled(changed, spooled),
            media_type: transform.content_type(),
            edits,
        });
    }
    let media_type = match &job.event.head.data_content_type {
        Some(named) if !is_json => HeaderValue::from_str(named).unwrap_or(JSON),
        _ => JSON,
    };
    Ok(Prepared {
        content: Content::assembled(text, spooled),
        media_type,
        edits: Edits::default(),
    })
}

/// What is around a payload.
struct Around<'a> {
    attempts: &'a Attempts,
    job: &'a Job,
    subscription: &'a Subscription,
    call: &'a CallRuntime,
}

impl Around<'_> {
    /// Transforms `input`, a JSON text.
    async fn transformed(&self, transform: &Transform, input: Bytes) -> Result<(Bytes, Edits), Fault> {
        let context = if transform.asks_around() {
            self.context()
        } else {
            ScriptContext::default()
        };
        if let Change::Script(script) = &transform.change {
            let run = self.attempts.scripts.run(script.clone(), input, context).await;
            let output = run.map_err(|fault| Fault::of_script(&fault))?;
            let written = transform.written(output);
            let written = written.map_err(|fault| Fault::of_mapping(&fault))?;
            return Ok((written.into(), Edits::default()));
        }
        let map = || transform.map(&input, Some(&JSON), &context);
        let mapped = if input.len() > LARGE_BODY {
            // Milliseconds of work: the other attempts of this thread go on elsewhere meanwhile.
            tokio::task::block_in_place(map)
        } else {
            map()
        };
        let Mapped { body, edits } = mapped.map_err(|fault| Fault::of_mapping(&fault))?;
        Ok((body.map_or(input, Bytes::from), edits))
    }

    fn context(&self) -> ScriptContext {
        let head = &self.job.event.head;
        let text = |text: &str| Value::String(text.to_owned());
        let attempt = self.job.state.attempts.saturating_add(1);
        let metadata = [
            ("eventId", Some(text(&head.id))),
            ("source", Some(text(&head.source))),
            ("subject", head.subject.as_deref().map(text)),
            ("time", head.time.as_deref().map(text)),
            ("correlationId", head.correlation_id.as_deref().map(text)),
            ("actionName", self.call.name.as_deref().map(text)),
            ("attempt", Some(Value::from(attempt))),
        ];
        ScriptContext {
            org_id: head.org_id,
            tenant_id: self.subscription.source.tenant_id,
            entity_rid: head.entity_rid,
            event_type: Some(head.event_type.clone()),
            integration_id: self.subscription.id.to_string(),
            metadata: metadata
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
            now: crate::clock::now_rfc3339(),
            env: self.attempts.scripts.env().clone(),
            ..ScriptContext::default()
        }
    }
}

/// `payload` with the answers of earlier steps in `steps`, if it is an object. It is not parsed for that: the text gets one
/// more field at its end, which wins over one of the payload's own.
fn with_answers(payload: Bytes, memory: &Memory) -> Bytes {
    let Some(answers) = memory.answers_json() else {
        return payload;
    };
    let object = payload.trim_ascii();
    let Some(fields) = object.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")) else {
        return payload;
    };
    let comma: &[u8] = if fields.trim_ascii().is_empty() { b"" } else { b"," };
    [b"{", fields, comma, b"\"steps\":", answers.as_bytes(), b"}"]
        .concat()
        .into()
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Bytes of a payload from which on mapping it is worth moving the other attempts of the thread away.
const LARGE_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::super::memory::StepAnswer;
    use super::*;

    fn joined(payload: &'static str) -> String {
        let mut memory = Memory::default();
        let answer = StepAnswer::of(200, &Bytes::from_static(b"{\"id\":1}"), true);
        memory.answers.insert("a".to_owned(), answer);
        let joined = with_answers(Bytes::from_static(payload.as_bytes()), &memory);
        String::from_utf8(joined.into()).unwrap()
    }

    #[test]
    fn later_steps_see_the_answers_of_earlier_ones() {
        let answers = r#""steps":{"a":{"status":200,"body":{"id":1}}}"#;
        assert_eq!(joined(r#"{"x":1}"#), format!(r#"{{"x":1,{answers}}}"#));
        assert_eq!(joined(" { } "), format!("{{ {answers}}}"));
        let own: Value = serde_json::from_str(&joined(r#"{"steps":7}"#)).unwrap();
        assert_eq!(own["steps"]["a"]["body"]["id"], 1);
    }

    #[test]
    fn what_is_no_object_stays_as_it_is() {
        assert_eq!(joined("[1]"), "[1]");
        assert_eq!(joined(""), "");
        assert_eq!(with_answers(Bytes::from_static(b"{}"), &Memory::default()), "{}");
    }
}
