//! Which subscriptions get an event.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ahash::AHashMap;

use super::pattern::TypePattern;
use super::{Subscription, Topic};
use crate::event::{Event, Payload};

/// The most skipped subscriptions that one event names.
pub const MOST_SKIPPED: usize = 20;

/// What became of matching an event.
#[derive(Debug, Default)]
pub struct Matched {
    /// The subscriptions that get it, in the order of their slots.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// Subscriptions whose type it has and that do not get it: at most [`MOST_SKIPPED`], those of other entities last.
    pub skipped: Vec<(Arc<str>, SkipReason)>,
    /// How many were skipped in all.
    pub skipped_in_all: usize,
}

/// Why a subscription does not get an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It is for other types.
    OtherType,
    /// It is for another entity.
    OtherEntity,
    /// It leaves this entity out.
    Excluded,
    /// The payload does not pass its filter.
    Filter,
    /// It is not active.
    Inactive,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherType => "other event type",
            Self::OtherEntity => "other entity",
            Self::Excluded => "entity is excluded",
            Self::Filter => "filter does not hold",
            Self::Inactive => "not active",
        })
    }
}

/// The subscriptions of one organization, by what they ask for.
#[derive(Debug, Default)]
pub(crate) struct Index {
    types: AHashMap<Box<str>, Group>,
    actions: AHashMap<i64, Group>,
    /// Patterns with a `*`; few, as many subscriptions share one.
    patterns: Vec<(TypePattern, Group)>,
}

/// Subscriptions that ask for the same, by whose events they get.
#[derive(Debug, Default)]
struct Group {
    /// Those of the organization's own number, which may get the events of any entity.
    organization: Vec<Arc<Subscription>>,
    units: BTreeMap<u64, Vec<Arc<Subscription>>>,
    in_units: usize,
}

impl Index {
    /// Sorts `subscriptions`, all of one organization, in the order of their slots.
    pub(crate) fn of<'a>(subscriptions: impl Iterator<Item = &'a Arc<Subscription>>) -> Self {
        let mut index = Self::default();
        let mut places: AHashMap<TypePattern, usize> = AHashMap::new();
        for subscription in subscriptions {
            let group = match &subscription.topic {
                Topic::Action(action) => index.actions.entry(*action).or_default(),
                Topic::Type(pattern) if pattern.is_exact() => index.types.entry(pattern.as_str().into()).or_default(),
                Topic::Type(pattern) => {
                    let place = *places.entry(pattern.clone()).or_insert_with(|| {
                        index.patterns.push((pattern.clone(), Group::default()));
                        index.patterns.len() - 1
                    });
                    &mut index.patterns[place].1
                }
            };
            group.add(subscription);
        }
        index
    }

    pub(crate) fn matches(&self, event: &Event, payload: &Payload<'_>) -> Matched {
        let head = &event.head;
        let exact = self.types.get(head.event_type.as_str());
        let action = head.action_id.and_then(|action| self.actions.get(&action));
        let patterns = self
            .patterns
            .iter()
            .filter(|(pattern, _)| pattern.matches(&head.event_type))
            .map(|(_, group)| group);
        let mut matched = Matched::default();
        let groups: Vec<&Group> = exact.into_iter().chain(action).chain(patterns).collect();
        for group in &groups {
            group.judge(event, payload, &mut matched);
        }
        for group in &groups {
            group.name_others(event, &mut matched);
        }
        matched
            .subscriptions
            .sort_unstable_by_key(|subscription| subscription.slot);
        matched
    }
}

impl Group {
    fn add(&mut self, subscription: &Arc<Subscription>) {
        let tenant = subscription.source.tenant();
        if tenant == subscription.org_id {
            self.organization.push(Arc::clone(subscription));
        } else {
            self.units.entry(tenant).or_default().push(Arc::clone(subscription));
            self.in_units += 1;
        }
    }

    /// Those of the event's entity.
    fn of_unit(&self, event: &Event) -> &[Arc<Subscription>] {
        self.units.get(&event.head.entity()).map_or(&[], Vec::as_slice)
    }

    /// Sorts out those that may get the event.
    fn judge(&self, event: &Event, payload: &Payload<'_>, matched: &mut Matched) {
        for subscription in self.organization.iter().chain(self.of_unit(event)) {
            match subscription.objection(event, payload) {
                None => matched.subscriptions.push(Arc::clone(subscription)),
                Some(reason) => matched.skip(subscription, reason),
            }
        }
    }

    /// Counts those of other units and names some of them, without looking at each: there may be thousands.
    fn name_others(&self, event: &Event, matched: &mut Matched) {
        let others = self.in_units - self.of_unit(event).len();
        let room = MOST_SKIPPED.saturating_sub(matched.skipped.len());
        let entity = event.head.entity();
        let named = self
            .units
            .iter()
            .filter(|(unit, _)| **unit != entity)
            .flat_map(|(_, subscriptions)| subscriptions)
            .take(room);
        let named = named.map(|subscription| (Arc::clone(&subscription.id), SkipReason::OtherEntity));
        matched.skipped.extend(named);
        matched.skipped_in_all += others;
    }
}

impl Matched {
    fn skip(&mut self, subscription: &Subscription, reason: SkipReason) {
        self.skipped_in_all += 1;
        if self.skipped.len() < MOST_SKIPPED {
            self.skipped.push((Arc::clone(&subscription.id), reason));
        }
    }
}

#[cfg(test)]
mod tests;
