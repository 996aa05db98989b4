//! Looks every few seconds at what is known, and says what is to be said.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior};

use super::Alerts;
use super::alert::DeadLetterCount;
use super::book::{Book, Change, Happened};
use super::certificates::Expiries;
use super::counts::Counts;
use super::judge::{Facts, Judge};
use super::ledger::Ledger;
use super::notice::Notice;
use super::outbox::Outbox;
use super::report::Reporter;
use super::throttle::Throttle;
use super::traffic::Meter;
use crate::api::App;
use crate::config::alerts::AlertsConfig;
use crate::store::{Lately, StoreError};

/// Who watches.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(super) config: AlertsConfig,
    pub(super) alerts: Arc<Alerts>,
    pub(super) book: Book,
    pub(super) ledger: Ledger,
    pub(super) throttle: Throttle,
    pub(super) reporter: Reporter,
    pub(super) expiries: Expiries,
    pub(super) meter: Meter,
    pub(super) outbox: Outbox,
    pub(super) counts: Counts,
    /// When dead letters were counted last, and how many there were.
    pub(super) counted: Option<(Instant, Vec<DeadLetterCount>)>,
    /// When other control planes were told last which gateways are connected here.
    pub(super) told: Option<Instant>,
}

impl Watcher {
    /// Watches until the control plane is told to stop, and tries once more to send what is left.
    pub(crate) async fn watch(mut self, app: Arc<App>) {
        let since = Timestamp::now();
        // Nothing is known before; what is open is read at the first look.
        self.ledger.is_behind = true;
        self.outbox.keep_in(&app.store);
        let mut ticks = tokio::time::interval(self.config.check_every());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = app.stop.cancelled() => break,
            }
            self.look(&app, since).await;
        }
        self.outbox.stop(LAST_TRY.min(app.limits.shutdown_timeout())).await;
    }

    /// Looks once.
    async fn look(&mut self, app: &App, watching_since: Timestamp) {
        let store_fault = self.ask_store(app).await.err().map(|error| error.to_string());
        let (state, gateways) = (app.publisher.state(), app.fleet.standing());
        let now = now();
        let window = self.config.rules.traffic.window();
        let watched = self.meter.since(window, now);
        let facts = Facts {
            traffic: store_fault.is_none().then_some(&watched),
            now,
            watching_since,
            snapshot: &state.snapshot,
            gateways: &gateways,
            dead_letters: self.counted.as_ref().map(|(_, counted)| counted.as_slice()),
            certificates: self.expiries.of(&state.snapshot),
            store_fault: store_fault.as_deref(),
        };
        let mut rules = self.config.rules;
        if app.store.is_shared() {
            // Of the gateways that are connected to others it is known now and then only.
            let gone = &mut rules.gateway_gone.for_seconds;
            *gone = (*gone).max(3 * TELL_EVERY.as_secs());
        }
        let changes = self.book.step(&Judge::new(facts, rules));
        let (changes, written) = self.ledger.write(&app.store, changes).await;
        if let (Err(error), None) = (written, store_fault) {
            tracing::warn!(%error, "alerts are not kept yet; it is tried again");
        }
        for change in &changes {
            self.note(change);
        }
        self.alerts.now_open(self.book.open().cloned().collect());
        self.counts.open(self.book.open().map(|alert| alert.rule));
        for message in self.throttle.pass(changes, now) {
            self.outbox
                .post(Notice::of(&message, &self.config.installation, now))
                .await;
        }
        match self.reporter.due(&app.store, &state.snapshot, now).await {
            Ok(Some(report)) => {
                self.outbox
                    .post(Notice::of_report(&report, &self.config.installation, now))
                    .await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the daily report is not made yet; it is tried again"),
        }
    }

    /// Asks the store whether it works, for what other control planes know of gateways and alerts, and now and then for
    /// the number of dead letters.
    async fn ask_store(&mut self, app: &App) -> Result<(), StoreError> {
        app.store.head().await?;
        app.fleet.refresh().await?;
        if self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            if let Err(error) = self.outbox.take_over(self.told.is_none()).await {
                tracing::warn!(%error, "messages that wait to be sent cannot be read; it is tried again");
            }
            app.fleet.save_connected();
            self.told = Some(Instant::now());
        }
        if self.ledger.is_behind {
            let open = app.store.open_alerts().await?;
            self.ledger.learn(&open);
            self.book.learn(open);
        }
        if self.config.rules.traffic.enabled {
            self.meter
                .look(&app.store, self.config.rules.traffic.window(), now())
                .await?;
        }
        let dead_letters = &self.config.rules.dead_letters;
        let every = Duration::from_secs(dead_letters.count_every_seconds);
        if self.counted.as_ref().is_some_and(|(at, _)| at.elapsed() < every) {
            return Ok(());
        }
        // Until they are counted again nobody knows.
        self.counted = None;
        let ago = |minutes: u64| {
            let minutes = SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(i64::MAX));
            now().checked_sub(minutes).unwrap_or(Timestamp::MIN)
        };
        let lately = Lately {
            new_since: ago(dead_letters.growth_minutes),
            abandoned_since: ago(self.config.rules.abandoned.quiet_minutes),
        };
        let counted = app.store.dead_letter_counts(lately).await?;
        self.counted = Some((Instant::now(), counted));
        Ok(())
    }

    /// Logs, counts and lists.
    fn note(&self, change: &Change) {
        let alert = &change.alert;
        let (id, rule, severity) = (&alert.id, alert.rule.name(), alert.severity.name());
        let (title, detail) = (&alert.title, &alert.detail);
        match change.happened {
            Happened::Raised => {
                self.counts.raised(alert.rule);
                tracing::warn!(
                    alert = id,
                    rule,
                    severity,
                    org_id = alert.org_id,
                    title,
                    detail,
                    "alert raised"
                );
            }
            Happened::Reminded => {
                tracing::warn!(
                    alert = id,
                    rule,
                    severity,
                    org_id = alert.org_id,
                    title,
                    detail,
                    "alert still open"
                );
            }
            Happened::Resolved => {
                tracing::info!(
                    alert = id,
                    rule,
                    severity,
                    org_id = alert.org_id,
                    title,
                    detail,
                    "alert resolved"
                );
                self.alerts.resolved(alert.clone());
            }
        }
    }
}

/// In whole milliseconds, as alerts are kept and shown.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// How often the others are told.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// For what waits to be sent when the control plane stops.
const LAST_TRY: Duration = Duration::from_secs(5);
