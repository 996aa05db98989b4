//! The tree that has the shape of the target: what is written where, and which lists fill which.

use super::line::{Line, Origin};
use super::path::{FieldPath, Step};
use crate::model::Problem;
use crate::model::problem::join;

/// A place of the target.
#[derive(Debug)]
pub(super) enum Node {
    /// The value of a line.
    Leaf(Leaf),
    /// An object, its fields in the order of the lines.
    Object(Vec<Field>),
    /// A list with fixed places, `[0]`, `[1]`, ...
    Places(Vec<Place>),
    /// A list with an item for each item of one or more lists of the source, side by side.
    Each(Each),
}

#[derive(Debug)]
pub(super) struct Leaf {
    /// Index of the line.
    pub(super) line: usize,
    /// The cursor that the last segment of its source path starts from; outside of any [`Each`], 0 is the body.
    pub(super) cursor: usize,
}

#[derive(Debug)]
pub(super) struct Field {
    name: Box<str>,
    /// The name as JSON, with its colon.
    pub(super) key: Box<str>,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) struct Place {
    index: usize,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) struct Each {
    pub(super) lists: Vec<SourceList>,
    pub(super) item: Box<Node>,
}

/// A list of the source. Inside of its [`Each`], the cursor of the same index is its current item.
#[derive(Debug)]
pub(super) struct SourceList {
    /// The cursor, one list further out, that the path starts from.
    pub(super) parent: usize,
    pub(super) steps: Vec<Step>,
    /// The lines that read from it.
    pub(super) lines: Vec<usize>,
}

/// Builds the tree from the lines that compiled, adding a problem for each target that is in the way of another.
pub(super) fn build(lines: &[Option<Line>], path: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut root: Option<Node> = None;
    for (index, line) in lines.iter().enumerate() {
        let Some(line) = line else { continue };
        let mut growth = Growth {
            line: index,
            source: match &line.origin {
                Origin::Source(source) => Some(&source.path),
                Origin::Static(_) => None,
            },
            cursor: 0,
            list: 0,
        };
        let steps = flat(&line.target);
        match &mut root {
            None => root = Some(growth.plant(&steps)),
            Some(root) => {
                if let Err(clash) = growth.graft(root, &steps) {
                    problems.push(Problem::new(target_of(path, index), clash.message(path, lines)));
                }
            }
        }
    }
    let mut root = root?;
    finish(&mut root, path, problems);
    Some(root)
}

/// One line on its way down the tree.
struct Growth<'a> {
    line: usize,
    source: Option<&'a FieldPath>,
    /// The cursor that the rest of the source path starts from.
    cursor: usize,
    /// How many `[]` were passed.
    list: usize,
}

/// One step down the target.
#[derive(Clone, Copy)]
enum Down<'a> {
    Field(&'a str),
    Place(usize),
    Each,
}

