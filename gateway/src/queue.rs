//! The durable queue: events and their deliveries on disk before they are acknowledged.

pub mod delivery;

pub use delivery::{
    Accepted, Arrival, Dedupe, DeliveryKey, DeliveryState, Handed, Next, OpenDelivery, Record, Seq, Settlement,
    Skipped, Step,
};
