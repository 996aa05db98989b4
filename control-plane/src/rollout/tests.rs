//! Rollouts on a store of their own, with gateways that say what the tests have them say.

use filters::model::push::{Have, Object};
use filters::model::{MODEL_VERSION, Organization, Problem, Security};
use tempfile::TempDir;

use super::*;
use crate::config::{Limits, StoreConfig};
use crate::fleet::Member;
use crate::metrics::Metrics;
use crate::publish::tests::no_secrets;
use crate::seal::Sealer;

/// A control plane without its API.
struct Plane {
    store: Arc<Store>,
    publisher: Publisher,
    fleet: Arc<Fleet>,
    rollouts: Arc<Rollouts>,
    members: Vec<Member>,
}

impl Plane {
    /// With three gateways, `g0` to `g2`.
    async fn start(folder: &TempDir) -> Self {
        let sealer = Arc::new(Sealer::new(&[3; 32]));
        let store = Store::open(&StoreConfig::default(), folder.path(), &Limits::default(), sealer).await;
        let store = Arc::new(store.unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let publisher = Publisher::start(
            Arc::clone(&store),
            no_secrets(),
            Security::default(),
            Arc::clone(&metrics),
        );
        let publisher = publisher.await.unwrap();
        let fleet = Arc::new(Fleet::load(Arc::clone(&store), metrics).await.unwrap());
        let members = (0..3).map(|number| join(&fleet, &format!("g{number}"))).collect();
        let rollouts = Rollouts::new(publisher.clone(), Arc::clone(&store), Arc::clone(&fleet));
        Self {
            store,
            publisher,
            fleet,
            rollouts: Arc::new(rollouts),
            members,
        }
    }

    /// Stops it as a kill would, and starts it again.
    async fn restart(self, folder: &TempDir) -> Self {
        self.store.close().await;
        drop(self);
        Self::start(folder).await
    }

    async fn put(&self, name: &str) -> Result<Published, Refusal> {
        let object = organization(name);
        let edit = move |_: &State| Ok(Edit::of_one(object.clone()));
        self.publisher.publish(author("ops"), Mode::Commit, edit).await
    }

    async fn roll_out(&self, name: &str, rules: Rules) -> Rollout {
        let object = organization(name);
        let edit = move |_: &State| Ok(Edit::of_one(object.clone()));
        let wanted = Wanted {
            share: Share::Gateways(["g0".to_owned()].into()),
            rules,
            writes: Vec::new(),
        };
        let (_, rollout) = self
            .rollouts
            .begin(author("ops"), Mode::Commit, wanted, edit)
            .await
            .unwrap();
        rollout.unwrap()
    }

    /// The name that a gateway is to have.
    fn name_at(&self, gateway: usize) -> String {
        let state = self.publisher.state();
        let state = state.for_gateway(&format!("g{gateway}"));
        state.snapshot.organizations[&7].value.name.clone()
    }

    fn names(&self) -> [String; 3] {
        [0, 1, 2].map(|gateway| self.name_at(gateway))
    }

    async fn found(&self, rollout: &Rollout) -> Rollout {
        self.rollouts.find(&rollout.id).await.unwrap().unwrap().value
    }
}

fn join(fleet: &Arc<Fleet>, name: &str) -> Member {
    let token = "t".into();
    fleet
        .join(name, MODEL_VERSION, None, &token, "127.0.0.1:1".parse().unwrap())
        .unwrap()
}

fn organization(name: &str) -> Object {
    Object::Organization(Arc::new(Organization {
        org_id: 7,
        name: name.to_owned(),
        ..Organization::default()
    }))
}

fn author(name: &str) -> Author {
    Author {
        name: name.to_owned(),
        message: "why".to_owned(),
        org_ids: None,
        request_id: None,
    }
}

fn have(version: u64) -> Have {
    Have {
        version,
        digest: String::new(),
    }
}

#[tokio::test]
async fn until_it_is_promoted_only_its_gateways_have_the_version() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::start(&folder).await;
    plane.put("old").await.unwrap();
    let rollout = plane.roll_out("new", Rules::default()).await;
    assert_eq!(plane.names(), ["new", "old", "old"]);
    let targets: Vec<u64> = plane
        .fleet
        .list(&plane.publisher.state())
        .iter()
        .map(|g| g.target_version)
        .collect();
    assert_eq!(targets, [3, 2, 2]);
    plane.rollouts.look().await.unwrap();
    assert_eq!(plane.names(), ["new", "old", "old"], "the time is not over");

    let done = plane.rollouts.promote(&rollout.id, author("boss")).await.unwrap();
    assert_eq!(
        (done.state, done.ended_by.as_deref()),
        (RolloutState::Promoted, Some("boss"))
    );
    assert_eq!(done.ended_version, Some(4));
    assert_eq!(plane.names(), ["new", "new", "new"]);
    assert_eq!(plane.store.head().await.unwrap(), 4);
    let again = plane.rollouts.abort(&rollout.id, author("boss")).await;
    assert!(matches!(again, Err(Refusal::Conflict(_))), "{again:?}");
}

