//! `make demo`: a client calls a partner through a route that was pushed a moment ago, and the route is changed live.
//!
//! [`stage`] starts the programs as they are shipped, [`tour`] shows what they do and fails where they do not, [`show`]
//! prints it with commands that can be run again by hand.
#![expect(clippy::print_stdout, reason = "a demo talks to a person")]

mod show;
mod stage;
mod tour;

use anyhow::Context as _;

use crate::stage::Stage;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    tokio::select! {
        toured = tour::run(&mut stage) => toured.context("the demo did not show what it should")?,
        interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
    }
    show::addresses(&stage);
    if std::env::var("DEMO_ONCE").is_ok_and(|once| once == "1") {
        return Ok(());
    }
    println!("Everything stays up until Ctrl-C.");
    Ok(tokio::signal::ctrl_c().await?)
}
