//! The tree that has the shape of the target: what is written where, and which lists fill which.

mod finish;

use super::line::{Line, Origin};
use super::path::{FieldPath, Step};
use super::source::FieldRef;
use crate::fit::Spot;
use crate::model::Problem;
use crate::model::problem::join;
pub(super) use finish::settle_alone;

/// A place of the target.
#[derive(Debug)]
pub(super) enum Node {
    /// The value of a line: of the first that has one, where there are several.
    Leaf(Vec<usize>),
    /// An object, its fields in the order of the lines.
    Object(Vec<Field>),
    /// A list with fixed places, `[0]`, `[1]`, ...
    Places(Vec<Place>),
    /// A list with an item for each item of one or more lists of the source, side by side.
    Each(Each),
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
    /// Lines that say which items are written.
    pub(super) filters: Vec<usize>,
    pub(super) item: Box<Node>,
    /// How many cursors there are inside.
    pub(super) inside: usize,
}

/// A list of the source, or several within each other that are written as one.
#[derive(Debug)]
pub(super) struct SourceList {
    /// The cursor that the path starts from. While the tree is built: a root, or the index of a list one level further out.
    pub(super) parent: usize,
    /// The steps to each list; the item of one is where the next starts from.
    pub(super) chain: Vec<Vec<Step>>,
    /// The first of its cursors, of which it has one for each part of the chain.
    pub(super) slot: usize,
    /// The lines that read from it.
    pub(super) lines: Vec<usize>,
}

impl Node {
    /// Adds to `told` the fields that are required here and that no line writes. `at` is where this is.
    pub(super) fn missing(&self, spot: &Spot<'_>, at: &str, told: &mut Vec<String>) {
        let mut below = |spot: Option<Spot<'_>>, node: &Self, at: String| {
            if let Some(spot) = spot {
                node.missing(&spot, &at, told);
            }
        };
        match self {
            Self::Leaf(_) => {}
            Self::Object(fields) => {
                for field in fields {
                    below(spot.field(&field.name), &field.node, join(at, &field.name));
                }
                let written: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
                told.extend(spot.missing(&written).into_iter().map(|name| join(at, name)));
            }
            Self::Places(places) => {
                for place in places {
                    below(
                        spot.item(Some(place.index)),
                        &place.node,
                        format!("{at}[{}]", place.index),
                    );
                }
            }
            Self::Each(each) => below(spot.item(None), &each.item, format!("{at}[]")),
        }
    }
}

/// Builds the tree from the lines that compiled, adding a problem for each target that is in the way of another. `None`
/// where no line writes to the body.
pub(super) fn build(lines: &mut [Option<Line>], roots: usize, path: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut root: Option<Node> = None;
    let mut filters = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((line, target)) = line.as_ref().and_then(|line| Some((line, line.body_target()?))) else {
            continue;
        };
        if matches!(line.origin, Origin::Filter(_)) {
            filters.push(index);
            continue;
        }
        let mut growth = Growth::of(index, line, target, lines);
        let steps = flat(target);
        match &mut root {
            None => root = Some(growth.plant(&steps)),
            Some(root) => {
                if let Err(clash) = growth.graft(root, &steps) {
                    problems.push(Problem::new(target_of(path, index), clash.message(path, lines)));
                }
            }
        }
    }
    for index in filters {
        let target = lines[index].as_ref().and_then(Line::body_target);
        let steps = target.map(flat).unwrap_or_default();
        match root.as_mut().and_then(|root| list_at(root, &steps)) {
            Some(each) => each.filters.push(index),
            None => problems.push(Problem::new(
                target_of(path, index),
                "is no list that other lines fill with `[]`: a `filter` names one, such as `lines[]`",
            )),
        }
    }
    let mut root = root?;
    finish::finish(&mut root, lines, roots, path, problems);
    Some(root)
}

/// One line on its way down the tree.
struct Growth<'a> {
    line: usize,
    lines: &'a [Option<Line>],
    source: Option<&'a FieldRef>,
    /// The list that the rest of the source path starts from; before the first, the root.
    cursor: usize,
    /// How many `[]` were passed.
    list: usize,
    /// How many `[]` the target has.
    lists: usize,
    /// What is left of the source's lists at the end becomes one value, and is not written as one list.
    gathers: bool,
}

