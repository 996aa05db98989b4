//! Texts that are put together: templates and concatenations.

use super::line::Reader;
use super::source::FieldRef;
use crate::model::Problem;
use crate::model::mapping::Concat;
use crate::model::problem::join;

/// A text with fields in it.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) parts: Vec<Part>,
    /// What stands between the parts, where empty ones are left out with it.
    pub(super) separator: Option<Box<str>>,
    /// The part whose lists the target repeats for: the one with the most.
    pub(super) driver: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Part {
    Text(Box<str>),
    Field(FieldRef),
}

impl Composed {
    /// The field whose lists the target repeats for.
    pub(super) fn driver(&self) -> Option<&FieldRef> {
        match self.parts.get(self.driver?)? {
            Part::Field(field) => Some(field),
            Part::Text(_) => None,
        }
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &FieldRef> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Text(_) => None,
        })
    }

    pub(super) fn fields_mut(&mut self) -> impl Iterator<Item = &mut FieldRef> {
        self.parts.iter_mut().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Text(_) => None,
        })
    }

    fn of(parts: Vec<Part>, separator: Option<Box<str>>) -> Self {
        let lists = |part: &Part| match part {
            Part::Field(field) => field.path.lists(),
            Part::Text(_) => 0,
        };
        let driver = parts
            .iter()
            .enumerate()
            // Of several with the same number the first.
            .rev()
            .max_by_key(|(_, part)| lists(part))
            .filter(|(_, part)| lists(part) > 0)
            .map(|(index, _)| index);
        Self {
            parts,
            separator,
            driver,
        }
    }
}

/// Compiles the template at `path`, adding its problems.
pub(super) fn template(text: &str, path: &str, reader: &mut Reader<'_>) -> Option<Composed> {
    match parts(text, reader) {
        Ok(parts) => Some(Composed::of(parts, None)),
        Err(message) => {
            reader.problems.push(Problem::new(path, message));
            None
        }
    }
}

/// Compiles the concatenation at `path`, adding its problems.
pub(super) fn concat(concat: &Concat, path: &str, reader: &mut Reader<'_>) -> Option<Composed> {
    let before = reader.problems.len();
    if !(1..=MOST_PARTS).contains(&concat.fields.len()) {
        let message = format!("holds {} fields; 1 to {MOST_PARTS} are allowed", concat.fields.len());
        reader.problems.push(Problem::new(join(path, "fields"), message));
    }
    let fields = concat.fields.iter().enumerate();
    let parts: Vec<Part> = fields
        .filter_map(|(index, field)| reader.source(field, &join(path, &format!("fields[{index}]"))))
        .map(Part::Field)
        .collect();
    let separator = Some(concat.separator.as_str().into());
    (reader.problems.len() == before).then(|| Composed::of(parts, separator))
}

fn parts(text: &str, reader: &mut Reader<'_>) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '\\']) {
        plain.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(escaped) = tail.strip_prefix('\\') {
            // A backslash takes the meaning from a brace or a backslash behind it.
            let kept = escaped.chars().next().filter(|next| matches!(next, '{' | '}' | '\\'));
            plain.push(kept.unwrap_or('\\'));
            rest = &escaped[kept.map_or(0, char::len_utf8)..];
            continue;
        }
        let (field, behind) = if let Some(inside) = tail.strip_prefix("{{") {
            let (name, behind) = inside
                .split_once("}}")
                .ok_or("a `{{` is not closed: variables are written as `{{date.today()}}`")?;
            (reader.references.variable(name)?, behind)
        } else if let Some(inside) = tail.strip_prefix('{') {
            let (name, behind) = inside
                .split_once('}')
                .ok_or("a `{` is not closed: fields are written as `{patient.name}`, and a brace itself as `\\{`")?;
            (reader.references.read(name, reader.side)?, behind)
        } else {
            return Err("a `}` has no `{` before it: a brace itself is written as `\\}`".to_owned());
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain).into()));
        }
        parts.push(Part::Field(field));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain.into()));
    }
    if parts.len() > MOST_PARTS * 2 {
        return Err(format!("the template has more than {MOST_PARTS} fields"));
    }
    Ok(parts)
}

/// The most fields of one text.
const MOST_PARTS: usize = 50;
