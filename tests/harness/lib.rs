//! What the integration tests, the demo and the benchmarks need to run the product as it is shipped: its own programs as
//! processes, real partners and real sockets, all on 127.0.0.1 and on ports that the system chose.
//!
//! Nothing here sleeps for a guessed time: [`wait`] polls a condition until it holds or a deadline says what did not come.
//! Every process is killed by its id when its handle is dropped, and a failing test prints what its processes wrote.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a broken test stops at once, and says why where the runner collects it"
)]

pub mod answer;
pub mod authority;
pub mod binaries;
pub mod client;
pub mod control_plane;
pub mod crash;
pub mod documents;
pub mod events;
pub mod example;
pub mod gateway;
pub mod grpc_server;
pub mod gwctl;
pub mod h2_client;
pub mod h2_frames;
pub mod issuer;
pub mod load;
pub mod mongo;
pub mod partner;
pub mod process;
pub mod push_peer;
pub mod raw;
pub mod receiver;
pub mod reporter;
pub mod schemathesis;
pub mod tls;
pub mod token_server;
pub mod wait;

pub use answer::Answer;
pub use authority::Authority;
pub use control_plane::ControlPlane;
pub use example::Example;
pub use gateway::Gateway;
pub use grpc_server::GrpcServer;
pub use h2_client::H2Client;
pub use h2_frames::FrameClient;
pub use issuer::Issuer;
pub use mongo::Mongo;
pub use partner::{Partner, Received};
pub use process::Process;
pub use push_peer::PushPeer;
pub use raw::RawClient;
pub use receiver::Receiver;
pub use reporter::Reporter;
pub use tls::TlsFront;
pub use token_server::TokenServer;
