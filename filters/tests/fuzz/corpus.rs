//! Inputs: those that are kept in files, and changes of them.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

/// The files of one target, in the order of their names.
pub(crate) fn files(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A file of the target with a few places changed.
pub(crate) fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let files = files(target);
    let count = files.len();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), edit()), 0..8);
    (0..count, edits).prop_map(move |(file, edits)| {
        let mut bytes = files[file].clone();
        for (place, edit) in edits {
            apply(&mut bytes, place, edit);
        }
        bytes
    })
}

/// The same as text.
pub(crate) fn changed_text(target: &str) -> impl Strategy<Value = String> + use<> {
    changed(target).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Clone, Debug)]
enum Edit {
    Put(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    // What means something to one of the readers.
    let telling = prop::sample::select(b"/.%{}[]$\"':;,&?=\\\0\r\n\t *@-_09azAZ~\x7f\xc3\xff".to_vec());
    let byte = prop_oneof![telling.boxed(), any::<u8>().boxed()];
    prop_oneof![
        byte.clone().prop_map(Edit::Put),
        prop::collection::vec(byte, 1..6).prop_map(Edit::Insert),
        (1_usize..12).prop_map(Edit::Remove),
        (1_usize..40).prop_map(Edit::Repeat),
    ]
}

fn apply(bytes: &mut Vec<u8>, place: prop::sample::Index, edit: Edit) {
    let at = place.index(bytes.len() + 1);
    let end = |length: usize| (at + length).min(bytes.len());
    match edit {
        Edit::Put(byte) => {
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
        Edit::Insert(new) => drop(bytes.splice(at..at, new)),
        Edit::Remove(length) => {
            let end = end(length);
            drop(bytes.drain(at..end));
        }
        Edit::Repeat(length) => {
            let piece = bytes[at..end(length)].to_vec();
            drop(bytes.splice(at..at, piece));
        }
    }
}