/// One step down the target.
#[derive(Clone, Copy)]
enum Down<'a> {
    Field(&'a str),
    Place(usize),
    Each,
}

impl<'a> Growth<'a> {
    fn of(index: usize, line: &'a Line, target: &FieldPath, lines: &'a [Option<Line>]) -> Self {
        let source = line.driver();
        Self {
            line: index,
            lines,
            source,
            cursor: source.map_or(0, |source| source.root),
            list: 0,
            lists: target.lists(),
            gathers: line.gathers(),
        }
    }

    /// A new branch with the line at its end.
    fn plant(&mut self, steps: &[Down<'_>]) -> Node {
        let Some((step, rest)) = steps.split_first() else {
            return Node::Leaf(vec![self.line]);
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
                    filters: Vec::new(),
                    item: Box::new(self.plant(rest)),
                    inside: 0,
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
            (None, Node::Leaf(others)) => {
                let last = others.last().copied().unwrap_or_default();
                let stands_back = self.lines.get(last).and_then(Option::as_ref);
                if !stands_back.is_some_and(|line| line.may_stand_back) {
                    return Err(Clash::Same(last));
                }
                others.push(self.line);
                Ok(())
            }
            (None, node) => Err(Clash::Nested(first_line(node))),
            (Some(_), Node::Leaf(others)) => Err(Clash::Nested(others.first().copied().unwrap_or_default())),
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

    /// Passes a `[]`: finds or adds the list of the source, whose item is the cursor from here on. A source with fewer lists
    /// than the target repeats for what other lines fill the rest with.
    fn enter(&mut self, lists: &mut Vec<SourceList>) {
        let Some(path) = self.source.map(|source| &source.path) else {
            return;
        };
        let end = if self.list + 1 == self.lists && !self.gathers {
            path.lists()
        } else {
            path.lists().min(self.list + 1)
        };
        let Some(chain) = path.segments().get(self.list..end).filter(|chain| !chain.is_empty()) else {
            return;
        };
        self.list = end;
        let known = lists
            .iter()
            .position(|list| list.parent == self.cursor && list.chain == chain);
        let at = known.unwrap_or_else(|| {
            lists.push(SourceList {
                parent: self.cursor,
                chain: chain.to_vec(),
                slot: 0,
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
            .map_or("", |line| line.target_text());
        match self {
            Self::Same(_) => format!(
                "`{target}` is the target of {place} already: for another line to stand in, that one must say when it writes \
                 nothing, by `when` or `omitWhen`"
            ),
            Self::Nested(_) => {
                format!("is in the way of `{target}` at {place}: a field has a value or fields of its own, not both")
            }
            Self::Shape(_) => format!(
                "does not go together with `{target}` at {place}: in one place there is an object, a list with `[]`, or a list with places such as `[0]`"
            ),
        }
    }
}

/// The list whose items `steps`, which end with it, lead to.
fn list_at<'n>(node: &'n mut Node, steps: &[Down<'_>]) -> Option<&'n mut Each> {
    let (step, rest) = steps.split_first()?;
    match (step, node) {
        (Down::Field(name), Node::Object(fields)) => {
            let field = fields.iter_mut().find(|field| *field.name == **name)?;
            list_at(&mut field.node, rest)
        }
        (Down::Place(index), Node::Places(places)) => {
            let place = places.iter_mut().find(|place| place.index == *index)?;
            list_at(&mut place.node, rest)
        }
        (Down::Each, Node::Each(each)) => {
            if rest.is_empty() {
                Some(each)
            } else {
                list_at(&mut each.item, rest)
            }
        }
        _ => None,
    }
}

fn first_line(node: &Node) -> usize {
    match node {
        Node::Leaf(lines) => lines.first().copied().unwrap_or_default(),
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
        steps.extend(segment.iter().filter_map(|step| match step {
            Step::Field(name) => Some(Down::Field(name)),
            Step::Place(place) => Some(Down::Place(*place)),
            // Refused before: no target has them.
            Step::FromEnd(_) | Step::Where(..) => None,
        }));
    }
    steps
}

fn target_of(path: &str, line: usize) -> String {
    join(path, &format!("[{line}].targetField"))
}
