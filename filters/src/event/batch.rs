//! Several events in one body.

use super::cloud;
use super::draft::{Circumstances, Draft, Names};
use super::fault::{EventFault, FaultKind, Faults, ItemFault};
use super::fields::{Fields, Items};
use super::plain;
use super::{Batch, Decoded};
use crate::model::problem::join;

/// What one event of a body looks like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// The plain form.
    Plain,
    /// CloudEvents in the JSON format.
    Cloud,
}

impl Shape {
    fn names(self) -> &'static Names {
        match self {
            Self::Plain => &plain::NAMES,
            Self::Cloud => &cloud::NAMES,
        }
    }

    fn read<'b>(self, fields: Fields<'b>, faults: &mut Faults) -> Draft<'b> {
        match self {
            Self::Plain => plain::read(fields, faults),
            Self::Cloud => cloud::read(fields, faults),
        }
    }
}

/// How a list of events is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// All or none of them.
    pub(super) atomic: bool,
    /// The most of them.
    pub(super) most: usize,
}

/// One event by itself.
pub(super) fn single(shape: Shape, text: &str, around: &mut Circumstances<'_>) -> Result<Batch, EventFault> {
    let fields = Fields::of(text).map_err(|message| EventFault::one(FaultKind::Unreadable, "", message))?;
    one(shape, fields, around)
}

/// The same, its fields being known already.
pub(super) fn one(shape: Shape, fields: Fields<'_>, around: &mut Circumstances<'_>) -> Result<Batch, EventFault> {
    let mut faults = Faults::default();
    let draft = shape.read(fields, &mut faults);
    finish(draft, shape.names(), faults, around)
}

/// Completes the only event of a request.
pub(super) fn finish(
    draft: Draft<'_>,
    names: &Names,
    mut faults: Faults,
    around: &mut Circumstances<'_>,
) -> Result<Batch, EventFault> {
    match around.complete(draft, names, &mut faults) {
        Some(decoded) => Ok(Batch {
            is_list: false,
            atomic: true,
            items: vec![Ok(decoded)],
        }),
        None => Err(faults.fault("").unwrap_or_else(unexplained)),
    }
}

/// The events of a list that stands at `path` of the body.
pub(super) fn list(
    shape: Shape,
    text: &str,
    path: &str,
    rules: Rules,
    around: &mut Circumstances<'_>,
) -> Result<Batch, EventFault> {
    let items = Items::of(text, rules.most).map_err(|message| EventFault::one(FaultKind::Unreadable, path, message))?;
    if items.count == 0 {
        return Err(EventFault::one(FaultKind::Invalid, path, "holds no event"));
    }
    if items.count > rules.most {
        let message = format!(
            "holds {} events; at most {} are taken in one request",
            items.count, rules.most
        );
        return Err(EventFault::one(FaultKind::TooMany, path, message));
    }
    let mut taken = Vec::with_capacity(items.count);
    for (index, item) in items.list.into_iter().enumerate() {
        let place = join(path, &format!("[{index}]"));
        taken.push(item_of(shape, item.get(), index, &place, around));
    }
    let batch = Batch {
        is_list: true,
        atomic: rules.atomic,
        items: taken,
    };
    if rules.atomic { batch.all_or_none() } else { Ok(batch) }
}

fn item_of(
    shape: Shape,
    text: &str,
    index: usize,
    place: &str,
    around: &mut Circumstances<'_>,
) -> Result<Decoded, ItemFault> {
    let fields = Fields::of(text).map_err(|message| ItemFault {
        index,
        id: None,
        fault: EventFault::one(FaultKind::Unreadable, place, message),
    })?;
    let mut faults = Faults::default();
    let draft = shape.read(fields, &mut faults);
    let id = draft.id.clone();
    let decoded = around.complete(draft, shape.names(), &mut faults);
    decoded.ok_or_else(|| ItemFault {
        index,
        id,
        fault: faults.fault(place).unwrap_or_else(unexplained),
    })
}

impl Batch {
    /// Itself if nothing is wrong with any event; else everything that is wrong, up to a number that still helps.
    fn all_or_none(self) -> Result<Self, EventFault> {
        let mut kind = None;
        let mut problems = Vec::new();
        for fault in self.items.iter().filter_map(|item| item.as_ref().err()) {
            kind = kind.max(Some(fault.fault.kind));
            let room = MOST_PROBLEMS - problems.len();
            problems.extend(fault.fault.problems.iter().take(room).cloned());
        }
        match kind {
            None => Ok(self),
            Some(kind) => Err(EventFault { kind, problems }),
        }
    }
}

/// Stands in for a fault that names no problem; none is known that comes without.
fn unexplained() -> EventFault {
    EventFault::one(FaultKind::Invalid, "", "cannot be taken")
}

/// The most problems that are told of a list which is refused as a whole.
const MOST_PROBLEMS: usize = 50;
