//! Reads the heads of frames as they go by.

use std::time::Instant;

/// What a client sends beside requests and bodies: more than this at once, and more than it earns, is a flood.
const MOST_AT_ONCE: u32 = 1_000;
/// Such frames are earned back by time, per second, and by what else crosses the connection, per so many bytes.
const PER_SECOND: u64 = 100;
const BYTES_EACH: u64 = 4_096;

/// The connection preface, in front of the first frame.
const PREFACE: usize = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A client that sends more frames without content than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood;

/// Where in the frames of a client a connection is, and what the client may still send.
#[derive(Debug)]
pub(super) struct Meter {
    /// The head of a frame, as far as it is there.
    head: [u8; 9],
    head_length: usize,
    /// Bytes that belong to the frame (or the preface) and are not there yet.
    left: usize,
    /// True within a head of a request, from its first byte to its last, and within the preface.
    in_head: bool,
    /// True in the last frame of a head.
    head_ends: bool,
    allowance: u32,
    earned_bytes: u64,
    since: Instant,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            head: [0; 9],
            head_length: 0,
            left: PREFACE,
            in_head: true,
            head_ends: true,
            allowance: MOST_AT_ONCE,
            earned_bytes: 0,
            since: now,
        }
    }

    /// True while something is there of which the rest has to follow soon: the preface, the head of a frame, or that of a
    /// request.
    pub(super) fn owes_the_rest(&self) -> bool {
        self.in_head || self.head_length > 0
    }

    /// Notes bytes that went to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.earned_bytes += bytes as u64;
    }

    /// Notes bytes that came from it.
    pub(super) fn received(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        self.earned_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = &bytes[skipped..];
                self.end_frame();
                continue;
            }
            let taken = (self.head.len() - self.head_length).min(bytes.len());
            self.head[self.head_length..self.head_length + taken].copy_from_slice(&bytes[..taken]);
            self.head_length += taken;
            bytes = &bytes[taken..];
            if self.head_length == self.head.len() {
                self.head_length = 0;
                self.begin_frame(now)?;
            }
        }
        Ok(())
    }

    fn begin_frame(&mut self, now: Instant) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS | CONTINUATION => {
                self.in_head = true;
                self.head_ends = flags & END_HEADERS != 0;
                self.end_frame();
                Ok(())
            }
            // Cheaper to take than to send, and needed by those who download fast.
            WINDOW_UPDATE => Ok(()),
            DATA if self.left > 0 || flags & END_STREAM != 0 => Ok(()),
            _ => self.spend(now),
        }
    }

    fn end_frame(&mut self) {
        if self.left == 0 && self.head_ends {
            self.in_head = false;
        }
    }

    fn spend(&mut self, now: Instant) -> Result<(), Flood> {
        if self.allowance == 0 {
            let millis = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
            let earned = millis.saturating_mul(PER_SECOND) / 1_000 + self.earned_bytes / BYTES_EACH;
            self.since = now;
            self.earned_bytes = 0;
            self.allowance = u32::try_from(earned).unwrap_or(MOST_AT_ONCE).min(MOST_AT_ONCE);
        }
        self.allowance = self.allowance.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