#[tokio::test]
async fn while_it_is_under_way_no_other_change_is_made() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::start(&folder).await;
    plane.put("old").await.unwrap();
    let rollout = plane.roll_out("new", Rules::default()).await;
    let Err(Refusal::Conflict(why)) = plane.put("other").await else {
        panic!("it was made")
    };
    assert!(why.contains(&rollout.id), "{why}");
    plane.rollouts.abort(&rollout.id, author("boss")).await.unwrap();
    plane.put("other").await.unwrap();
    assert_eq!(plane.names(), ["other", "other", "other"]);
}

#[tokio::test]
async fn a_refusal_takes_it_back_to_exactly_what_was() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::start(&folder).await;
    plane.put("old").await.unwrap();
    let before = plane.publisher.state().digest.clone();
    let rollout = plane.roll_out("new", Rules::default()).await;
    plane.members[1].nacked(
        rollout.version,
        vec![Problem::new("a", "of no concern: it is not asked")],
    );
    plane.rollouts.look().await.unwrap();
    assert_eq!(plane.name_at(0), "new");
    plane.members[0].nacked(rollout.version, vec![Problem::new("name", "wrong")]);
    plane.rollouts.look().await.unwrap();
    assert_eq!(plane.names(), ["old", "old", "old"]);
    let state = plane.publisher.state();
    assert_eq!((state.snapshot.version, &state.digest), (4, &before));
    let ended = plane.found(&rollout).await;
    assert_eq!((ended.state, ended.ended_by), (RolloutState::RolledBack, None));
    assert_eq!(ended.reason.unwrap(), "the gateway g0 refused it: name: wrong");
    let (version, _) = plane.store.version(4).await.unwrap().unwrap();
    assert!(
        version.message.contains("rolled back: the gateway g0 refused it"),
        "{}",
        version.message
    );
}

#[tokio::test]
async fn what_was_made_and_deleted_is_taken_back_too() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::start(&folder).await;
    plane.put("old").await.unwrap();
    let before = plane.publisher.state().digest.clone();
    let wanted = Wanted {
        share: Share::Percent(34),
        rules: Rules::default(),
        writes: Vec::new(),
    };
    let edit = |_: &State| {
        let mut edit = Edit::of_one(Object::Organization(Arc::new(Organization {
            org_id: 8,
            ..Organization::default()
        })));
        edit.delete.push(filters::model::push::ObjectId::Organization(7));
        Ok(edit)
    };
    let (_, rollout) = plane
        .rollouts
        .begin(author("ops"), Mode::Commit, wanted, edit)
        .await
        .unwrap();
    let rollout = rollout.unwrap();
    assert_eq!(rollout.gateways.len(), 2);
    plane.rollouts.abort(&rollout.id, author("ops")).await.unwrap();
    assert_eq!(plane.publisher.state().digest, before);
}

#[tokio::test]
async fn it_outlives_a_restart_and_is_watched_on() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::start(&folder).await;
    plane.put("old").await.unwrap();
    let (before, rollout) = (
        plane.publisher.state().digest.clone(),
        plane.roll_out("new", Rules::default()).await,
    );
    let plane = plane.restart(&folder).await;
    assert_eq!(plane.names(), ["new", "old", "old"]);
    let state = plane.publisher.state();
    assert_eq!(state.for_gateway("g1").digest, before);
    assert!(matches!(plane.put("other").await, Err(Refusal::Conflict(_))));
    plane.members[0].nacked(rollout.version, Vec::new());
    plane.rollouts.look().await.unwrap();
    assert_eq!(plane.names(), ["old", "old", "old"]);
    let plane = plane.restart(&folder).await;
    assert_eq!(plane.names(), ["old", "old", "old"]);
    plane.rollouts.look().await.unwrap();
}

#[tokio::test]
async fn when_its_time_is_over_it_goes_on_by_itself() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::start(&folder).await;
    plane.put("old").await.unwrap();
    let quick = Rules {
        watch_seconds: 0,
        ..Rules::default()
    };
    let rollout = plane.roll_out("new", quick).await;
    plane.members[0].acked(&have(rollout.version));
    plane.rollouts.look().await.unwrap();
    assert_eq!(plane.names(), ["new", "new", "new"]);
    assert_eq!(plane.found(&rollout).await.state, RolloutState::Promoted);
}

#[tokio::test]
async fn nothing_to_change_begins_nothing_and_a_trial_run_neither() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::start(&folder).await;
    plane.put("old").await.unwrap();
    for (name, mode) in [("old", Mode::Commit), ("new", Mode::DryRun)] {
        let edit = move |_: &State| Ok(Edit::of_one(organization(name)));
        let wanted = Wanted {
            share: Share::Percent(1),
            rules: Rules::default(),
            writes: Vec::new(),
        };
        let (published, rollout) = plane.rollouts.begin(author("ops"), mode, wanted, edit).await.unwrap();
        assert_eq!((published.state.snapshot.version, rollout), (2, None));
    }
    assert!(plane.store.sheets::<Rollout>(None, None, 10).await.unwrap().is_empty());
}
