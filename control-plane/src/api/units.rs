//! Units of organizations.

use filters::model::OrgUnit;

use super::organizations::profile;
use super::resource::{Everything, Resource, kept_in};

impl Resource for OrgUnit {
    type Filter = Everything;

    const PATH: &'static str = "admin/org-units";
    const NOUN: &'static str = "organization unit";
    const LIST: &'static str = "units";
    const ID: &'static str = "rid";

    kept_in!(units as Unit, numbered rid);

    fn texts(&self) -> Vec<&str> {
        let others = [&self.code, &self.email, &self.phone, &self.address, &self.region];
        profile(&self.name, others, &self.tags)
    }
}
