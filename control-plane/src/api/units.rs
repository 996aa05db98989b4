//! Units of organizations.

use filters::model::OrgUnit;
use filters::model::push::ObjectId;

use super::resource::{Everything, Resource, kept_in};

impl Resource for OrgUnit {
    type Filter = Everything;

    const PATH: &'static str = "admin/org-units";
    const NOUN: &'static str = "organization unit";
    const LIST: &'static str = "units";
    const ID: &'static str = "rid";

    kept_in!(units as Unit);

    fn id(&self) -> ObjectId {
        ObjectId::Unit(self.rid)
    }

    fn org_id(&self) -> u64 {
        self.org_id
    }

    fn texts(&self) -> Vec<&str> {
        let mut texts = vec![self.name.as_str()];
        let more = [&self.code, &self.email, &self.phone, &self.address, &self.region];
        texts.extend(more.into_iter().filter_map(Option::as_deref));
        texts.extend(self.tags.iter().map(String::as_str));
        texts
    }
}
