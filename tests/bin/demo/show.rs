//! How the demo looks.

use harness::client::Reply;
use serde_json::Value;

use crate::stage::{OPERATOR_KEY, Stage};

/// Starts a step.
pub(crate) fn step(title: &str) {
    println!("\n== {title}");
}

/// A command that does the same by hand.
pub(crate) fn command(text: &str) {
    println!("   $ {text}");
}

/// A line of explanation.
pub(crate) fn note(text: &str) {
    println!("   {text}");
}

/// What a program said.
pub(crate) fn output(text: &str) {
    for line in text.lines() {
        println!("     {line}");
    }
}

/// A document under its heading.
pub(crate) fn document(heading: &str, document: &Value) {
    println!("   {heading}");
    output(&format!("{document:#}"));
}

/// A line of a table; what is not there is a dash.
pub(crate) fn row<const N: usize>(cells: [&Value; N]) {
    let cells = cells.map(|cell| match cell {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    output(&cells.join("  "));
}

/// Status, the headers of that name, and the body of an answer.
pub(crate) fn reply(reply: &Reply, headers: &[&str]) {
    println!("   < {}", reply.status);
    for name in headers {
        if let Some(value) = reply.header(name) {
            println!("   < {name}: {value}");
        }
    }
    match serde_json::from_slice::<Value>(&reply.body) {
        Ok(body) => output(&format!("{body:#}")),
        Err(_) => output(&reply.text()),
    }
}

/// Where everything is.
pub(crate) fn addresses(stage: &Stage) {
    println!("\n== Addresses");
    println!("   gateway        http://{}", stage.gateway);
    println!(
        "   its admin      http://{}  (/config /routes /queue /metrics)",
        stage.admin
    );
    println!(
        "   control plane  http://{}  (/api/v1/openapi.json)",
        stage.control_plane
    );
    println!("   partner        http://{}", stage.partner);
    println!("   receiver       http://{}", stage.receiver);
    println!("   operator key   {OPERATOR_KEY}");
    println!("   logs           {}", stage.folder.path().display());
}

/// What the commands that follow need from the shell.
pub(crate) fn environment(stage: &Stage) {
    println!(
        "\n   $ export GWCTL_SERVER=http://{} GWCTL_KEY={OPERATOR_KEY}",
        stage.control_plane
    );
}
