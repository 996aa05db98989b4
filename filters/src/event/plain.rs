//! The plain form: a JSON object with `eventType` or `actionId`, and `payload`.

use super::draft::{Draft, Names};
use super::fault::Faults;
use super::fields::Fields;
use super::payload::Content;

/// Reads the fields of an event in the plain form.
pub(super) fn read<'b>(mut fields: Fields<'b>, faults: &mut Faults) -> Draft<'b> {
    fields.check(faults);
    let mut draft = Draft {
        org_id: fields.number("orgId", faults),
        id: alias(&mut fields, ["id", "eventId"], faults),
        source: fields.text("source", faults),
        event_type: fields.text("eventType", faults),
        action_id: fields.number("actionId", faults),
        entity_rid: fields.number("entityRid", faults),
        subject: fields.text("subject", faults),
        time: fields.text("time", faults),
        correlation_id: fields.text("correlationId", faults),
        status_callback: alias(&mut fields, ["statusCallback", "integration_status_callback"], faults),
        traceparent: fields.text("traceparent", faults),
        ..Draft::default()
    };
    if let Some(payload) = fields.take_any("payload") {
        draft.keep(
            Content::json(payload.get()).map_err(|message| ("payload", message)),
            faults,
        );
    }
    for (name, _) in fields.rest() {
        let message = format!("is no field of an event; there are {KNOWN}");
        faults.invalid(name, message);
    }
    draft
}

/// A text that goes by two names.
fn alias(fields: &mut Fields<'_>, names: [&'static str; 2], faults: &mut Faults) -> Option<String> {
    if names.iter().all(|name| fields.has(name)) {
        faults.invalid(names[1], format!("is the same as `{}`; give one of them", names[0]));
    }
    let [first, second] = names.map(|name| fields.text(name, faults));
    first.or(second)
}

/// What the fields are called.
pub(super) const NAMES: Names = Names {
    prefix: "",
    org_id: "orgId",
    id: "id",
    source: "source",
    event_type: "eventType",
    action_id: "actionId",
    entity_rid: "entityRid",
    subject: "subject",
    time: "time",
    data_content_type: "payload",
    correlation_id: "correlationId",
    status_callback: "statusCallback",
    payload: "payload",
};

const KNOWN: &str = "eventType, actionId, orgId, entityRid, payload, id (or eventId), source, subject, time, correlationId, \
                     statusCallback (or integration_status_callback) and traceparent";
