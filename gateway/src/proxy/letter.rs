//! Dead letters of calls: what is kept of a call that failed for good, so that an operator can have it made again. The client
//! has its answer before anything of it is kept, and a call whose integration does not ask for it is asked nothing else.

mod again;
mod end;
mod made;
mod stored;

use bytes::{Bytes, BytesMut};
use filters::plan::Integration;
use filters::plan::dead_letters::DeadLetterPlan;
use http::{HeaderMap, Method};
use pingora::proxy::Session;
use pingora_http::RequestHeader;

use super::Proxy;
use super::admit::{credential, input};
use super::call::{Call, Route};
use crate::letters::Letter;
use crate::shedding::Room;
pub use again::CallsAgain;
use end::End;
use made::Facts;

/// What a dead letter of the call would be made of, beside what is known of the call anyway.
pub(crate) struct Draft {
    /// Where a call that was refused by a limit would have gone.
    refused: Option<Route>,
    body: Body,
}

impl Draft {
    /// True for a call that was refused by a limit.
    const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }
}

/// What is there of the client's body.
enum Body {
    /// It is not read here.
    Unread,
    Whole(Bytes),
    TooLarge,
    Incomplete,
}

/// Keeps the body of a call that was read and checked, if a dead letter may have it.
pub(super) fn keep_body(call: &mut Call, request: &RequestHeader, body: &Bytes) {
    let Some(plan) = plan(call).filter(|plan| plan.is_for(&request.method)) else {
        return;
    };
    let body = match plan.most_bytes {
        Some(most) if body.len() <= most => Body::Whole(body.clone()),
        Some(_) => Body::TooLarge,
        None if body.is_empty() => Body::Whole(Bytes::new()),
        None => Body::Unread,
    };
    call.letter = Some(Box::new(Draft { refused: None, body }));
}

/// True if a call beyond a limit becomes a dead letter.
pub(super) fn takes_refused(integration: &Integration, method: &Method) -> bool {
    let plan = integration.dead_letters.as_deref();
    plan.is_some_and(|plan| plan.takes_beyond_limits() && plan.is_for(method))
}

/// Notes a call that was refused by a limit, and would have been let in otherwise.
pub(super) fn note_refused(call: &mut Call, route: Route) {
    call.letter = Some(Box::new(Draft {
        refused: Some(route),
        body: Body::Incomplete,
    }));
}

/// Gives a call that was refused room for its body, which is read after its answer.
pub(super) fn make_room(proxy: &Proxy, call: &mut Call) {
    if call.letter.as_ref().is_some_and(|draft| draft.is_refused()) && call.room.is_none() {
        call.room = Some(proxy.shedding.room());
    }
}

/// The body of a call that was refused, while it is read.
pub(super) struct Gathering {
    bytes: BytesMut,
    most: usize,
    room: Option<Room>,
    is_too_large: bool,
}

impl Gathering {
    /// Begins to gather, if the call leaves a dead letter with its body.
    pub(super) fn of(call: &mut Call) -> Option<Self> {
        call.letter.as_ref()?.refused.as_ref()?;
        let most = plan(call)?.most_bytes?;
        Some(Self {
            bytes: BytesMut::new(),
            most,
            room: call.room.take(),
            is_too_large: false,
        })
    }

    /// The most bytes that are of interest.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        let is_room = self
            .room
            .as_mut()
            .is_some_and(|room| room.take(piece.len() as u64).is_ok());
        self.is_too_large |= !is_room || self.bytes.len() + piece.len() > self.most;
        if self.is_too_large {
            self.bytes = BytesMut::new();
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Hands over what was gathered; `is_whole` says that the body ended.
    pub(super) fn finish(self, call: &mut Call, is_whole: bool) {
        if let Some(draft) = &mut call.letter {
            draft.body = match (self.is_too_large, is_whole) {
                (true, _) => Body::TooLarge,
                (false, true) => Body::Whole(self.bytes.freeze()),
                (false, false) => Body::Incomplete,
            };
        }
        call.room = self.room;
    }
}

/// Makes a dead letter of a call that is over, if its integration wants one of it.
pub(super) fn put(proxy: &Proxy, session: &mut Session, call: &mut Call) {
    if plan(call).is_none() {
        return;
    }
    let Some(runtime) = call.runtime.clone() else { return };
    let Some(plan) = runtime.integration.dead_letters.as_deref() else {
        return;
    };
    let may_have_body = input::may_have_body(session);
    let session = &*session;
    let request = session.req_header();
    if call.is_grpc || call.is_upgrade || !plan.is_for(&request.method) {
        return;
    }
    let Some(end) = End::of(plan, call) else { return };
    let draft = call.letter.take();
    let (refused, body) = draft.map_or((None, Body::Unread), |draft| (draft.refused, draft.body));
    let Some(route) = call.route.as_ref().or(refused.as_ref()) else {
        return;
    };
    if refused.is_some() && !may_be_kept(route, &request.headers, &body) {
        return;
    }
    let is_large = matches!(&body, Body::Whole(body) if body.len() > LARGE_BODY);
    let make = || {
        made::arrival(&Facts {
            proxy,
            session,
            call,
            route,
            end,
            body,
            may_have_body,
            most_bytes: plan.most_bytes,
        })
    };
    let made = if is_large {
        // Milliseconds of work: the other requests of this thread go on elsewhere meanwhile.
        tokio::task::block_in_place(make)
    } else {
        make()
    };
    match made {
        Ok(arrival) => proxy.letters.put(Letter {
            arrival,
            most: plan.most_letters,
        }),
        Err(error) => proxy.letters.lost_to(&error),
    }
}

/// False for a call that would not have been let in for its body.
fn may_be_kept(route: &Route, headers: &HeaderMap, body: &Body) -> bool {
    match body {
        Body::Whole(body) => credential::check_body(route, body).and_then(|()| input::check_body(route, headers, body)),
        // What was signed is not known to be what came.
        Body::Unread | Body::TooLarge | Body::Incomplete if route.caller.signed_body.is_some() => return false,
        Body::Unread | Body::TooLarge | Body::Incomplete => return true,
    }
    .is_ok()
}

fn plan(call: &Call) -> Option<&DeadLetterPlan> {
    call.runtime.as_ref()?.integration.dead_letters.as_deref()
}

/// Bytes of a body from which on masking it is worth moving the other requests of the thread away.
const LARGE_BODY: usize = 64 * 1024;
