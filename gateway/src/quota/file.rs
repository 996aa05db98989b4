//! The file of daily quotas.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{QuotaKey, Quotas};
use crate::data_dir::{self, DataDir};

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    format: u32,
    used: Vec<Used>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Used {
    key: QuotaKey,
    date: Date,
    used: u64,
}

/// Reads the file, then writes it whenever something was counted, until `stop` and once after it.
///
/// While another process still owns the folder, nothing is written; what that process counted in the meantime is added
/// once the folder is ours.
pub async fn keep(quotas: Arc<Quotas>, data_dir: Arc<DataDir>, stop: CancellationToken) {
    let owned = tokio::select! {
        biased;
        owned = data_dir.owned() => owned,
        () = stop.cancelled() => false,
    };
    if !owned {
        return;
    }
    quotas.load(&data_dir);
    let mut pause = INTERVAL;
    loop {
        let last = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = stop.cancelled() => true,
        };
        if quotas.changed.swap(false, Ordering::Relaxed) {
            let began = Instant::now();
            let (writer, folder) = (Arc::clone(&quotas), Arc::clone(&data_dir));
            let written = tokio::task::spawn_blocking(move || writer.write(&folder)).await;
            if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
                error!(%error, "cannot write the daily quotas; a restart would forget what was used since");
                quotas.changed.store(true, Ordering::Relaxed);
            }
            // A slow disk, or very many counters: at most a tenth of the time is spent on it.
            pause = INTERVAL.max(began.elapsed() * 9);
        }
        if last {
            return;
        }
    }
}

impl Quotas {
    /// Takes over what the file says. What was counted since it was read before is added to it.
    pub(crate) fn load(&self, data_dir: &DataDir) {
        let path = path_in(data_dir);
        let content = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Content>(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => Err(error.to_string()),
        };
        match content {
            Ok(content) if content.format == FORMAT => self.take_over(content),
            Ok(content) => warn!(
                path = %path.display(), format = content.format,
                "the file of daily quotas is of another program version; everybody begins with a whole quota"
            ),
            Err(reason) => {
                let aside = data_dir::move_aside(&path).map(|path| path.display().to_string());
                warn!(
                    path = %path.display(), aside = %aside.unwrap_or_default(), %reason,
                    "the daily quotas cannot be read; everybody begins with a whole quota"
                );
            }
        }
    }

    fn take_over(&self, content: Content) {
        let mut days = self.days.lock();
        for Used { key, date, used } in content.used {
            let changed = Arc::clone(&self.changed);
            let day = days.entry(key).or_insert_with(|| Arc::new(super::Day::new(changed)));
            let mut count = day.count.lock();
            if count.date == date {
                count.used = used + count.used.saturating_sub(count.loaded);
                count.loaded = used;
            } else if count.date < date {
                (count.date, count.used, count.loaded) = (date, used, used);
                (count.starts_ms, count.ends_ms) = (0, 0);
            }
        }
    }

    pub(super) fn write(&self, data_dir: &DataDir) -> io::Result<()> {
        let days: Vec<_> = {
            let days = self.days.lock();
            days.iter().map(|(key, day)| (key.clone(), Arc::clone(day))).collect()
        };
        let used = days.into_iter().filter_map(|(key, day)| {
            let count = day.count.lock();
            (count.used > 0).then(|| Used {
                key,
                date: count.date,
                used: count.used,
            })
        });
        let content = Content {
            format: FORMAT,
            used: used.collect(),
        };
        data_dir::write_private(&path_in(data_dir), &serde_json::to_vec(&content)?)
    }
}

fn path_in(data_dir: &DataDir) -> PathBuf {
    data_dir.path().join("quotas.json")
}

const FORMAT: u32 = 1;
const INTERVAL: Duration = Duration::from_secs(1);
