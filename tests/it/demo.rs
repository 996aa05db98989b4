//! The demo, as `make demo` starts it.

use std::process::Command;

use harness::{Process, binaries, wait};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Whoever stops it, a service manager or a person, gets the ports back.
#[tokio::test]
async fn a_stopped_demo_takes_its_programs_along() {
    let folder = TempDir::new().unwrap();
    let mut demo = Process::start("demo", Command::new(binaries::find("demo")), folder.path());
    let shown = wait::until("the demo to be over", async || {
        assert!(demo.is_running(), "{}", demo.output());
        let output = demo.output();
        output.contains("stays up until").then_some(output)
    })
    .await;
    let addresses: Vec<&str> = shown
        .split_once("== Addresses")
        .map(|(_, addresses)| addresses)
        .unwrap()
        .split("http://")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '\n']).next())
        .collect();
    assert_eq!(addresses.len(), 5, "{shown}");
    for address in &addresses {
        TcpStream::connect(address).await.unwrap();
    }
    demo.signal(Signal::SIGTERM);
    assert!(demo.ended().await.success(), "{}", demo.output());
    for address in &addresses {
        assert!(TcpStream::connect(address).await.is_err(), "{address} is still open");
    }
}
