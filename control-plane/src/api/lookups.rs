//! Lookup tables: as a whole, row by row, and as files.

use filters::model::Lookup;

use super::resource::{Everything, Resource, kept_in};

pub(super) mod entries;
pub(super) mod export;
pub(super) mod import;
mod upload;

impl Resource for Lookup {
    type Filter = Everything;

    const PATH: &'static str = "lookups";
    const NOUN: &'static str = "lookup table";
    const LIST: &'static str = "lookups";

    kept_in!(lookups as Lookup, named);

    fn texts(&self) -> Vec<&str> {
        vec![&self.id, &self.name]
    }
}
