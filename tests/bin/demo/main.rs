//! `make demo`: a client calls a partner through a route that was pushed a moment ago, the route is changed live, and a
//! product's events are delivered to subscribers that fail and recover.
//!
//! [`stage`] starts the programs as they are shipped, [`tour`] and [`events`] show what they do and fail where they do not,
//! [`show`] prints it with commands that can be run again by hand.
#![expect(clippy::print_stdout, reason = "a demo talks to a person")]

mod events;
mod show;
mod stage;
mod tour;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::stage::Stage;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Taken before the first program is started: a signal that ends this process by itself would leave them running.
    let interrupted = signal(SignalKind::interrupt())?;
    let terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        shown = perform() => shown,
        () = told_to_stop(interrupted, terminated) => Ok(()),
    }
}

/// Ends by itself only if something fails, or if it is to be shown once.
async fn perform() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    tour::run(&mut stage)
        .await
        .context("the demo did not show what it should")?;
    show::addresses(&stage);
    if std::env::var("DEMO_ONCE").is_ok_and(|once| once == "1") {
        return Ok(());
    }
    println!("Everything stays up until Ctrl-C.");
    std::future::pending().await
}

async fn told_to_stop(mut interrupted: Signal, mut terminated: Signal) {
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
}
