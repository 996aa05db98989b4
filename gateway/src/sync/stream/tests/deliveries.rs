//! Outcomes and commands, with the control plane's side of the stream in the test's hands.

use bytes::Bytes;
use filters::event::Event;
use filters::model::EventHead;
use filters::model::command::{Command, CommandResult};
use filters::model::delivery::{DeliveryRecord, DeliveryStatus, ScheduledStatus, TriggerType};
use filters::model::push::Object;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::*;
use crate::config::{ConfigSource, DataDirPath, ProcessConfig};
use crate::delivery::Attempts;
use crate::queue::{Accepted, Arrival, Dedupe, DeliveryState, OpenDelivery, Queue, Step};
use crate::scripts::{ScriptLimits, ScriptPool};

/// A gateway's stream with an event flow behind it.
struct Flowing {
    dialled: Dialled,
    flow: Arc<EventFlow>,
    queue: Queue,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Flowing {
    async fn start(pace: Pace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = ProcessConfig {
            data_dir: DataDirPath(folder.path().to_owned()),
            config: ConfigSource::ControlPlane(ControlPlane::default()),
            ..ProcessConfig::default()
        };
        let limits = ScriptLimits {
            time: Duration::from_secs(1),
            memory_bytes: 32 << 20,
            queue: 16,
        };
        let scripts = Arc::new(ScriptPool::new(1, limits));
        let attempts = Arc::new(Attempts::new(scripts, "gw-1".into(), folder.path(), 1 << 20));
        let (stop, tasks, rig) = (CancellationToken::new(), TaskTracker::new(), Rig::new());
        let flow = EventFlow::start(&config, &rig.shared, rig.metrics(), attempts, &stop, &tasks)
            .await
            .unwrap();
        let events = Events::begin(Arc::clone(&flow), Arc::clone(&rig.shared), "gw-1", &stop, &tasks);
        let dialled = Dialled::start_on(rig, pace, Some(events), |_| {}).await;
        Self {
            dialled,
            queue: flow.queue().unwrap(),
            flow,
            stop,
            _folder: folder,
        }
    }

    /// The other side, after it has sent a subscription whose endpoint nobody listens at.
    async fn configured(&self) -> Side {
        let mut side = self.dialled.accept().await;
        side.hello().await;
        side.send(&FromControlPlane::Snapshot {
            version: 1,
            put: vec![subscription("s")],
            trial: false,
        })
        .await;
        assert!(matches!(side.next().await, FromGateway::Ack { version: 1, .. }));
        side
    }

    /// Puts an event into the queue, with one delivery that is due in an hour; its place.
    async fn accept(&self, id: &str) -> i64 {
        let accepted = self.queue.accept(vec![arrival(id)]).await.unwrap();
        match accepted.as_slice() {
            [Accepted::New(seq)] => *seq,
            other => panic!("{other:?}"),
        }
    }

    async fn stop(self) {
        self.dialled.stop().await;
        self.stop.cancel();
        self.flow.close(Duration::ZERO).await;
    }
}

impl Side {
    /// The next batch of outcomes.
    async fn outcomes(&mut self) -> (i64, Vec<DeliveryRecord>) {
        match self.next().await {
            FromGateway::Outcomes { up_to, records } => (up_to, records),
            other => panic!("expected Outcomes, got {other:?}"),
        }
    }

    async fn settled(&mut self, up_to: i64) {
        self.send(&FromControlPlane::Settled { up_to }).await;
    }

    async fn command(&mut self, id: &str, command: Command) {
        let id = id.to_owned();
        self.send(&FromControlPlane::Command { id, command }).await;
    }

