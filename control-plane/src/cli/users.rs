//! `gwctl users`: accounts of people.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use filters::model::Secret;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::login::password_in;
use super::output::Output;
use super::table::Table;

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// Shows accounts, the oldest first
    List(List),
    /// Shows one account
    Show(Named),
    /// Makes an account
    Create(Create),
    /// Changes what is given of an account; the rest stays as it is
    Set(Set),
    /// Ends all sessions of an account
    EndSessions(Named),
    /// Deletes an account, which ends its sessions
    Delete(Named),
}

/// Accounts to show.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those with this text in address or name
    #[arg(long)]
    search: Option<String>,
    /// Only those with this role
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Only those who work for this organization
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
}

/// One account.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Identifier or e-mail address
    #[arg(value_parser = identifier)]
    who: String,
}

/// An account to make.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// E-mail address to sign in with
    #[arg(long)]
    email: String,
    /// Name of the person
    #[arg(long)]
    name: Option<String>,
    /// What the person may do
    #[arg(long, value_enum)]
    role: Role,
    /// Organization that the person works for; can be given several times
    #[arg(long = "org", value_name = "ORG_ID")]
    orgs: Vec<u64>,
    /// File that holds the password, or - for standard input; left out for those who sign in at an identity provider
    #[arg(long, value_name = "FILE|-")]
    password_file: Option<PathBuf>,
    /// Makes an account that nobody can sign in to yet
    #[arg(long)]
    inactive: bool,
}

/// What of an account is to change.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// Identifier or e-mail address
    #[arg(value_parser = identifier)]
    who: String,
    /// Another e-mail address
    #[arg(long)]
    email: Option<String>,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Another role
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Organization that the person works for from now on; can be given several times
    #[arg(long = "org", value_name = "ORG_ID", conflicts_with = "all_orgs")]
    orgs: Vec<u64>,
    /// The person works for all organizations from now on
    #[arg(long)]
    all_orgs: bool,
    /// False lets the person in no more and ends their sessions
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// File that holds another password, or - for standard input; the person's sessions end
    #[arg(long, value_name = "FILE|-")]
    password_file: Option<PathBuf>,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Everything, in all organizations
    Admin,
    /// Reads and changes what belongs to the organizations
    User,
    /// Reads what belongs to the organizations
    ReadOnly,
}

/// A page of accounts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    users: Vec<Account>,
    has_more: bool,
}

/// Accounts, as they are shown.
#[derive(Debug, Serialize)]
struct Accounts {
    users: Vec<Account>,
}

/// An account.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    id: String,
    email: String,
    name: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org_ids: Option<Vec<u64>>,
    is_active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_login_at: Option<String>,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Users {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::List(list) => {
                let users = list.fetch(client)?;
                output.show(&Accounts { users }, |shown, out| write(&shown.users, out))?;
            }
            Self::Show(named) => show(&find(client, &named.who)?, output)?,
            Self::Create(create) => {
                let made: Account = client.order(Method::POST, &PATH, &[], Some(&create.body()?))?;
                show(&made, output)?;
            }
            Self::Set(set) => {
                let body = set.body()?;
                let id = find(client, &set.who)?.id;
                let changed: Account = client.order(Method::PATCH, &place(&id), &[], Some(&body))?;
                show(&changed, output)?;
            }
            Self::EndSessions(named) => {
                let account = find(client, &named.who)?;
                client.tell(Method::POST, &[PATH[0], PATH[1], &account.id, "end-sessions"])?;
                output.say(format_args!("ended the sessions of {}", account.email))?;
            }
            Self::Delete(named) => {
                let account = find(client, &named.who)?;
                client.delete(&place(&account.id), &[])?;
                output.say(format_args!("deleted the account of {}", account.email))?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl List {
    fn fetch(&self, client: &Client) -> Result<Vec<Account>, Failure> {
        let mut query = vec![("limit", PAGE.to_string())];
        query.extend(self.search.clone().map(|search| ("search", search)));
        query.extend(self.role.map(|role| ("role", role.name().to_owned())));
        query.extend(self.org.map(|org| ("orgId", org.to_string())));
        let mut users = Vec::new();
        for number in 1..=MOST_PAGES {
            let mut query = query.clone();
            query.push(("page", number.to_string()));
            let page: Page = client.get(&PATH, &query)?;
            users.extend(page.users);
            if !page.has_more {
                break;
            }
        }
        Ok(users)
    }
}

impl Create {
    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({"email": self.email, "role": self.role.name(), "isActive": !self.inactive});
        set(&mut body, "name", self.name.as_ref());
        set(&mut body, "orgIds", (!self.orgs.is_empty()).then_some(&self.orgs));
        let password = self.password_file.as_deref().map(password_in).transpose()?;
        set(&mut body, "password", password.as_ref().map(Secret::expose));
        Ok(body)
    }
}

impl Set {
    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({});
        set(&mut body, "email", self.email.as_ref());
        set(&mut body, "name", self.name.as_ref());
        set(&mut body, "role", self.role.map(Role::name));
        set(&mut body, "orgIds", (!self.orgs.is_empty()).then_some(&self.orgs));
        set(&mut body, "orgIds", self.all_orgs.then_some(Value::Null));
        set(&mut body, "isActive", self.active);
        let password = self.password_file.as_deref().map(password_in).transpose()?;
        set(&mut body, "password", password.as_ref().map(Secret::expose));
        if body == json!({}) {
            return Err(Failure::Usage("say what of the account is to change".to_owned()));
        }
        Ok(body)
    }
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::User => "USER",
            Self::ReadOnly => "READ_ONLY",
        }
    }
}

/// Sets a field of a body, if there is a value for it.
pub(super) fn set(body: &mut Value, field: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        body[field] = json!(value);
    }
}

/// The numbers of organizations, in one cell.
pub(super) fn organizations(org_ids: Option<&[u64]>) -> String {
    match org_ids {
        None => "all".to_owned(),
        Some(org_ids) => org_ids.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
    }
}

/// The account with this identifier or address.
fn find(client: &Client, who: &str) -> Result<Account, Failure> {
    if !who.contains('@') {
        return client.get(&place(who), &[]);
    }
    let address = who.trim().to_lowercase();
    let list = List {
        search: Some(address.clone()),
        role: None,
        org: None,
    };
    let found = list.fetch(client)?.into_iter().find(|account| account.email == address);
    found.ok_or_else(|| Failure::Usage(format!("there is no account with the address {address:?}")))
}

fn place(id: &str) -> [&str; 3] {
    [PATH[0], PATH[1], id]
}

fn show(account: &Account, output: &mut Output<'_>) -> Result<(), Failure> {
    output.show(account, |account, out| write(std::slice::from_ref(account), out))
}

fn write(accounts: &[Account], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["ID", "EMAIL", "NAME", "ROLE", "ORGS", "ACTIVE", "LAST LOGIN"]);
    for account in accounts {
        table.row([
            account.id.clone(),
            account.email.clone(),
            account.name.clone(),
            account.role.clone(),
            organizations(account.org_ids.as_deref()),
            account.is_active.to_string(),
            account.last_login_at.clone().unwrap_or_default(),
        ]);
    }
    table.write(out)
}

const PATH: [&str; 2] = ["admin", "users"];
const PAGE: usize = 200;
/// The control plane keeps no more accounts than that.
const MOST_PAGES: usize = 50;
