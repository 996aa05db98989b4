//! What the description says of each operation.

use aide::transform::TransformOperation;

use super::super::openapi::Describe as _;
use super::Resource;

pub(in super::super) fn list_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary(&format!("List {}s, page by page; secrets are masked", T::NOUN))
}

pub(in super::super) fn create_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let summary = format!("Make {}", a::<T>());
    operation.summary(&summary).made::<T>().errors(&[409])
}

pub(in super::super) fn read_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary(&format!("Read {}; secrets are masked", a::<T>()))
}

pub(in super::super) fn replace_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary(&format!("Replace {}, or make it under this identifier", a::<T>()))
        .description(
            "A secret that is sent as `***` stays as it is. With If-Match, only that state is replaced; with \
             If-None-Match: *, nothing is.",
        )
        .made::<T>()
        .errors(&[409])
}

pub(in super::super) fn patch_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary(&format!(
            "Change single fields of {} (JSON merge patch, RFC 7396); `isActive` switches it on and off where it has that",
            a::<T>()
        ))
        .errors(&[409])
}

pub(in super::super) fn delete_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary(&format!("Delete {} that nothing else needs", a::<T>()))
        .errors(&[409])
}

pub(in super::super) fn validate_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary(&format!("Say what would be wrong with {}, without saving it", a::<T>()))
}

/// The noun with its article.
fn a<T: Resource>() -> String {
    let article = if T::NOUN.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {}", T::NOUN)
}