    /// The result of a command, with what was told before it; all of it is settled.
    async fn result(&mut self, wanted: &str) -> (CommandResult, Vec<DeliveryRecord>) {
        let mut before = Vec::new();
        loop {
            let (up_to, records) = self.outcomes().await;
            self.settled(up_to).await;
            for record in records {
                match record {
                    DeliveryRecord::Commanded { id, result } if id == wanted => return (result, before),
                    other => before.push(other),
                }
            }
        }
    }
}

#[tokio::test]
async fn outcomes_are_sent_again_until_they_are_settled_and_not_after() {
    let flowing = Flowing::start(fast()).await;
    flowing.tell("a").await;
    let mut side = flowing.dialled.accept().await;
    side.hello().await;
    let first = side.outcomes().await;
    assert_eq!(gone(&first.1), ["a"]);
    flowing.tell("b").await;
    // The connection breaks before it is settled.
    drop(side);
    let mut side = flowing.dialled.accept().await;
    side.hello().await;
    let (up_to, records) = side.outcomes().await;
    assert_eq!(gone(&records), ["a", "b"], "nothing is lost, and the order stays");
    side.settled(up_to).await;
    flowing.tell("c").await;
    let (up_to, records) = side.outcomes().await;
    assert_eq!(gone(&records), ["c"]);
    side.settled(up_to).await;
    until("the spool is empty", || flowing.queue.levels().spool_bytes == 0).await;
    drop(side);
    let mut side = flowing.dialled.accept().await;
    side.hello().await;
    flowing.tell("d").await;
    assert_eq!(gone(&side.outcomes().await.1), ["d"]);
    flowing.stop().await;
}

#[tokio::test]
async fn one_batch_is_on_its_way_at_a_time() {
    let flowing = Flowing::start(fast()).await;
    let mut side = flowing.dialled.accept().await;
    side.hello().await;
    flowing.tell("a").await;
    let (first, _) = side.outcomes().await;
    flowing.tell("b").await;
    // An answer to something else does not count for it.
    side.settled(first - 1).await;
    side.settled(first).await;
    let (second, records) = side.outcomes().await;
    assert!(second > first);
    assert_eq!(gone(&records), ["b"]);
    flowing.stop().await;
}

#[tokio::test]
async fn a_command_is_carried_out_once_and_its_result_told() {
    let flowing = Flowing::start(fast()).await;
    let mut side = flowing.configured().await;
    let pause = Command::Pause {
        integration_config_id: "s".into(),
    };
    let resume = Command::Resume {
        integration_config_id: "s".into(),
    };
    side.command("c1", pause.clone()).await;
    assert_eq!(side.result("c1").await.0.done, 1);
    assert_eq!(flowing.queue.held().await.unwrap().len(), 1);
    side.command("c2", resume).await;
    assert_eq!(side.result("c2").await.0.done, 1);
    // Said again, as after a lost answer.
    side.command("c1", pause).await;
    let unknown = Command::Pause {
        integration_config_id: "nobody".into(),
    };
    side.command("c3", unknown).await;
    let (result, before) = side.result("c3").await;
    assert_eq!((result.done, &*result.failed[0].id), (0, "nobody"));
    assert!(before.is_empty(), "{before:?}");
    assert!(flowing.queue.held().await.unwrap().is_empty());
    flowing.stop().await;
}

#[tokio::test]
async fn a_scheduled_delivery_is_called_off() {
    let flowing = Flowing::start(fast()).await;
    let mut side = flowing.configured().await;
    let seq = flowing.accept("e1").await;
    let other = flowing.accept("e2").await;
    let ids = [format!("gw-1:{seq}-0"), "gw-1:999-0".to_owned(), "gw-2:1-0".to_owned()];
    let cancel = Command::CancelScheduled { ids: ids.to_vec() };
    side.command("c1", cancel).await;
    let (result, before) = side.result("c1").await;
    assert_eq!(result.done, 1);
    let failed: Vec<_> = result.failed.iter().map(|failure| &*failure.id).collect();
    assert_eq!(failed, [&ids[1], &ids[2]]);
    let [DeliveryRecord::Scheduled(told)] = before.as_slice() else {
        panic!("{before:?}")
    };
    assert_eq!((&told.id, told.status), (&ids[0], ScheduledStatus::Cancelled));
    assert_eq!((&*told.original_event_id, told.org_id), ("e1", 1));
    assert_eq!(flowing.queue.levels().open, 1);

    let id = format!("gw-1:{other}-0");
    side.command("c2", Command::CancelScheduled { ids: vec![id] }).await;
    assert_eq!(
        side.result("c2").await.0,
        CommandResult {
            done: 1,
            failed: vec![]
        }
    );
    assert_eq!(flowing.queue.levels().open, 0);
    flowing.stop().await;
}

#[tokio::test]
async fn events_are_replayed_by_identifier_and_by_time() {
    let flowing = Flowing::start(fast()).await;
    let mut side = flowing.configured().await;
    let pause = Command::Pause {
        integration_config_id: "s".into(),
    };
    side.command("c0", pause).await;
    side.result("c0").await;
    for id in ["e1", "e2", "e3"] {
        flowing.accept(id).await;
    }
    let replay = |event_ids: &[&str], to: Option<&str>, subscription: Option<&str>| Command::Replay {
        org_id: 1,
        integration_config_id: subscription.map(Into::into),
        event_ids: event_ids.iter().map(|id| (*id).to_owned()).collect(),
        from: to.map(|_| "2020-01-01T00:00:00Z".to_owned()),
        to: to.map(str::to_owned),
    };
    side.command("c1", replay(&["e1", "none"], None, None)).await;
    let (result, _) = side.result("c1").await;
    assert_eq!((result.done, &*result.failed[0].id), (1, "none"));
    assert_eq!(flowing.queue.levels().open, 4);
    side.command("c2", replay(&[], Some("2100-01-01T00:00:00Z"), Some("s")))
        .await;
    assert_eq!(
        side.result("c2").await.0,
        CommandResult {
            done: 3,
            failed: vec![]
        }
    );
    assert_eq!(flowing.queue.levels().open, 7);
    side.command("c3", replay(&[], Some("2021-01-01T00:00:00Z"), None))
        .await;
    assert_eq!(side.result("c3").await.0.done, 0, "none of them is so old");
    side.command("c4", replay(&["e1"], None, Some("nobody"))).await;
    assert_eq!(&*side.result("c4").await.0.failed[0].id, "e1");
    flowing.stop().await;
}

#[tokio::test]
async fn a_test_delivery_leaves_its_record() {
    let flowing = Flowing::start(fast()).await;
    let mut side = flowing.configured().await;
    let test = |subscription: &str| Command::Test {
        integration_config_id: subscription.into(),
        event_type: "bill.generated".to_owned(),
        payload: json!({"n": 1}),
    };
    side.command("c1", test("s")).await;
    let (result, before) = side.result("c1").await;
    assert_eq!(result.done, 1);
    let [DeliveryRecord::Log(log)] = before.as_slice() else {
        panic!("{before:?}")
    };
    assert_eq!(
        (log.status, log.trigger_type),
        (DeliveryStatus::Failed, TriggerType::Manual)
    );
    assert_eq!(flowing.queue.levels().open, 0, "nothing of it is kept");
    side.command("c2", test("nobody")).await;
    assert_eq!(side.result("c2").await.0.failed.len(), 1);
    flowing.stop().await;
}

#[tokio::test]
async fn the_control_plane_is_told_what_waits_and_why() {
    let pace = Pace {
        endpoints: Duration::from_millis(20),
        ..fast()
    };
    let flowing = Flowing::start(pace).await;
    let mut side = flowing.configured().await;
    let pause = Command::Pause {
        integration_config_id: "s".into(),
    };
    side.command("c1", pause).await;
    flowing.accept("e1").await;
    let told = async {
        loop {
            if let FromGateway::Deliveries { endpoints } = side.next().await
                && endpoints
                    .iter()
                    .any(|endpoint| endpoint.open == 1 && endpoint.state == "paused")
            {
                return endpoints;
            }
        }
    };
    let told = timeout(PATIENCE, told).await.unwrap();
    let [endpoint] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(
        (&*endpoint.integration_config_id, endpoint.org_id, &*endpoint.state),
        ("s", 1, "paused")
    );
    assert!(endpoint.oldest.is_some() && endpoint.reason.is_some(), "{endpoint:?}");
    flowing.stop().await;
}

impl Flowing {
    /// Puts a record into the spool.
    async fn tell(&self, id: &str) {
        let record = DeliveryRecord::DeadLetterGone(id.to_owned());
        let command = Uuid::now_v7().to_string();
        let result = CommandResult {
            done: 0,
            failed: vec![],
        };
        self.queue.command_finish(command, result, vec![record]).await.unwrap();
    }
}

fn gone(records: &[DeliveryRecord]) -> Vec<&str> {
    let ids = records.iter().filter_map(|record| match record {
        DeliveryRecord::DeadLetterGone(id) => Some(&**id),
        _ => None,
    });
    ids.collect()
}

fn subscription(id: &str) -> Object {
    let value = json!({"id": id, "name": "Bills", "orgId": 1, "eventType": "bill.*", "direction": "OUTBOUND",
        "targetUrl": "https://partner.invalid/hook"});
    Object::Outbound(Arc::new(serde_json::from_value(value).unwrap()))
}

fn arrival(id: &str) -> Arrival {
    let head = EventHead {
        org_id: 1,
        id: id.to_owned(),
        source: "/his".to_owned(),
        event_type: "bill.generated".to_owned(),
        action_id: None,
        entity_rid: None,
        subject: None,
        time: None,
        data_content_type: None,
        correlation_id: None,
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        status_callback: None,
        extensions: Default::default(),
    };
    let state = DeliveryState {
        id: Uuid::now_v7(),
        trigger: TriggerType::Event,
        due_ms: crate::clock::now_ms() + 3_600_000,
        attempts: 0,
        order_key: None,
        step: Step::Forward(0),
        answers: None,
        occurrences: 0,
        dead_retries: None,
        payload: None,
    };
    Arrival {
        event: Arc::new(Event {
            head,
            payload: Bytes::from_static(b"{}"),
        }),
        producer: "erp".into(),
        dedupe: Dedupe {
            key: [0; 16],
            window_ms: 0,
        },
        deliveries: vec![OpenDelivery {
            number: 0,
            subscription: "s".into(),
            state,
        }],
        skipped: Vec::new(),
        scheduled: Vec::new(),
    }
}
