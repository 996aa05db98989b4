//! The MongoDB store.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::{Change, Contents, GatewayRecord, StoreError, Version};
use crate::config::MongodbConfig;
use crate::seal::Sealer;

/// A MongoDB replica set.
#[derive(Debug)]
pub(super) struct MongoStore(Infallible);

impl MongoStore {
    pub(super) async fn open(_: &MongodbConfig, _: Arc<Sealer>, _: Duration) -> Result<Self, StoreError> {
        Err(StoreError::Unavailable("`store.mongodb` is not supported yet".into()))
    }

    pub(super) async fn load(&self) -> Result<Contents, StoreError> {
        match self.0 {}
    }

    pub(super) async fn commit(&self, _: &Version, _: &Change) -> Result<(), StoreError> {
        match self.0 {}
    }

    pub(super) async fn head(&self) -> Result<u64, StoreError> {
        match self.0 {}
    }

    pub(super) async fn versions(&self, _: Option<u64>, _: u32) -> Result<Vec<Version>, StoreError> {
        match self.0 {}
    }

    pub(super) async fn version(&self, _: u64) -> Result<Option<(Version, Change)>, StoreError> {
        match self.0 {}
    }

    pub(super) async fn save_gateways(&self, _: &[GatewayRecord]) -> Result<(), StoreError> {
        match self.0 {}
    }

    pub(super) async fn gateways(&self) -> Result<Vec<GatewayRecord>, StoreError> {
        match self.0 {}
    }

    pub(super) async fn close(&self) {
        match self.0 {}
    }
}
