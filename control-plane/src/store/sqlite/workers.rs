//! Threads with a connection each, and the jobs that wait for them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle};
use tokio::sync::oneshot;

use super::super::StoreError;

/// Threads that do the same kind of jobs, each job on whichever is free.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Mutex<Option<SyncSender<Job>>>,
    ended: Mutex<Vec<oneshot::Receiver<()>>>,
    timeout: Duration,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

impl Workers {
    /// Starts `count` threads, each with a connection of its own.
    pub(super) async fn start(
        name: &str,
        count: usize,
        timeout: Duration,
        connect: impl Fn() -> Result<Connection, StoreError> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, waiting) = sync_channel::<Job>(MOST_WAITING);
        let (waiting, connect) = (Arc::new(Mutex::new(waiting)), Arc::new(connect));
        let mut ends = Vec::with_capacity(count);
        for _ in 0..count {
            let (ready, opened) = oneshot::channel();
            let (end, ended) = oneshot::channel();
            let (waiting, connect) = (Arc::clone(&waiting), Arc::clone(&connect));
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    match connect() {
                        Ok(connection) => {
                            drop(ready.send(Ok(())));
                            work(connection, &waiting);
                        }
                        Err(error) => drop(ready.send(Err(error))),
                    }
                    // What belongs to all of them goes with the last.
                    drop((waiting, connect));
                    let _ = end.send(());
                })
                .map_err(|error| StoreError::Unavailable(error.into()))?;
            let patience = timeout.max(OPENING);
            let opened = tokio::time::timeout(patience, opened).await;
            opened
                .map_err(|_| StoreError::TimedOut(patience))?
                .map_err(|_| closed())??;
            ends.push(ended);
        }
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            ended: Mutex::new(ends),
            timeout,
        })
    }

    /// Hands a job over and waits for its result. A job that was begun runs to its end even if nobody waits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        self.hand_over(Box::new(move |connection| drop(answer.send(job(connection)))))?;
        self.awaited(result).await
    }

    /// The same for a job that only reads: it ends early where nobody waits for it any more.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let running = Running::default();
        let on = running.clone();
        self.hand_over(Box::new(move |connection| {
            *on.0.lock() = Some(connection.get_interrupt_handle());
            // Whoever stops waiting after this interrupts it.
            let done = (!answer.is_closed()).then(|| job(connection));
            // From here on an interruption would meet the next job.
            on.0.lock().take();
            if let Some(done) = done {
                drop(answer.send(done));
            }
        }))?;
        let _interrupted_when_dropped = running;
        self.awaited(result).await
    }

    /// Ends the threads after what was begun.
    pub(super) async fn close(&self) {
        self.jobs.lock().take();
        let ended: Vec<_> = self.ended.lock().drain(..).collect();
        let all = futures_util::future::join_all(ended);
        // Beyond this time the file is left as it is: every commit is whole on disk already.
        drop(tokio::time::timeout(self.timeout, all).await);
    }

    fn hand_over(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock();
        let jobs = jobs.as_ref().ok_or_else(closed)?;
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unavailable("too many calls are waiting".into()),
            TrySendError::Disconnected(_) => closed(),
        })
    }

    async fn awaited<T>(&self, result: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        let result = tokio::time::timeout(self.timeout, result).await;
        result
            .map_err(|_| StoreError::TimedOut(self.timeout))?
            .map_err(|_| closed())?
    }
}

/// A reading job while somebody waits for it; dropping this interrupts it.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Option<InterruptHandle>>>);

impl Drop for Running {
    fn drop(&mut self) {
        // The job's own copy is dropped after it took its handle away.
        if let Some(handle) = &*self.0.lock() {
            handle.interrupt();
        }
    }
}

fn work(mut connection: Connection, jobs: &Mutex<Receiver<Job>>) {
    loop {
        // One thread waits for a job, the others wait for their turn to do so.
        let job = jobs.lock().recv();
        let Ok(job) = job else { return };
        job(&mut connection);
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

/// To open the file: a new release may have to make indexes of millions of records.
const OPENING: Duration = Duration::from_secs(10 * 60);
/// Calls that may wait for a thread; beyond them the store counts as down.
const MOST_WAITING: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_interrupted_and_the_thread_goes_on() {
        let patience = Duration::from_secs(60);
        let workers = Workers::start("test", 1, patience, || Ok(Connection::open_in_memory().unwrap())).await;
        let workers = workers.unwrap();
        let (began, begun) = mpsc::channel();
        let (outcome, interrupted) = oneshot::channel();
        let endless = workers.read(move |connection| {
            let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
            let mut endless = connection.prepare(endless).unwrap();
            let mut rows = endless.query([]).unwrap();
            rows.next().unwrap();
            began.send(()).unwrap();
            let error = loop {
                if let Err(error) = rows.next() {
                    break error;
                }
            };
            outcome.send(error.sqlite_error_code()).unwrap();
            Ok(())
        });
        let waiting = tokio::task::spawn_blocking(move || begun.recv().unwrap());
        tokio::select! {
            _ = endless => panic!("it ended by itself"),
            begun = waiting => begun.unwrap(),
        }
        assert_eq!(
            interrupted.await.unwrap(),
            Some(rusqlite::ErrorCode::OperationInterrupted)
        );
        let one: i64 = workers
            .read(|connection| Ok(connection.query_row("SELECT 1", [], |row| row.get(0)).unwrap()))
            .await
            .unwrap();
        assert_eq!(one, 1);
        workers.close().await;
    }

    #[tokio::test]
    async fn several_threads_work_at_the_same_time() {
        let workers = Workers::start("test", 2, Duration::from_secs(60), || {
            Ok(Connection::open_in_memory().unwrap())
        });
        let workers = workers.await.unwrap();
        let meeting = Arc::new(std::sync::Barrier::new(2));
        let meet = || {
            let meeting = Arc::clone(&meeting);
            workers.run(move |_| {
                meeting.wait();
                Ok(())
            })
        };
        let (one, other) = tokio::join!(meet(), meet());
        one.unwrap();
        other.unwrap();
        workers.close().await;
    }
}
