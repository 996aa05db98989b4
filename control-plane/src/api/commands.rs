//! Commands to gateways as operators see them.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::command::{Command, CommandResult};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::answer::Accepted;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Named, Params, Place, Within};
use crate::commands::Draft;
use crate::store::CommandRecord;

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CommandState {
    /// Its gateway is not connected, or has not been told yet.
    Pending,
    /// Its gateway was told.
    Sent,
    /// Its gateway has said what became of it.
    Done,
}

/// A command to a gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GatewayCommand")]
pub(super) struct Shown {
    /// Identifier.
    id: String,
    /// Organization that it is about.
    org_id: u64,
    /// The gateway that carries it out.
    gateway_id: Arc<str>,
    /// The retry of many that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    bulk_id: Option<String>,
    /// How far it is.
    state: CommandState,
    /// What is to be done.
    command: Command,
    /// The operator who gave it.
    created_by: String,
    /// When (RFC 3339).
    created_at: String,
    /// When the gateway was told first.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    /// When its result was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<String>,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<CommandResult>,
}

impl From<CommandRecord> for Shown {
    fn from(record: CommandRecord) -> Self {
        let state = match (&record.done, record.sent_at) {
            (Some(_), _) => CommandState::Done,
            (None, Some(_)) => CommandState::Sent,
            (None, None) => CommandState::Pending,
        };
        let (result, done_at) = record.done.unzip();
        Self {
            id: record.id,
            org_id: record.org_id,
            gateway_id: record.gateway_id,
            bulk_id: record.bulk_id,
            state,
            command: record.command,
            created_by: record.created_by,
            created_at: text(record.created_at),
            sent_at: record.sent_at.map(text),
            done_at: done_at.map(text),
            result,
        }
    }
}

/// Commands that were given just now, one for each gateway that carries a part out. `GET /api/v1/commands/{id}` shows what
/// became of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GatewayCommands")]
pub(super) struct Given {
    /// The commands.
    commands: Vec<Shown>,
}

impl Given {
    /// Gives commands, each for one gateway.
    pub(super) async fn of(app: &App, caller: &Caller, drafts: Vec<Draft>) -> Result<Accepted<Self>, ApiError> {
        let commands = app.commands.give(drafts, caller.name()).await?;
        Ok(Accepted(Self {
            commands: commands.into_iter().map(Shown::from).collect(),
        }))
    }
}

/// Shows a command.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<Shown>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let found = app.store.command(&id).await?;
    let found = found.filter(|command| caller.sees(command.org_id, scope));
    let found = found.ok_or_else(|| ApiError::not_found(&format!("command {id:?}")))?;
    Ok(Json(found.into()))
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a command to a gateway, and what became of it")
}

pub(super) fn text(at: Timestamp) -> String {
    format!("{at:.3}")
}
