//! `gwctl keys`: API keys of programs.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::output::{Format, Output};
use super::table::Table;
use super::users::{organizations, set};

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Shows keys, but not their values, the oldest first
    List(List),
    /// Shows one key, but not its value
    Show(Named),
    /// Makes a key and shows its value, once
    Create(Create),
    /// Changes what is given of a key; its value stays as it is
    Set(Set),
    /// Deletes a key, which is refused from then on
    Delete(Named),
}

/// Keys to show.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those with this text in the name, or that begin with it
    #[arg(long)]
    search: Option<String>,
}

/// One key.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Identifier, as `gwctl keys list` shows it
    #[arg(value_parser = identifier)]
    id: String,
}

/// A key to make.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name of the program
    #[arg(long)]
    name: String,
    /// What the program may do
    #[arg(long, value_enum, default_value_t = Role::ApiKey)]
    role: Role,
    /// Organization that it may touch; can be given several times, all of them if left out
    #[arg(long = "org", value_name = "ORG_ID")]
    orgs: Vec<u64>,
    /// What of its role it may do, as logs:read; can be given several times, all of it if left out
    #[arg(long = "scope", value_name = "NOUN:VERB")]
    scopes: Vec<String>,
    /// When it is refused from, as 2027-01-01T00:00:00Z; never if left out
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

/// What of a key is to change.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// Identifier, as `gwctl keys list` shows it
    #[arg(value_parser = identifier)]
    id: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Another role
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Organization that it may touch from now on; can be given several times
    #[arg(long = "org", value_name = "ORG_ID", conflicts_with = "all_orgs")]
    orgs: Vec<u64>,
    /// It may touch all organizations from now on
    #[arg(long)]
    all_orgs: bool,
    /// What of its role it may do from now on; can be given several times
    #[arg(long = "scope", value_name = "NOUN:VERB", conflicts_with = "all_scopes")]
    scopes: Vec<String>,
    /// It may do all that its role allows from now on
    #[arg(long)]
    all_scopes: bool,
    /// False refuses it
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// When it is refused from
    #[arg(long, value_name = "TIME", conflicts_with = "never_expires")]
    expires_at: Option<String>,
    /// Takes the end of its time away
    #[arg(long)]
    never_expires: bool,
}

/// What a program may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Everything
    Admin,
    /// Reads and changes what belongs to the organizations
    ApiKey,
    /// Reads what belongs to the organizations
    ReadOnly,
}

/// A page of keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    api_keys: Vec<Key>,
    has_more: bool,
}

/// Keys, as they are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AllKeys {
    api_keys: Vec<Key>,
}

/// A key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: String,
    name: String,
    /// Its value; only of one that was made just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    begins: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org_ids: Option<Vec<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    is_active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Keys {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::List(list) => {
                let api_keys = list.fetch(client)?;
                output.show(&AllKeys { api_keys }, |shown, out| write(&shown.api_keys, out))?;
            }
            Self::Show(named) => show(&client.get(&place(&named.id), &[])?, output)?,
            Self::Create(create) => {
                let made: Key = client.order(Method::POST, &PATH, &[], Some(&create.body()))?;
                show(&made, output)?;
                if let (Format::Table, Some(key)) = (output.format, &made.key) {
                    writeln!(output.data, "\n{key}")?;
                    output.say("the key is shown this once; nobody can find it out later")?;
                }
            }
            Self::Set(set) => {
                let changed = client.order(Method::PATCH, &place(&set.id), &[], Some(&set.body()?))?;
                show(&changed, output)?;
            }
            Self::Delete(named) => {
                client.delete(&place(&named.id), &[])?;
                output.say(format_args!("deleted the key {}", named.id))?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl List {
    fn fetch(&self, client: &Client) -> Result<Vec<Key>, Failure> {
        let mut keys = Vec::new();
        for number in 1..=MOST_PAGES {
            let mut query = vec![("limit", PAGE.to_string()), ("page", number.to_string())];
            query.extend(self.search.clone().map(|search| ("search", search)));
            let page: Page = client.get(&PATH, &query)?;
            keys.extend(page.api_keys);
            if !page.has_more {
                break;
            }
        }
        Ok(keys)
    }
}

impl Create {
    fn body(&self) -> Value {
        let mut body = json!({"name": self.name, "role": self.role.name()});
        set(&mut body, "orgIds", (!self.orgs.is_empty()).then_some(&self.orgs));
        set(&mut body, "scopes", (!self.scopes.is_empty()).then_some(&self.scopes));
        set(&mut body, "expiresAt", self.expires_at.as_ref());
        body
    }
}

impl Set {
    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({});
        set(&mut body, "name", self.name.as_ref());
        set(&mut body, "role", self.role.map(Role::name));
        set(&mut body, "orgIds", (!self.orgs.is_empty()).then_some(&self.orgs));
        set(&mut body, "orgIds", self.all_orgs.then_some(Value::Null));
        set(&mut body, "scopes", (!self.scopes.is_empty()).then_some(&self.scopes));
        set(&mut body, "scopes", self.all_scopes.then_some(Value::Null));
        set(&mut body, "isActive", self.active);
        set(&mut body, "expiresAt", self.expires_at.as_ref());
        set(&mut body, "expiresAt", self.never_expires.then_some(Value::Null));
        if body == json!({}) {
            return Err(Failure::Usage("say what of the key is to change".to_owned()));
        }
        Ok(body)
    }
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::ApiKey => "API_KEY",
            Self::ReadOnly => "READ_ONLY",
        }
    }
}

fn place(id: &str) -> [&str; 3] {
    [PATH[0], PATH[1], id]
}

fn show(key: &Key, output: &mut Output<'_>) -> Result<(), Failure> {
    output.show(key, |key, out| write(std::slice::from_ref(key), out))
}

fn write(keys: &[Key], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["ID", "NAME", "BEGINS", "ROLE", "ORGS", "SCOPES", "ACTIVE", "UNTIL"]);
    for key in keys {
        table.row([
            key.id.clone(),
            key.name.clone(),
            key.begins.clone(),
            key.role.clone(),
            organizations(key.org_ids.as_deref()),
            key.scopes
                .as_ref()
                .map_or_else(|| "all".to_owned(), |scopes| scopes.join(",")),
            key.is_active.to_string(),
            key.expires_at.clone().unwrap_or_default(),
        ]);
    }
    table.write(out)
}

const PATH: [&str; 2] = ["admin", "api-keys"];
const PAGE: usize = 200;
/// As of accounts.
const MOST_PAGES: usize = 50;
