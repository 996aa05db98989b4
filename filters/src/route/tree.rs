//! The paths of one host as a tree of segments.

use ahash::AHashMap;

use super::Rank;
use super::pattern::{PathPattern, Segment};

/// What stands at the paths of a host. Every path is found in one descent: a node is visited at most once, so a path
/// that is made to be slow to match costs no more than the rules that resemble it.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    literals: AHashMap<Box<str>, Self>,
    parameter: Option<Box<Self>>,
    /// For paths that end here.
    here: Vec<T>,
    /// For paths that end here or go on.
    below: Vec<T>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literals: AHashMap::new(),
            parameter: None,
            here: Vec::new(),
            below: Vec::new(),
        }
    }
}

impl<T> Tree<T> {
    /// What stands at the place of `pattern`, to be added to.
    pub(crate) fn place(&mut self, pattern: &PathPattern) -> &mut Vec<T> {
        let node = pattern.segments().fold(&mut self.root, |node, segment| match segment {
            Segment::Literal(text) => node.literals.entry(text.into()).or_default(),
            Segment::Parameter => node.parameter.get_or_insert_default(),
        });
        match pattern.rank {
            Rank::Exact | Rank::Template => &mut node.here,
            Rank::Prefix => &mut node.below,
        }
    }

    /// What stands at the most literal rule for `path`, with the values of its parameters in order.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Option<(&[T], Vec<&'p str>)> {
        let mut values = Vec::new();
        let found = self.root.find(path.strip_prefix('/'), &mut values)?;
        Some((found, values))
    }
}

impl<T> Node<T> {
    /// `rest` is what follows the slash after this node's segment; `None` where the path ends.
    fn find<'p>(&self, rest: Option<&'p str>, values: &mut Vec<&'p str>) -> Option<&[T]> {
        if let Some(rest) = rest {
            let (segment, after) = match memchr::memchr(b'/', rest.as_bytes()) {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            if let Some(found) = self.literals.get(segment).and_then(|node| node.find(after, values)) {
                return Some(found);
            }
            if let Some(node) = self.parameter.as_ref().filter(|_| !segment.is_empty()) {
                values.push(segment);
                if let Some(found) = node.find(after, values) {
                    return Some(found);
                }
                values.pop();
            }
        } else if !self.here.is_empty() {
            return Some(&self.here);
        }
        (!self.below.is_empty()).then_some(&*self.below)
    }
}
