//! The result so far, with its cap.

use std::io;

use serde_json::Value;

use crate::transform::fault::MappingFault;

/// JSON text that grows up to a limit.
pub(super) struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    pub(super) fn push(&mut self, text: &str) -> Result<(), MappingFault> {
        io::Write::write_all(self, text.as_bytes()).map_err(|_| self.full())
    }

    pub(super) fn value(&mut self, value: &Value) -> Result<(), MappingFault> {
        // Writing a value fails in one way only: the cap is reached.
        serde_json::to_writer(&mut *self, value).map_err(|_| self.full())
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn full(&self) -> MappingFault {
        MappingFault::TooLarge { limit: self.limit }
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(FIRST_OUTPUT.min(self.limit));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const FIRST_OUTPUT: usize = 1_024;
