//! Lookup tables from files.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::{Object, ObjectId};
use filters::model::{Entries, Lookup, Problem};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::App;
use super::super::error::ApiError;
use super::super::openapi::Describe as _;
use super::super::operator::Caller;
use super::super::request::{Named, Params, Place};
use super::super::resource::{Resource as _, id_of, visible};
use super::upload::Upload;
use crate::lookups::{Difference, FileFault, Imported, RowProblem, Wanted, read};
use crate::publish::{Edit, Mode, Refusal, State as Configuration};

/// How a file becomes a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct Import {
    /// The organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Name of the table; one that is not there is made. Not where the path names the table.
    #[serde(default)]
    name: Option<String>,
    /// What becomes of rows that the file does not have; they are removed if left out.
    #[serde(default)]
    mode: ImportMode,
    /// Name of the column with the keys; the first if left out.
    #[serde(default)]
    key_column: Option<String>,
    /// Name of the column with the values. If left out: the other of two columns, or an object of all others.
    #[serde(default)]
    value_column: Option<String>,
    /// True reads what is written as a number, `true` or `false` in a CSV file as such; texts if left out. Workbooks say
    /// themselves what a cell is.
    #[serde(default)]
    typed: bool,
    /// True changes nothing and says what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// What becomes of rows that a file does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum ImportMode {
    /// They are removed: the table is what the file says.
    #[default]
    Replace,
    /// They stay.
    Merge,
}

/// What a file did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Report {
    /// Identifier of the table; empty where it would be made.
    id: String,
    /// Its name.
    name: String,
    /// True if it was only tried.
    dry_run: bool,
    /// True if the file can be imported as it is.
    valid: bool,
    /// Names of the columns.
    columns: Vec<String>,
    /// How many rows the file has that are right.
    rows: usize,
    /// What they change.
    #[serde(flatten)]
    difference: Difference,
    /// The first rows, as they are read.
    sample: Vec<SampleRow>,
    /// How many problems there are.
    problem_count: usize,
    /// The first 100 of them, by row; then those of the table as a whole.
    problems: Vec<RowProblem>,
}

/// A row as it is read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SampleRow {
    /// Key.
    key: String,
    /// What it stands for.
    value: Value,
}

/// The table that a file is for.
#[derive(Clone, Debug)]
enum Target {
    /// This one.
    Known(ObjectId),
    /// The one of this name in an organization, whether it is there or not.
    Named(u64, String),
}

/// Makes a table of a file, or changes the one of that name.
pub(in super::super) async fn import_named(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(import): Params<Import>,
    upload: Upload,
) -> Result<Json<Report>, ApiError> {
    let org_id = match (import.org_id, import.name.as_deref().map(str::trim)) {
        (Some(org_id), Some(name)) if !name.is_empty() => org_id,
        (org_id, name) => {
            let mut problems = Vec::new();
            if org_id.is_none() {
                problems.push(Problem::new("orgId", "must be given as a query parameter"));
            }
            if name.is_none_or(str::is_empty) {
                problems.push(Problem::new(
                    "name",
                    "must be given as a query parameter: the name of the table",
                ));
            }
            return Err(ApiError::validation(problems));
        }
    };
    caller.allow(org_id)?;
    let name = import.name.as_deref().unwrap_or_default().trim().to_owned();
    run(&app, caller, import, Target::Named(org_id, name), upload).await
}

/// Changes a table by a file.
pub(in super::super) async fn import_known(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(import): Params<Import>,
    upload: Upload,
) -> Result<Json<Report>, ApiError> {
    if import.name.is_some() {
        let problem = Problem::new("name", "is that of the table in the path; leave it out");
        return Err(ApiError::validation(vec![problem]));
    }
    let id = id_of::<Lookup>(&id)?;
    visible::<Lookup>(&app.publisher.state(), &id, &caller, import.org_id)?;
    run(&app, caller, import, Target::Known(id), upload).await
}

async fn run(
    app: &App,
    caller: Caller,
    import: Import,
    target: Target,
    upload: Upload,
) -> Result<Json<Report>, ApiError> {
    // A file takes many times its size while it is read.
    let _turn = app.rates.file_turn(app.limits.request_timeout()).await?;
    let mut imported = read_file(&import, upload).await?;
    if imported.problem_count > 0 && !import.dry_run {
        return Err(ApiError::validation(problems_of(&imported)));
    }
    let rows = std::mem::take(&mut imported.rows);
    let sample = rows.iter().take(SAMPLE).map(|(key, value)| SampleRow {
        key: key.to_string(),
        value: value.clone(),
    });
    let (sample, count) = (sample.collect(), rows.len());
    let table = publish(app, &caller, &import, target, rows.into_iter().collect()).await?;
    let problem_count = imported.problem_count + table.problems.len();
    imported.problems.extend(table.problems);
    Ok(Json(Report {
        id: table.id,
        name: table.name,
        dry_run: import.dry_run,
        valid: problem_count == 0,
        columns: imported.columns,
        rows: count,
        difference: table.difference,
        sample,
        problem_count,
        problems: imported.problems,
    }))
}

