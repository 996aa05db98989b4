//! A table held against the schema of what it is to make.

use super::super::Mapping;
use super::super::line::{Handling, Line, Origin};
use crate::fit::{Bodies, Findings, Found, Kinds, Shape};
use crate::model::Problem;
use crate::model::problem::join;

impl Mapping {
    /// Adds what keeps the table, which stands at `path` of its document and gets `bodies`, from making what `target` takes.
    pub(crate) fn fit_target(&self, target: &Shape<'_>, bodies: &Bodies<'_>, path: &str, findings: &mut Findings) {
        // A body that no line writes to passes as it is.
        let Some(root) = &self.root else { return };
        for (index, line) in self.lines.iter().enumerate() {
            let place = join(path, &format!("[{index}].targetField"));
            match held(line, target, bodies) {
                Held::Fits => {}
                Held::May(told) => findings.warnings.push(Problem::new(place, told)),
                Held::Never(told) => findings.problems.push(Problem::new(place, told)),
            }
        }
        let mut missing = Vec::new();
        if let Some(spot) = target.spot() {
            root.missing(&spot, "", &mut missing);
        }
        findings.problems.extend(missing.into_iter().map(|field| {
            let message = format!("no line writes `{field}`, which the target's schema requires: add one for it");
            Problem::new(path, message)
        }));
    }
}

/// How what a line writes goes with what is taken at its place.
enum Held {
    Fits,
    /// It may be something that is not taken.
    May(String),
    Never(String),
}

fn held(line: &Line, target: &Shape<'_>, bodies: &Bodies<'_>) -> Held {
    let Some(to) = line.body_target().filter(|_| !matches!(line.origin, Origin::Filter(_))) else {
        return Held::Fits;
    };
    let taken = match target.find(to, false) {
        Found::Kinds(taken) => taken,
        Found::Unnamed(told) => return Held::May(format!("of the target: {told}")),
        Found::Nothing(reason) => return Held::Never(format!("of the target: {reason}")),
    };
    let made = made(line, bodies);
    let values = made.without(Kinds::NULL);
    let text = to.text();
    // Of null alone the line may say that it writes nothing then.
    let written = if values.is_empty() { made } else { values };
    let is_left_out = values.is_empty() && (made.is_empty() || line.may_stand_back);
    if !is_left_out && !written.meets(taken) {
        return Held::Never(format!(
            "the line writes {written} to `{text}`, where the target's schema takes {taken}: bring it there by `transform`"
        ));
    }
    let wrong = values.without(taken);
    // Of what may be anything there is nothing to warn of.
    if wrong.is_empty() || values == Kinds::ALL.without(Kinds::NULL) {
        return Held::Fits;
    }
    Held::May(format!(
        "the line may write {wrong} to `{text}`, where the target's schema takes {taken}"
    ))
}

/// The kinds of values that a line may write.
fn made(line: &Line, bodies: &Bodies<'_>) -> Kinds {
    match &line.origin {
        Origin::Static(_, value) => Kinds::of(value),
        Origin::Filter(_) => Kinds::ALL,
        Origin::Composed(_, handling) => handled(handling, Kinds::TEXT),
        Origin::Field(field, handling) => {
            let given = match bodies.find(&field.path) {
                _ if line.gathers() && field.path.lists() > 0 => Kinds::LIST,
                Found::Kinds(kinds) if field.root == 0 => kinds,
                _ => Kinds::ALL,
            };
            handled(handling, given)
        }
    }
}

fn handled(handling: &Handling, mut kinds: Kinds) -> Kinds {
    if let Some(default) = handling.default.as_ref().filter(|_| kinds.meets(Kinds::NULL)) {
        kinds = kinds.without(Kinds::NULL).or(Kinds::of(default));
    }
    let steps = handling.operations.iter();
    steps.fold(kinds, |kinds, operation| operation.makes(kinds))
}

#[cfg(test)]
mod tests;
