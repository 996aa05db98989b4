//! The last pass over the tree: what only the whole of it shows, and where each field is found in a run.
//!
//! A run keeps one stack of cursors: the body, what is known around it, then the current item of each list that it is in.
//! As the tree says which lists those are, every field gets its place on that stack here.

use super::{Each, Node, first_line, target_of};
use crate::model::Problem;
use crate::model::problem::join;
use crate::transform::line::{Line, Origin};
use crate::transform::path::Step;
use crate::transform::source::FieldRef;

/// Checks the tree, puts places in order, and finds the cursors of all fields of `lines`.
pub(super) fn finish(
    root: &mut Node,
    lines: &mut [Option<Line>],
    roots: usize,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let mut pass = Pass {
        lines,
        levels: Vec::new(),
        path,
        problems,
    };
    pass.node(root, roots);
}

/// Finds the cursors of the fields of a line that writes to no list; what is in lists is brought together.
pub(in crate::transform) fn settle_alone(line: &mut Line) -> Result<(), Wrong> {
    settle(line, &[])
}

/// A setting of a line, and what is wrong with it.
pub(in crate::transform) type Wrong = (&'static str, String);

struct Pass<'p> {
    lines: &'p mut [Option<Line>],
    levels: Vec<Level>,
    path: &'p str,
    problems: &'p mut Vec<Problem>,
}

/// The lists of the source that fill one list of the target.
#[derive(Default)]
struct Level {
    /// By the index that a list had while the tree was built.
    lists: Vec<Entered>,
}

struct Entered {
    parent: usize,
    chain: Vec<Vec<Step>>,
    /// The cursor of the innermost item.
    slot: usize,
}

impl Pass<'_> {
    fn node(&mut self, node: &mut Node, cursors: usize) {
        match node {
            Node::Leaf(lines) => {
                for line in lines.iter().copied() {
                    self.settle(line);
                }
            }
            Node::Object(fields) => fields.iter_mut().for_each(|field| self.node(&mut field.node, cursors)),
            Node::Places(places) => {
                places.sort_by_key(|place| place.index);
                if let Some((expected, place)) = places.iter().enumerate().find(|(at, place)| *at != place.index) {
                    let message = format!(
                        "place [{}] is given, but not [{expected}]: places count from 0 without gaps",
                        place.index
                    );
                    self.refuse(first_line(&place.node), message);
                }
                places.iter_mut().for_each(|place| self.node(&mut place.node, cursors));
            }
            Node::Each(each) => self.each(each, cursors),
        }
    }

    fn each(&mut self, each: &mut Each, cursors: usize) {
        if each.lists.is_empty() {
            let message = "nothing says how long this list is: a line with a source that has `[]` has to fill it too, or use \
                           a place such as `[0]`";
            self.refuse(first_line(&each.item), message.to_owned());
            return;
        }
        let level = self.enter(each, cursors);
        self.levels.push(level);
        for line in each.filters.clone() {
            self.settle(line);
        }
        self.node(&mut each.item, each.inside);
        self.levels.pop();
    }

    /// Gives the lists of `each` their cursors. A list that another one goes through on its way further down is that one's.
    fn enter(&mut self, each: &mut Each, cursors: usize) -> Level {
        if let Some(outer) = self.levels.last() {
            for list in &mut each.lists {
                list.parent = outer.lists.get(list.parent).map_or(0, |list| list.slot);
            }
        }
        let mut hosts: Vec<Option<usize>> = Vec::with_capacity(each.lists.len());
        for list in &each.lists {
            let mut through = each.lists.iter().enumerate().filter(|(_, other)| {
                other.parent == list.parent
                    && other.chain.len() > list.chain.len()
                    && other.chain.starts_with(&list.chain)
            });
            // The one that goes the furthest is no part of another.
            let host = through.clone().max_by_key(|(_, other)| other.chain.len());
            let alone = host.is_none_or(|(_, host)| through.all(|(_, other)| host.chain.starts_with(&other.chain)));
            if !alone && let Some(line) = list.lines.first() {
                let message = "several lists go on from the one that this line reads, and it could belong to any of their \
                               items: write it to a list of its own, or take one item with a place such as `[0]`";
                self.refuse(*line, message.to_owned());
            }
            hosts.push(host.map(|(index, _)| index));
        }
        let mut next = cursors;
        for (index, list) in each.lists.iter_mut().enumerate() {
            if hosts[index].is_none() {
                list.slot = next;
                next += list.chain.len();
            }
        }
        each.inside = next;
        let lists = each.lists.iter().zip(&hosts).map(|(list, host)| {
            let first = host.map_or(list.slot, |host| each.lists[host].slot);
            Entered {
                parent: list.parent,
                chain: list.chain.clone(),
                slot: first + list.chain.len() - 1,
            }
        });
        let level = Level { lists: lists.collect() };
        for (index, host) in hosts.iter().enumerate() {
            if let Some(host) = host {
                let lines = std::mem::take(&mut each.lists[index].lines);
                each.lists[*host].lines.extend(lines);
            }
        }
        let mut hosted = hosts.iter();
        each.lists.retain(|_| hosted.next().is_some_and(Option::is_none));
        level
    }

    fn settle(&mut self, index: usize) {
        let Some(Some(line)) = self.lines.get_mut(index) else {
            return;
        };
        if let Err((setting, message)) = settle(line, &self.levels) {
            let place = join(self.path, &format!("[{index}].{setting}"));
            self.problems.push(Problem::new(place, message));
        }
    }

    fn refuse(&mut self, line: usize, message: String) {
        self.problems.push(Problem::new(target_of(self.path, line), message));
    }
}