async fn read_file(import: &Import, upload: Upload) -> Result<Imported, ApiError> {
    let wanted = Wanted {
        key_column: import.key_column.clone(),
        value_column: import.value_column.clone(),
        typed: import.typed,
    };
    let imported = tokio::task::spawn_blocking(move || read(upload.format, &upload.bytes, &wanted)).await;
    let imported = imported.map_err(|_| ApiError::internal())?;
    imported.map_err(|fault| ApiError::validation(vec![unreadable(&fault)]))
}

/// What became of a table.
#[derive(Clone, Debug, Default)]
struct Outcome {
    /// Its identifier; empty where it would be made.
    id: String,
    name: String,
    difference: Difference,
    /// What is wrong with it as a whole, where it was only tried.
    problems: Vec<RowProblem>,
}

/// Makes the table of these rows, or tries to.
async fn publish(
    app: &App,
    caller: &Caller,
    import: &Import,
    target: Target,
    rows: Entries,
) -> Result<Outcome, ApiError> {
    let (mode, dry_run) = match import.dry_run {
        true => (Mode::DryRun, true),
        false => (Mode::Commit, false),
    };
    let merge = import.mode == ImportMode::Merge;
    let new_id = uuid::Uuid::now_v7().to_string();
    let (by, org_id) = (caller.author("imported a file".to_owned()), import.org_id);
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let edit = {
        let (caller, outcome) = (caller.clone(), Arc::clone(&outcome));
        move |state: &Configuration| {
            let before = find(state, &caller, &target, org_id)?;
            let (table, difference) = table_of(before, &target, &new_id, &rows, merge);
            let is_new = before.is_none();
            *outcome.lock() = Outcome {
                id: if is_new && dry_run {
                    String::new()
                } else {
                    table.id.clone()
                },
                name: table.name.clone(),
                difference,
                problems: Vec::new(),
            };
            Ok(Edit::of_one(Object::Lookup(Arc::new(table))))
        }
    };
    let refused = match app.publisher.publish(by, mode, edit).await {
        Ok(_) => Vec::new(),
        Err(Refusal::Problems(problems)) if dry_run => problems,
        Err(refusal) => return Err(refusal.into()),
    };
    let mut outcome = outcome.lock().clone();
    let of_table = refused.into_iter().map(|problem| RowProblem {
        row: 0,
        column: None,
        message: problem.to_string(),
    });
    outcome.problems = of_table.collect();
    Ok(outcome)
}

/// The table that is there, if it is; an error if the caller may not have it changed.
fn find<'a>(
    state: &'a Configuration,
    caller: &Caller,
    target: &Target,
    org_id: Option<u64>,
) -> Result<Option<&'a Lookup>, Refusal> {
    match target {
        Target::Known(id) => {
            let entry = visible::<Lookup>(state, id, caller, org_id)?;
            Lookup::may_change(caller, entry.value.org_id)?;
            Ok(Some(&*entry.value))
        }
        Target::Named(org_id, name) => {
            caller.may(*org_id)?;
            let mut tables = Lookup::entries(&state.snapshot).map(|entry| &*entry.value);
            Ok(tables.find(|table| table.org_id == *org_id && table.name == *name))
        }
    }
}

/// The table with the file's rows in it, and what that changes.
fn table_of(
    before: Option<&Lookup>,
    target: &Target,
    new_id: &str,
    rows: &Entries,
    merge: bool,
) -> (Lookup, Difference) {
    let mut table = match (before, target) {
        (Some(before), _) => before.clone(),
        (None, Target::Named(org_id, name)) => new_table(new_id, *org_id, name),
        // `find` has refused this.
        (None, Target::Known(id)) => new_table(&id.text(), 0, ""),
    };
    let old = std::mem::take(&mut table.entries);
    table.entries = if merge {
        let all = old.rows().iter().chain(rows.rows());
        all.cloned().collect()
    } else {
        rows.clone()
    };
    let difference = Difference::between(&old, &table.entries);
    (table, difference)
}

fn new_table(id: &str, org_id: u64, name: &str) -> Lookup {
    Lookup {
        id: id.to_owned(),
        org_id,
        name: name.to_owned(),
        entries: Entries::default(),
        created_at: None,
        updated_at: None,
    }
}

fn unreadable(fault: &FileFault) -> Problem {
    Problem::new("body", format!("the file {fault}"))
}

fn problems_of(imported: &Imported) -> Vec<Problem> {
    let mut problems: Vec<Problem> = imported
        .problems
        .iter()
        .map(|problem| {
            let column = problem.column.as_ref().map(|column| format!(".{column}"));
            Problem::new(
                format!("rows[{}]{}", problem.row, column.unwrap_or_default()),
                problem.message.clone(),
            )
        })
        .collect();
    let more = imported.problem_count - imported.problems.len();
    if more > 0 {
        problems.push(Problem::new("rows", format!("there are {more} more problems")));
    }
    problems
}

pub(in super::super) fn import_named_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make a lookup table of a CSV or XLSX file, or change the one of that name")
        .description(IMPORT)
        .errors(&[409])
}

pub(in super::super) fn import_known_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Change a lookup table by a CSV or XLSX file")
        .description(IMPORT)
        .errors(&[409])
}

const IMPORT: &str = "The first row names the columns. Nothing is changed if any row has a problem; with `dryRun=true` the \
                      answer has the problems by row, and what the file would change.";
/// Rows that a report shows.
const SAMPLE: usize = 20;