impl Growth<'_> {
    /// A new branch with the line at its end.
    fn plant(&mut self, steps: &[Down<'_>]) -> Node {
        let Some((step, rest)) = steps.split_first() else {
            return Node::Leaf(Leaf {
                line: self.line,
                cursor: self.cursor,
            });
        };
        match *step {
            Down::Field(name) => Node::Object(vec![self.field(name, rest)]),
            Down::Place(index) => Node::Places(vec![Place {
                index,
                node: self.plant(rest),
            }]),
            Down::Each => {
                let mut lists = Vec::new();
                self.enter(&mut lists);
                Node::Each(Each {
                    lists,
                    item: Box::new(self.plant(rest)),
                })
            }
        }
    }

    /// Adds the line to a tree that is there already.
    fn graft(&mut self, node: &mut Node, steps: &[Down<'_>]) -> Result<(), Clash> {
        match (steps.split_first(), node) {
            (Some((Down::Field(name), rest)), Node::Object(fields)) => {
                match fields.iter_mut().find(|field| *field.name == **name) {
                    Some(field) => self.graft(&mut field.node, rest)?,
                    None => fields.push(self.field(name, rest)),
                }
                Ok(())
            }
            (Some((Down::Place(index), rest)), Node::Places(places)) => {
                match places.iter_mut().find(|place| place.index == *index) {
                    Some(place) => self.graft(&mut place.node, rest)?,
                    None => places.push(Place {
                        index: *index,
                        node: self.plant(rest),
                    }),
                }
                Ok(())
            }
            (Some((Down::Each, rest)), Node::Each(each)) => {
                self.enter(&mut each.lists);
                self.graft(&mut each.item, rest)
            }
            (None, Node::Leaf(leaf)) => Err(Clash::Same(leaf.line)),
            (None, node) => Err(Clash::Nested(first_line(node))),
            (Some(_), Node::Leaf(leaf)) => Err(Clash::Nested(leaf.line)),
            (Some(_), node) => Err(Clash::Shape(first_line(node))),
        }
    }

    fn field(&mut self, name: &str, rest: &[Down<'_>]) -> Field {
        Field {
            name: name.into(),
            key: format!("{}:", serde_json::Value::from(name)).into(),
            node: self.plant(rest),
        }
    }

    /// Passes a `[]`: finds or adds the list of the source, whose item is the cursor from here on.
    fn enter(&mut self, lists: &mut Vec<SourceList>) {
        let Some(steps) = self.source.and_then(|path| path.segments().get(self.list)) else {
            return;
        };
        self.list += 1;
        let known = lists
            .iter()
            .position(|list| list.parent == self.cursor && list.steps == *steps);
        let at = known.unwrap_or_else(|| {
            lists.push(SourceList {
                parent: self.cursor,
                steps: steps.clone(),
                lines: Vec::new(),
            });
            lists.len() - 1
        });
        lists[at].lines.push(self.line);
        self.cursor = at;
    }
}

/// Why a target is refused, with the line that was there before.
enum Clash {
    Same(usize),
    Nested(usize),
    Shape(usize),
}

impl Clash {
    fn message(&self, path: &str, lines: &[Option<Line>]) -> String {
        let (Self::Same(other) | Self::Nested(other) | Self::Shape(other)) = *self;
        let place = target_of(path, other);
        let target = lines
            .get(other)
            .and_then(Option::as_ref)
            .map_or("", |line| line.target.text());
        match self {
            Self::Same(_) => format!("`{target}` is the target of {place} already: a field is written once"),
            Self::Nested(_) => {
                format!("is in the way of `{target}` at {place}: a field has a value or fields of its own, not both")
            }
            Self::Shape(_) => format!(
                "does not go together with `{target}` at {place}: in one place there is an object, a list with `[]`, or a list with places such as `[0]`"
            ),
        }
    }
}

/// Checks what only the whole tree shows, and puts places in order.
fn finish(node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    match node {
        Node::Leaf(_) => {}
        Node::Object(fields) => fields
            .iter_mut()
            .for_each(|field| finish(&mut field.node, path, problems)),
        Node::Places(places) => {
            places.sort_by_key(|place| place.index);
            if let Some((expected, place)) = places.iter().enumerate().find(|(at, place)| *at != place.index) {
                problems.push(Problem::new(
                    target_of(path, first_line(&place.node)),
                    format!(
                        "place [{}] is given, but not [{expected}]: places count from 0 without gaps",
                        place.index
                    ),
                ));
            }
            places
                .iter_mut()
                .for_each(|place| finish(&mut place.node, path, problems));
        }
        Node::Each(each) => {
            if each.lists.is_empty() {
                problems.push(Problem::new(
                    target_of(path, first_line(&each.item)),
                    "nothing says how long this list is: a line with `sourceField` has to fill it too, or use a place such as `[0]`",
                ));
            }
            finish(&mut each.item, path, problems);
        }
    }
}

fn first_line(node: &Node) -> usize {
    match node {
        Node::Leaf(leaf) => leaf.line,
        // A tree is never without a leaf: each node was made on the way to one.
        Node::Object(fields) => fields.first().map_or(0, |field| first_line(&field.node)),
        Node::Places(places) => places.first().map_or(0, |place| first_line(&place.node)),
        Node::Each(each) => first_line(&each.item),
    }
}

fn flat(target: &FieldPath) -> Vec<Down<'_>> {
    let mut steps = Vec::new();
    for (index, segment) in target.segments().iter().enumerate() {
        if index > 0 {
            steps.push(Down::Each);
        }
        steps.extend(segment.iter().map(|step| match step {
            Step::Field(name) => Down::Field(name),
            Step::Place(place) => Down::Place(*place),
        }));
    }
    steps
}

fn target_of(path: &str, line: usize) -> String {
    join(path, &format!("[{line}].targetField"))
}
