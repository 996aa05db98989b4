//! What schemas require of an object, step by step on the way down.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Kinds, Place, Shape, Way, Went};

/// A place in a body, and the ways in which what stands there can fit.
#[derive(Debug)]
pub(crate) struct Spot<'s>(Vec<Way<'s>>);

impl<'s> Shape<'s> {
    /// The body itself; `None` if nothing can be told of it.
    pub(crate) fn spot(&self) -> Option<Spot<'s>> {
        if self.is_anything() {
            return None;
        }
        let places = self.schemas.iter();
        Spot::of(places.map(|source| Place::of(*source, vec![source.schema])))
    }
}

impl<'s> Spot<'s> {
    fn of(places: impl Iterator<Item = Place<'s>>) -> Option<Self> {
        let ways: Vec<Way<'s>> = places.flat_map(|place| place.ways()).collect();
        (!ways.is_empty()).then_some(Self(ways))
    }

    /// The field of this name; `None` if nothing can be told of it.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        self.down(|way| way.field(name))
    }

    /// An item of the list that is here: the one at a place, or any.
    pub(crate) fn item(&self, place: Option<usize>) -> Option<Self> {
        self.down(|way| way.item(place, false))
    }

    /// What an object must have here besides `given`: in the way that asks for the least.
    pub(crate) fn missing(&self, given: &[&str]) -> Vec<&'s str> {
        let objects = self.0.iter().filter(|way| way.kinds().meets(Kinds::OBJECT));
        let lacking = objects.map(|way| {
            let required = way.parts.iter().filter_map(|part| part.get("required")?.as_array());
            let names = required.flatten().filter_map(Value::as_str);
            names.filter(|name| !given.contains(name)).collect::<BTreeSet<_>>()
        });
        let least = lacking.min_by_key(BTreeSet::len);
        least.unwrap_or_default().into_iter().collect()
    }

    fn down(&self, step: impl Fn(&Way<'s>) -> Went<'s>) -> Option<Self> {
        let mut places = Vec::new();
        for way in &self.0 {
            match step(way) {
                Went::To(place) => places.push(place),
                Went::Anywhere(_) | Went::Same => return None,
                Went::Nowhere(_) => {}
            }
        }
        Self::of(places.into_iter())
    }
}
