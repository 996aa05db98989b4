//! What documents ask for, as one request to the control plane: all of it or nothing.

use std::collections::BTreeSet;

use filters::model::problem::join;
use filters::model::push::{Object, ObjectId};
use filters::model::{Problem, Snapshot};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Prune;
use super::answers::{self, Applied};
use super::client::Client;
use super::documents::Documents;
use super::failure::{Failure, FileProblem};

/// A change, ready to be tried or made.
pub(super) struct Change<'d> {
    documents: &'d Documents,
    put: Vec<Object>,
    pub(super) delete: Vec<ObjectId>,
}

/// To whom a change goes first, and what is watched.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct First<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) gateways: &'a [String],
    pub(super) rules: Value,
}

/// The body of the request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    put: &'a [Object],
    delete: &'a [ObjectId],
    dry_run: bool,
    message: &'a str,
    #[serde(flatten)]
    first: Option<First<'a>>,
}

impl<'d> Change<'d> {
    /// Puts everything in `documents`; what `prune` deletes is found in `live`.
    pub(super) fn new(documents: &'d Documents, prune: &Prune, live: &Snapshot) -> Self {
        let put = documents.snapshot.objects().into_iter();
        Self {
            documents,
            put: put.filter(|object| !matches!(object, Object::Security(_))).collect(),
            delete: to_prune(&documents.snapshot, live, prune),
        }
    }

    /// Has the control plane check the change, and make it unless it is a `dry_run`.
    pub(super) fn send(&self, client: &Client, dry_run: bool, message: &str) -> Result<Applied, Failure> {
        let request = self.request(dry_run, message, None);
        self.post(client, &["apply"], &request)
    }

    /// The same for a change that goes to some of the gateways first.
    pub(super) fn roll_out<T: DeserializeOwned>(
        &self,
        client: &Client,
        dry_run: bool,
        message: &str,
        first: First<'_>,
    ) -> Result<T, Failure> {
        let request = self.request(dry_run, message, Some(first));
        self.post(client, &["rollouts"], &request)
    }

    fn request<'a>(&'a self, dry_run: bool, message: &'a str, first: Option<First<'a>>) -> Request<'a> {
        Request {
            put: &self.put,
            delete: &self.delete,
            dry_run,
            message,
            first,
        }
    }

    fn post<T: DeserializeOwned>(&self, client: &Client, path: &[&str], request: &Request<'_>) -> Result<T, Failure> {
        client
            .post(path, request, request.dry_run)
            .map_err(|failure| match failure {
                Failure::Refused(mut body) => {
                    for problem in &mut body.problems {
                        *problem = self.relocated(problem);
                    }
                    Failure::Refused(body)
                }
                other => other,
            })
    }

    /// A problem of the request, `put[3].value.targetUrl`, as one of the file that the object came from.
    fn relocated(&self, problem: &Problem) -> Problem {
        let object = problem
            .path
            .strip_prefix("put[")
            .and_then(|rest| rest.split_once(']'))
            .and_then(|(index, rest)| Some((self.put.get(index.parse::<usize>().ok()?)?, rest)));
        let Some((object, rest)) = object else {
            return problem.clone();
        };
        let rest = rest.strip_prefix(".value").unwrap_or(rest).trim_start_matches('.');
        let Some(id) = object.id() else { return problem.clone() };
        let file = self.documents.file_of(&id);
        let located = FileProblem::new(file, Problem::new(join(&id.path(), rest), problem.message.clone()));
        Problem::new("", located.to_string())
    }
}

/// What is configured, of the organizations that the documents and `prune` are about.
pub(super) fn live(client: &Client, documents: &Documents, prune: &Prune) -> Result<Snapshot, Failure> {
    let snapshot = &documents.snapshot;
    let objects = snapshot.objects();
    let organizations = objects.iter().filter_map(Object::org_id).chain(prune.org);
    let organizations: BTreeSet<u64> = organizations.collect();
    answers::export(client, &organizations)
}

/// What the pruned organization has and is not wanted any more: integrations of both directions, or objects of every kind.
fn to_prune(wanted: &Snapshot, live: &Snapshot, prune: &Prune) -> Vec<ObjectId> {
    let Some(organization) = prune.org.filter(|_| prune.prune) else {
        return Vec::new();
    };
    let live = live.objects();
    let owned = live.iter().filter(|object| object.org_id() == Some(organization));
    owned
        .filter_map(Object::id)
        .filter(|id| match id {
            ObjectId::Integration(_) | ObjectId::Outbound(_) => true,
            ObjectId::Organization(_) => false,
            ObjectId::Unit(_)
            | ObjectId::EventType(_)
            | ObjectId::ProducerKey(_)
            | ObjectId::Certificate(_)
            | ObjectId::Lookup(_)
            | ObjectId::Consumer(_) => prune.all_kinds,
        })
        .filter(|id| wanted.object(id).is_none())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PRUNE: Prune = Prune {
        prune: true,
        org: Some(648),
        all_kinds: false,
        allow_empty: false,
    };

    fn snapshot(organizations: &[(u64, &str)]) -> Snapshot {
        let integrations: Vec<_> = organizations
            .iter()
            .map(|(id, kind)| json!({"name": "N", "type": kind, "orgId": id, "targetUrl": "https://p.example"}))
            .collect();
        Snapshot::from_document(&json!({ "integrations": integrations })).unwrap()
    }

    #[test]
    fn pruning_stays_within_its_organization() {
        let live = snapshot(&[(648, "kept"), (648, "gone"), (649, "other")]);
        let wanted = snapshot(&[(648, "kept")]);
        assert_eq!(
            to_prune(&wanted, &live, &PRUNE),
            [ObjectId::Integration("648-gone".into())]
        );
        let not_asked_for = Prune {
            prune: false,
            org: None,
            all_kinds: false,
            allow_empty: false,
        };
        assert!(to_prune(&wanted, &live, &not_asked_for).is_empty());
    }

    #[test]
    fn the_server_s_problems_are_located_in_the_documents() {
        let documents = Documents::of(snapshot(&[(648, "a"), (648, "b")]), "a.yaml");
        let change = Change::new(&documents, &PRUNE, &Snapshot::default());
        for (path, expected) in [
            (
                "put[1].value.targetUrl",
                "a.yaml: integrations[\"648-b\"].targetUrl: wrong",
            ),
            ("put[0].value", "a.yaml: integrations[\"648-a\"]: wrong"),
            ("put[7].value", "put[7].value: wrong"),
            ("message", "message: wrong"),
        ] {
            let located = change.relocated(&Problem::new(path, "wrong"));
            assert_eq!(located.to_string(), expected);
        }
    }

    #[test]
    fn the_security_rules_are_never_sent() {
        let documents = Documents::of(snapshot(&[(648, "a")]), "a.yaml");
        let change = Change::new(&documents, &PRUNE, &Snapshot::default());
        assert_eq!(change.put.len(), 1);
        assert!(matches!(change.put[0], Object::Integration(_)));
    }
}