/// Finds the cursors of a line's fields in the lists around its target.
fn settle(line: &mut Line, levels: &[Level]) -> Result<(), Wrong> {
    let gathers = line.gathers();
    let target = line.target_text().to_owned();
    match &mut line.origin {
        Origin::Static(..) => {}
        Origin::Field(field, _) => {
            field.find(levels);
            if !field.is_entered() && !gathers {
                return Err(("targetField", too_many(field, &target)));
            }
        }
        Origin::Composed(composed, _) => {
            for field in composed.fields_mut() {
                field.find(levels);
                if !field.is_entered() {
                    return Err(("targetField", too_many(field, &target)));
                }
            }
        }
        Origin::Filter(condition) => condition
            .settle(levels, &target)
            .map_err(|message| ("filter", message))?,
    }
    match &mut line.when {
        Some(when) => {
            let settled = when.condition.settle(levels, &target);
            settled.map_err(|message| ("when", message))
        }
        None => Ok(()),
    }
}

impl crate::condition::Condition<FieldRef> {
    fn settle(&mut self, levels: &[Level], target: &str) -> Result<(), String> {
        let mut outcome = Ok(());
        self.for_each_field(&mut |field| {
            field.find(levels);
            if !field.is_entered() {
                outcome = Err(format!(
                    "a condition tests one value, and `{}` is one for each item of a list that does not fill `{target}`: take \
                     one item, such as `[0]`",
                    field.path.text()
                ));
            }
        });
        outcome
    }
}

impl FieldRef {
    /// Follows the path through the lists that are entered, the furthest at each level.
    fn find(&mut self, levels: &[Level]) {
        let (mut slot, mut entered) = (self.root, 0);
        for level in levels {
            let rest = &self.path.segments()[entered..];
            // The last segment leads to the value, not to a list.
            let rest = &rest[..rest.len() - 1];
            let lists = || level.lists.iter().filter(|list| list.parent == slot);
            let whole = lists().filter(|list| rest.starts_with(&list.chain));
            if let Some(list) = whole.max_by_key(|list| list.chain.len()) {
                slot = list.slot;
                entered += list.chain.len();
            } else if !rest.is_empty()
                && let Some(list) = lists().find(|list| list.chain.starts_with(rest))
            {
                // One that a list goes through: its item has a cursor of its own.
                slot = list.slot - (list.chain.len() - rest.len());
                entered += rest.len();
            }
        }
        (self.slot, self.entered) = (slot, entered);
    }

    fn is_entered(&self) -> bool {
        self.entered == self.path.lists()
    }
}

fn too_many(field: &FieldRef, target: &str) -> String {
    let source = field.path.text();
    format!(
        "`{source}` is one value for each item of a list, and `{target}` has one place for them: give the target a `[]` too, \
         take one item with a place such as `[0]`, or bring them together with `join`, `first`, `last`, `count` or `sum`"
    )
}
