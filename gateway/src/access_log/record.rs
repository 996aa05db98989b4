//! What a line says.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::fields::{AccessField, Fields};
use super::json::{self, Object};

/// One request, as it is logged. What is none is left out of the line.
///
/// Nothing of it is a secret: no query, no body, and of headers what was chosen. Those who fill it in keep credentials out of the texts.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request's head was complete.
    pub at: SystemTime,
    /// Identifier of the request.
    pub request_id: &'a str,
    /// Identifier of the trace.
    pub trace_id: [u8; 16],
    /// Address of the client.
    pub client: Option<IpAddr>,
    /// Method, as sent.
    pub method: &'a str,
    /// Host, as sent.
    pub host: &'a [u8],
    /// Path, as sent. A query is cut off, as it may carry credentials.
    pub path: &'a [u8],
    /// Status of the answer; none if the client left before there was one.
    pub status: Option<u16>,
    /// Code of the error body, if the gateway wrote the answer itself.
    pub code: Option<&'a str>,
    /// Integration that the request belongs to.
    pub integration: Option<&'a str>,
    /// Organization of that integration.
    pub org_id: Option<u64>,
    /// Name of the credential that the client showed, or of the producer.
    pub consumer: Option<&'a str>,
    /// How the request was carried.
    pub mode: Option<RouteMode>,
    /// Bytes of the client's body that were received.
    pub request_bytes: u64,
    /// Bytes of the answer's body that were sent.
    pub response_bytes: u64,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// The partner's part, if it was called.
    pub upstream: Option<UpstreamRecord>,
    /// What went wrong, for operators.
    pub fault_reason: Option<&'a str>,
    /// Header fields of the request that the log is to show, each with the name of its field in the line; masked where need
    /// be.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// How a request is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteMode {
    /// Passed on as it comes.
    Stream,
    /// Read as a whole, then passed on.
    Exchange,
    /// Not at all: it handed over events, which are kept.
    Ingest,
}

impl RouteMode {
    /// Its name in the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Exchange => "exchange",
            Self::Ingest => "ingest",
        }
    }
}

/// The partner's part of a request.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamRecord {
    /// Address that was connected to last; none if none was reached.
    pub address: Option<SocketAddr>,
    /// From the first call to the end of the last one.
    pub duration: Duration,
    /// Calls, the first one included.
    pub attempts: u32,
}

impl AccessRecord<'_> {
    /// The line with these fields, and its end.
    pub(super) fn line<'s>(&self, fields: Fields, scratch: &'s mut Scratch) -> &'s [u8] {
        use AccessField as Field;
        let Scratch { line: out, seconds } = scratch;
        out.clear();
        let mut line = Object::open(out);
        if fields.has(Field::Ts) {
            line.plain("ts", |out| seconds.write(out, self.at));
        }
        if fields.has(Field::RequestId) {
            line.string("requestId", self.request_id.as_bytes());
        }
        if fields.has(Field::TraceId) {
            line.plain("traceId", |out| {
                let start = out.len();
                out.resize(start + 32, 0);
                hex::encode_to_slice(self.trace_id, &mut out[start..]).expect("16 bytes have 32 digits");
            });
        }
        if let Some(client) = self.client.filter(|_| fields.has(Field::Client)) {
            line.ip("client", client);
        }
        self.add_request(fields, &mut line);
        self.add_outcome(fields, &mut line);
        for (name, value) in self.headers {
            line.string(name, value);
        }
        line.close();
        out.push(b'\n');
        out
    }

    fn add_request(&self, fields: Fields, line: &mut Object<'_>) {
        use AccessField as Field;
        if fields.has(Field::Method) {
            line.string("method", self.method.as_bytes());
        }
        if fields.has(Field::Host) {
            line.string("host", self.host);
        }
        if fields.has(Field::Path) {
            line.string("path", self.path.split(|byte| *byte == b'?').next().unwrap_or_default());
        }
        if let Some(status) = self.status.filter(|_| fields.has(Field::Status)) {
            line.number("status", u64::from(status));
        }
        optional(line, "code", self.code.filter(|_| fields.has(Field::Code)));
        optional(
            line,
            "integration",
            self.integration.filter(|_| fields.has(Field::Integration)),
        );
        if let Some(org_id) = self.org_id.filter(|_| fields.has(Field::OrgId)) {
            line.number("orgId", org_id);
        }
        optional(line, "consumer", self.consumer.filter(|_| fields.has(Field::Consumer)));
    }

    fn add_outcome(&self, fields: Fields, line: &mut Object<'_>) {
        use AccessField as Field;
        optional(
            line,
            "mode",
            self.mode.map(RouteMode::label).filter(|_| fields.has(Field::Mode)),
        );
        if fields.has(Field::RequestBytes) {
            line.number("requestBytes", self.request_bytes);
        }
        if fields.has(Field::ResponseBytes) {
            line.number("responseBytes", self.response_bytes);
        }
        if fields.has(Field::DurationMs) {
            line.millis("durationMs", self.duration);
        }
        if let Some(upstream) = self.upstream.as_ref().filter(|_| fields.has(Field::Upstream)) {
            line.object("upstream", |line| {
                if let Some(address) = upstream.address {
                    line.socket("address", address);
                }
                line.millis("durationMs", upstream.duration);
                line.number("attempts", u64::from(upstream.attempts));
            });
        }
        optional(
            line,
            "faultReason",
            self.fault_reason.filter(|_| fields.has(Field::FaultReason)),
        );
    }
}

fn optional(line: &mut Object<'_>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        line.string(name, value.as_bytes());
    }
}

/// What a thread keeps from line to line.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    line: Vec<u8>,
    seconds: Seconds,
}

/// Writes times, and remembers the text of the last second, as most lines share theirs with the line before.
#[derive(Debug, Default)]
struct Seconds {
    second: Option<u64>,
    text: String,
}

impl Seconds {
    /// Appends `at` as `2026-03-01T12:34:56.123456Z`.
    fn write(&mut self, out: &mut Vec<u8>, at: SystemTime) {
        let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since_epoch.as_secs();
        if self.second != Some(second) {
            self.second = Some(second);
            let timestamp = i64::try_from(second)
                .ok()
                .and_then(|second| jiff::Timestamp::from_second(second).ok());
            self.text = timestamp.unwrap_or(jiff::Timestamp::MAX).strftime("%FT%T").to_string();
        }
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'.');
        json::digits::<6>(out, u64::from(since_epoch.subsec_micros()));
        out.push(b'Z');
    }
}
