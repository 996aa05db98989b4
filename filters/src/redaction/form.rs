//! Forms: `name=value&name=value`.

use crate::model::secret::MASK;

/// The form with the mask in the place of each value whose name `hides`, cut between two fields to `max_bytes`.
pub(super) fn masked(bytes: &[u8], max_bytes: usize, hides: impl Fn(&str) -> bool) -> String {
    let mut shown = String::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        let value = if hides(&name) { MASK } else { &*value };
        let before = shown.len();
        if before > 0 {
            shown.push('&');
        }
        shown.push_str(&name);
        shown.push('=');
        shown.push_str(value);
        if shown.len() > max_bytes {
            shown.truncate(before);
            shown.push('…');
            break;
        }
    }
    shown
}
