//! The statements that find records.

use rusqlite::types::Value;

use super::super::MOST_SEARCHED;
use super::super::kept::{Field, Kept, Query};

/// A statement with the values of its parameters.
pub(super) type Statement = (String, Vec<Value>);

/// The statement that lists the records that fit, the newest first: identifier and document.
pub(super) fn listing<K: Kept>(query: &Query) -> Statement {
    let place = K::PLACE.name();
    let page = [Value::from(query.limit), Value::from(query.skip)];
    if query.search.is_some() {
        // Documents are read last, and only those that are asked for.
        let (hits, values) = hits::<K>(query);
        let statement = format!(
            "SELECT found.id, found.document FROM ({hits} ORDER BY at DESC, name DESC LIMIT ? OFFSET ?) AS hit
             CROSS JOIN {place} AS found ON found.rowid = hit.number ORDER BY found.createdAt DESC, found.id DESC"
        );
        return (statement, values.into_iter().chain(page).collect());
    }
    let Conditions { texts, values } = conditions::<K>(query);
    let statement = format!(
        "SELECT id, document FROM {place}{} ORDER BY createdAt DESC, id DESC LIMIT ? OFFSET ?",
        all_of(&texts)
    );
    (statement, values.into_iter().chain(page).collect())
}

/// The statement that counts the records that fit, up to `most`.
pub(super) fn counting<K: Kept>(query: &Query, most: u64) -> Statement {
    let most = Value::from(i64::try_from(most).unwrap_or(i64::MAX));
    let (fitting, mut values) = if query.search.is_some() {
        hits::<K>(query)
    } else {
        let Conditions { texts, values } = conditions::<K>(query);
        (format!("SELECT 1 FROM {}{}", K::PLACE.name(), all_of(&texts)), values)
    };
    values.push(most);
    (format!("SELECT count(*) FROM ({fitting} LIMIT ?)"), values)
}

/// The statement that finds what the search looks for, in no order: its number, moment and identifier.
fn hits<K: Kept>(query: &Query) -> Statement {
    let Conditions { texts, mut values } = conditions::<K>(query);
    let (place, all) = (K::PLACE.name(), all_of(&texts));
    let newest = format!(
        "(SELECT rowid AS number, createdAt AS at, id AS name FROM {place}{all}
          ORDER BY createdAt DESC, id DESC LIMIT {MOST_SEARCHED}) AS newest"
    );
    values.push(pattern(query.search.as_deref().unwrap_or_default()).into());
    let like = "LIKE ? ESCAPE '\\'";
    let statement = if K::PLACE.has_texts() {
        format!(
            "SELECT newest.number, at, name FROM {newest}
             CROSS JOIN {place}_texts AS looked ON looked.number = newest.number AND looked.text {like}"
        )
    } else {
        let fields = K::SEARCHED.iter().map(|field| format!("document ->> '$.{field}'"));
        let fields = fields.collect::<Vec<_>>().join(", ");
        format!(
            "SELECT newest.number, at, name FROM {newest} CROSS JOIN {place} AS looked ON looked.rowid = newest.number
             AND concat_ws(char(10), {fields}) {like}"
        )
    };
    (statement, values)
}

fn all_of(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

/// What a record has to fulfil, with the values of the parameters in it.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, text: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.texts.push(text.into());
        self.values.extend(values);
    }
}

/// Everything that is asked, but for the search. SQLite is told which index to take, by a `+` before the columns of the
/// others: it keeps no statistics, and without them takes any of those that fit.
fn conditions<K: Kept>(query: &Query) -> Conditions {
    let is_asked = |field: &&Field| query.equal.iter().any(|(asked, _)| asked == *field);
    let leading = K::LEADING.iter().find(is_asked).copied();
    let mut conditions = Conditions::default();
    if let Some(org_id) = query.org_id {
        let hidden = leading.is_some_and(Field::is_of_one_organization);
        let column = if hidden { "+orgId" } else { "orgId" };
        conditions.add(format!("{column} = ?"), [org_id.cast_signed().into()]);
    }
    let is_failure = |field, value: &str| field == Field::Status && value != SUCCESS;
    for (field, value) in &query.equal {
        // The index of an integration's failures has the status, too.
        let of_failures = leading == Some(Field::Integration) && K::FAILURES && is_failure(*field, value);
        let hidden = leading.is_some_and(|leading| leading != *field) && !of_failures;
        let column = format!("{}{}", if hidden { "+" } else { "" }, field.name());
        conditions.add(format!("{column} = ?"), [value.clone().into()]);
        if of_failures {
            conditions.add(format!("status <> '{SUCCESS}'"), []);
        }
        if *field == Field::ErrorCategory && K::FAILURES && !value.is_empty() {
            // As the index of categories has it: what did not fail has none.
            conditions.add(format!("status <> '{SUCCESS}'"), []);
        }
    }
    if let Some(from) = query.from {
        conditions.add("createdAt >= ?", [from.as_millisecond().into()]);
    }
    if let Some(before) = query.before {
        conditions.add("createdAt < ?", [before.as_millisecond().into()]);
    }
    if let Some(after) = &query.after {
        let at = after.at.as_millisecond();
        conditions.add("createdAt <= ?", [at.into()]);
        conditions.add("(createdAt, id) < (?, ?)", [at.into(), after.id.clone().into()]);
    }
    conditions
}

/// What contains `text`, literally.
fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// The status of calls and attempts that did not fail.
const SUCCESS: &str = "SUCCESS";
