//! `gwctl login` and `gwctl logout`: a session of a person in the place of a key.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;
use filters::model::Secret;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::tokens::Tokens;

/// What to sign in with.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// E-mail address of the account
    #[arg(long)]
    email: String,
    /// File that holds the password; without it the password is asked for, or read from standard input
    #[arg(long)]
    password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    email: &'a str,
    password: &'a Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Welcome {
    token: Secret,
    expires_at: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    email: String,
    role: String,
}

impl Login {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let tokens = Tokens::of_this_person()?;
        let password = self.password()?;
        let credentials = Credentials {
            email: &self.email,
            password: &password,
        };
        // The answer is lost if it is lost; signing in again costs nothing.
        let welcome: Welcome = client.post(&["auth", "login"], &credentials, true)?;
        tokens.keep(client.server(), Some(&welcome.token))?;
        let Welcome { user, expires_at, .. } = welcome;
        output.say(format_args!(
            "signed in as {} ({}) until {expires_at}, longer if it is used; the token is in {}",
            user.email,
            user.role,
            tokens.place()
        ))?;
        Ok(Outcome::Done)
    }

    fn password(&self) -> Result<Secret, Failure> {
        let unread = |error: io::Error| Failure::Usage(format!("the password cannot be read: {error}"));
        let text = match &self.password_file {
            Some(file) => return password_in(file),
            None if io::stdin().is_terminal() => rpassword::prompt_password("Password: ").map_err(unread)?,
            None => {
                let mut line = String::new();
                io::stdin().read_line(&mut line).map_err(unread)?;
                line
            }
        };
        password_of(&text)
    }
}

/// The password that a file holds; `-` is standard input.
pub(super) fn password_in(file: &Path) -> Result<Secret, Failure> {
    let text = if file.as_os_str() == "-" {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    } else {
        fs::read_to_string(file)
    };
    password_of(&text.map_err(|error| Failure::Usage(format!("--password-file {}: {error}", file.display())))?)
}

fn password_of(text: &str) -> Result<Secret, Failure> {
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::Usage("the password is empty".to_owned())),
        password => Ok(Secret::new(password)),
    }
}

/// Ends the session, and forgets its token whatever the server says.
pub(super) fn logout(client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
    let tokens = Tokens::of_this_person()?;
    if tokens.of(client.server()).is_none() {
        output.say(format_args!("nobody is signed in at {}", client.server()))?;
        return Ok(Outcome::Done);
    }
    let ended = client.end_session();
    tokens.keep(client.server(), None)?;
    ended?;
    output.say(format_args!("signed out of {}", client.server()))?;
    Ok(Outcome::Done)
}
