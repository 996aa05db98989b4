//! The lines between the requests and the writing thread.

use std::mem;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

/// A bounded buffer of whole lines, with one reader.
#[derive(Debug)]
pub(super) struct Buffer {
    state: Mutex<State>,
    /// The reader waits here for something to do.
    wake: Condvar,
    /// Others wait here for the reader to be done with something.
    done: Condvar,
    dropped: IntCounter,
}

/// Lines on their way to the output.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    /// The output is to be opened again first.
    pub(super) reopen: bool,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines in `waiting`.
    lines: u64,
    /// Bytes that the reader took and is not done with.
    writing: usize,
    /// Lines since the start that got in, and those of them that the reader is done with.
    appended: u64,
    settled: u64,
    reopen: bool,
    /// Someone waits for the lines; the reader must not let more of them gather.
    urgent: bool,
    stopped: bool,
    reader_gone: bool,
}

impl Buffer {
    pub(super) fn new(dropped: IntCounter) -> Self {
        let state = State {
            waiting: Vec::with_capacity(BATCH),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            done: Condvar::new(),
            dropped,
        }
    }

    /// Appends `line`, or drops and counts it if there is no room.
    pub(super) fn append(&self, line: &[u8]) {
        let mut state = self.state.lock();
        let before = state.waiting.len();
        let after = before + line.len();
        if after + state.writing > MAX_WAITING {
            drop(state);
            self.dropped.inc();
            return;
        }
        state.waiting.extend_from_slice(line);
        state.lines += 1;
        state.appended += 1;
        drop(state);
        // The reader sleeps without end only while nothing waits, and with a deadline until a batch is full.
        if before == 0 || before < BATCH && after >= BATCH {
            self.wake.notify_one();
        }
    }

    /// For the reader: done with `batch`, waits for the next one. False when the buffer is stopped and empty.
    pub(super) fn take(&self, batch: &mut Batch) -> bool {
        let mut state = self.state.lock();
        state.settled += batch.lines;
        state.writing = 0;
        self.done.notify_all();

        while state.waiting.is_empty() && !state.reopen && !state.stopped {
            self.wake.wait(&mut state);
        }
        let due = Instant::now() + INTERVAL;
        while state.waiting.len() < BATCH && !state.urgent && !state.reopen && !state.stopped {
            if self.wake.wait_until(&mut state, due).timed_out() {
                break;
            }
        }

        batch.bytes.clear();
        batch.bytes.shrink_to(KEPT);
        mem::swap(&mut batch.bytes, &mut state.waiting);
        batch.lines = mem::take(&mut state.lines);
        batch.reopen = mem::take(&mut state.reopen);
        state.writing = batch.bytes.len();
        state.urgent = false;
        if batch.bytes.is_empty() && !batch.reopen {
            state.reader_gone = true;
            self.done.notify_all();
            return false;
        }
        true
    }

    /// Asks the reader to open the output again.
    pub(super) fn reopen(&self) {
        self.state.lock().reopen = true;
        self.wake.notify_one();
    }

    /// Waits until the reader is done with all lines that are in now; false if that took longer than `timeout`.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        let last = state.appended;
        if state.settled < last {
            state.urgent = true;
            self.wake.notify_one();
        }
        while state.settled < last {
            if state.reader_gone || self.done.wait_until(&mut state, deadline).timed_out() {
                return state.settled >= last;
            }
        }
        true
    }

    /// Lets the reader write what waits and end; waits for it, at most `timeout`.
    pub(super) fn stop(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        state.stopped = true;
        self.wake.notify_one();
        while !state.reader_gone {
            if self.done.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

const INTERVAL: Duration = Duration::from_millis(50);
/// A batch takes the core from the requests, so it is not small.
const BATCH: usize = 256 * 1024;
/// Memory that a buffer keeps after a rush.
const KEPT: usize = 1024 * 1024;
/// Of lines that wait and lines that are being written.
const MAX_WAITING: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> (Buffer, IntCounter) {
        let dropped = IntCounter::new("dropped", "lines").unwrap();
        (Buffer::new(dropped.clone()), dropped)
    }

    fn line() -> Vec<u8> {
        let mut line = vec![b'x'; 999];
        line.push(b'\n');
        line
    }

    #[test]
    fn lines_that_do_not_fit_are_dropped_whole_and_counted() {
        let (buffer, dropped) = buffer();
        let attempts = 2 * MAX_WAITING / line().len();
        for _ in 0..attempts {
            buffer.append(&line());
        }
        let mut batch = Batch::default();
        assert!(buffer.take(&mut batch));
        assert!(batch.bytes.len() <= MAX_WAITING);
        assert_eq!(batch.bytes.len() as u64, batch.lines * 1000);
        assert_eq!(batch.lines + dropped.get(), attempts as u64);
        assert!(dropped.get() > 0);
    }

    #[test]
    fn lines_being_written_take_up_room_until_they_are_done() {
        let (buffer, dropped) = buffer();
        while dropped.get() == 0 {
            buffer.append(&line());
        }
        let mut batch = Batch::default();
        assert!(buffer.take(&mut batch));
        for _ in 0..1000 {
            buffer.append(&line());
        }
        assert!(dropped.get() > 900, "{} dropped", dropped.get());

        buffer.append(b"\n");
        let before = dropped.get();
        assert!(buffer.take(&mut batch), "done with the first batch");
        buffer.append(&line());
        assert_eq!(dropped.get(), before);
    }

    #[test]
    fn nothing_waits_for_ever_on_a_reader_that_does_not_move() {
        let (buffer, _) = buffer();
        assert!(buffer.flush(Duration::ZERO), "nothing to wait for");
        buffer.append(b"a\n");
        assert!(!buffer.flush(Duration::from_millis(1)));
        buffer.stop(Duration::from_millis(1));
    }

    #[test]
    fn a_stopped_buffer_gives_out_what_waits_and_then_ends() {
        let (buffer, _) = buffer();
        buffer.append(b"a\n");
        buffer.append(b"b\n");
        buffer.stop(Duration::ZERO);
        let mut batch = Batch::default();
        assert!(buffer.take(&mut batch));
        assert_eq!((batch.bytes.as_slice(), batch.lines), (&b"a\nb\n"[..], 2));
        assert!(!buffer.take(&mut batch));
        assert!(buffer.flush(Duration::ZERO));
    }
}
