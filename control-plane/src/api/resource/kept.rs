//! The part of a kind that is alike for all of them.

/// Where the objects of a kind are, and what names them: in `$list` of the snapshot, as `$variant` of the objects. Those that
/// are named by a text get one if they have none; those that are numbered have theirs from people.
macro_rules! kept_in {
    ($list:ident as $variant:ident, named) => {
        crate::api::resource::kept_in!(@ $list, $variant);

        fn id(&self) -> filters::model::push::ObjectId {
            filters::model::push::ObjectId::$variant(self.id.as_str().into())
        }

        fn name_it(&mut self) {
            if self.id.is_empty() {
                self.id = uuid::Uuid::now_v7().to_string();
            }
        }
    };
    ($list:ident as $variant:ident, numbered $field:ident) => {
        crate::api::resource::kept_in!(@ $list, $variant);

        fn id(&self) -> filters::model::push::ObjectId {
            filters::model::push::ObjectId::$variant(self.$field)
        }
    };
    (@ $list:ident, $variant:ident) => {
        const KIND: filters::model::push::ObjectKind = filters::model::push::ObjectKind::$variant;

        fn entries(snapshot: &filters::model::Snapshot) -> impl Iterator<Item = &filters::model::Entry<Self>> {
            snapshot.$list.values()
        }

        fn entry<'a>(
            snapshot: &'a filters::model::Snapshot,
            id: &filters::model::push::ObjectId,
        ) -> Option<&'a filters::model::Entry<Self>> {
            match id {
                filters::model::push::ObjectId::$variant(id) => snapshot.$list.get(id),
                _ => None,
            }
        }

        fn object(self) -> filters::model::push::Object {
            filters::model::push::Object::$variant(self.into())
        }

        fn org_id(&self) -> u64 {
            self.org_id
        }
    };
}
pub(in super::super) use kept_in;
