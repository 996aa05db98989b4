//! Which integration a request belongs to: by host, then path, then method; or by the runtime address.
//!
//! A host's own name wins over a wildcard, and a longer wildcard over a shorter one. Within a host the most literal path
//! wins, segment by segment: a literal segment before a parameter, a parameter before the rest of a prefix; of equal
//! texts the exact rule wins over the prefix. Only then is the method looked at, so that a path answers 405 with what it
//! allows instead of falling through to a broader one.

pub mod host;
mod pattern;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use http::Method;

use crate::model::Problem;
use crate::model::route::HttpMethod;
use crate::plan::Integration;
pub(crate) use pattern::PathPattern;
pub(crate) use tree::Tree;

/// The routes of a plan.
#[derive(Debug, Default)]
pub struct RouteTable {
    hosts: AHashMap<Arc<str>, Arc<HostRoutes>>,
    /// By what follows the star, with its dot: `.example.com`.
    wildcards: AHashMap<Arc<str>, Arc<HostRoutes>>,
    /// By organization and type, for `/api/v1/integrations/{type}?orgId=N`.
    types: AHashMap<u64, Arc<Types>>,
}

type Types = AHashMap<Arc<str>, Arc<Integration>>;

/// An integration that changed from one table to the next.
pub(crate) struct Edit {
    pub(crate) before: Option<Arc<Integration>>,
    pub(crate) after: Option<Arc<Integration>>,
}

impl Edit {
    /// An integration that is gone.
    pub(crate) fn removal(before: Arc<Integration>) -> Self {
        Self {
            before: Some(before),
            after: None,
        }
    }
}

/// What was found for a request.
#[derive(Debug)]
pub enum Found<'t, 'p> {
    /// The integration, and how its rule matched.
    Route(Match<'t, 'p>),
    /// The path is known with these other methods.
    MethodNotAllowed(MethodSet),
    /// Nothing answers to this.
    Nothing,
}

/// A match.
#[derive(Debug)]
pub struct Match<'t, 'p> {
    /// Whose it is.
    pub integration: &'t Arc<Integration>,
    /// Bytes of the path that a prefix rule matched; the whole path for the other rules.
    pub matched: usize,
    names: &'t [String],
    values: Vec<&'p str>,
}

impl<'t, 'p> Match<'t, 'p> {
    /// All parameters of a template with their values.
    pub fn parameters(&self) -> impl Iterator<Item = (&'t str, &'p str)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().copied())
    }

    /// The value of a template's parameter, as it stands in the path.
    pub fn parameter(&self, name: &str) -> Option<&'p str> {
        let at = self.names.iter().position(|other| other == name)?;
        self.values.get(at).copied()
    }
}

impl RouteTable {
    /// True if some integration answers on `host` (in lower case, without port).
    pub fn has_host(&self, host: &str) -> bool {
        self.host(host).is_some()
    }

    /// Finds the integration for a request to `host` (lower case, no port) with a canonical `path`.
    pub fn find<'t, 'p>(&'t self, host: &str, path: &'p str, method: &Method) -> Found<'t, 'p> {
        let Some(routes) = self.host(host) else {
            return Found::Nothing;
        };
        let Some((candidates, values)) = routes.tree.find(path) else {
            return Found::Nothing;
        };
        match candidates.iter().find(|candidate| candidate.methods.contains(method)) {
            Some(candidate) => Found::Route(Match {
                integration: &candidate.integration,
                matched: candidate.pattern().prefix_length().unwrap_or(path.len()),
                names: &candidate.pattern().parameters,
                values,
            }),
            None => Found::MethodNotAllowed(
                candidates
                    .iter()
                    .fold(MethodSet::default(), |set, candidate| set.union(candidate.methods)),
            ),
        }
    }

    /// Finds the integration behind the runtime address of `org_id`.
    pub fn find_type(&self, org_id: u64, kind: &str) -> Option<&Arc<Integration>> {
        self.types.get(&org_id)?.get(kind)
    }

    fn host(&self, host: &str) -> Option<&Arc<HostRoutes>> {
        if let Some(routes) = self.hosts.get(host) {
            return Some(routes);
        }
        if self.wildcards.is_empty() {
            return None;
        }
        memchr::memchr_iter(b'.', host.as_bytes())
            .filter(|at| *at > 0)
            .find_map(|at| self.wildcards.get(&host[at..]))
    }

    /// The table after `edits`, sharing with `previous` what they do not touch. Inactive integrations have no routes.
    pub(crate) fn changed(previous: Option<&Self>, edits: &[Edit], problems: &mut Vec<Problem>) -> Self {
        let mut table = Self::default();
        if let Some(previous) = previous {
            table.hosts = previous.hosts.clone();
            table.wildcards = previous.wildcards.clone();
            table.types = previous.types.clone();
        }
        let gone: Vec<_> = edits.iter().filter_map(|edit| active(&edit.before)).collect();
        let mut come: Vec<_> = edits.iter().filter_map(|edit| active(&edit.after)).collect();
        // Of two that want the same, the one with the lower identifier has it, whichever was there first.
        come.sort_by(|one, two| one.id.cmp(&two.id));
        table.change_types(&gone, &come, problems);
        table.change_hosts(&gone, &come, problems);
        table
    }

    fn change_types(&mut self, gone: &[&Arc<Integration>], come: &[&Arc<Integration>], problems: &mut Vec<Problem>) {
        for integration in gone {
            if let Some(types) = self.types.get_mut(&integration.source.org_id) {
                Arc::make_mut(types).remove(integration.source.kind.as_str());
            }
        }
        for integration in come {
            let types = self.types.entry(integration.source.org_id).or_default();
            let kind = integration.source.kind.as_str().into();
            if let Some(other) = Arc::make_mut(types).insert(kind, Arc::clone(integration)) {
                let what = "is taken in this organization by";
                problems.push(conflict(integration, "type", &other, what));
            }
        }
    }

    fn change_hosts(&mut self, gone: &[&Arc<Integration>], come: &[&Arc<Integration>], problems: &mut Vec<Problem>) {
        let left: AHashSet<usize> = gone.iter().map(|integration| integration.slot).collect();
        let mut touched: BTreeMap<&str, Vec<&Arc<Integration>>> = BTreeMap::new();
        for host in gone.iter().flat_map(|integration| &integration.hosts) {
            touched.entry(host).or_default();
        }
        for integration in come {
            for host in &integration.hosts {
                touched.entry(host).or_default().push(integration);
            }
        }
        for (host, new) in touched {
            let (hosts, key) = match host.strip_prefix('*') {
                Some(suffix) => (&mut self.wildcards, suffix),
                None => (&mut self.hosts, host),
            };
            let before = hosts.get(key).map_or(&[][..], |routes| &routes.members);
            let stayed = before.iter().filter(|member| !left.contains(&member.slot));
            let mut members: Vec<_> = stayed.chain(new).cloned().collect();
            members.sort_by(|one, two| one.id.cmp(&two.id));
            if members.is_empty() {
                hosts.remove(key);
            } else {
                hosts.insert(key.into(), Arc::new(HostRoutes::build(host, members, problems)));
            }
        }
    }
}

fn active(integration: &Option<Arc<Integration>>) -> Option<&Arc<Integration>> {
    integration.as_ref().filter(|integration| integration.source.is_active)
}

/// The routes of one host.
#[derive(Debug)]
struct HostRoutes {
    members: Vec<Arc<Integration>>,
    tree: Tree<Candidate>,
}

/// An integration's rule at its place in the tree.
#[derive(Debug)]
struct Candidate {
    methods: MethodSet,
    integration: Arc<Integration>,
    /// Index of the rule among the integration's paths.
    rule: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    Exact,
    Template,
    Prefix,
}

impl HostRoutes {
    fn build(host: &str, members: Vec<Arc<Integration>>, problems: &mut Vec<Problem>) -> Self {
        let mut tree = Tree::default();
        for integration in &members {
            if integration.source.org_id != members[0].source.org_id {
                let what = format!("{host} belongs to another organization, with");
                problems.push(conflict(integration, "hosts", &members[0], &what));
                continue;
            }
            for (rule, pattern) in integration.paths.iter().enumerate() {
                let place: &mut Vec<Candidate> = tree.place(pattern);
                let taken = place.iter().find(|other| other.methods.overlaps(integration.methods));
                match taken {
                    Some(other) => {
                        let what = format!("{host}{} is taken by", pattern.text);
                        problems.push(conflict(
                            integration,
                            &format!("paths[{rule}]"),
                            &other.integration,
                            &what,
                        ));
                    }
                    None => place.push(Candidate {
                        methods: integration.methods,
                        integration: Arc::clone(integration),
                        rule,
                    }),
                }
            }
        }
        Self { members, tree }
    }
}

impl Candidate {
    fn pattern(&self) -> &PathPattern {
        &self.integration.paths[self.rule]
    }
}

fn conflict(integration: &Integration, field: &str, other: &Integration, what: &str) -> Problem {
    Problem::new(
        format!("integrations[{:?}].{field}", &*integration.id),
        format!("{what} integration {:?} ({})", &*other.id, other.source.name),
    )
}

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodSet(u8);

impl MethodSet {
    /// Every method, those without a name in the model included.
    pub const ALL: Self = Self(u8::MAX);

    /// The set of `methods`; `GET` brings `HEAD` with it (RFC 9110 section 9.3.2). None means all.
    pub fn of(methods: &[HttpMethod]) -> Self {
        if methods.is_empty() {
            return Self::ALL;
        }
        let set = methods.iter().fold(0, |set, method| set | bit(*method));
        let head = if methods.contains(&HttpMethod::Get) {
            bit(HttpMethod::Head)
        } else {
            0
        };
        Self(set | head)
    }

    /// The set of these methods and no other. None means all.
    pub(crate) fn exactly(methods: &[HttpMethod]) -> Self {
        if methods.is_empty() {
            return Self::ALL;
        }
        Self(methods.iter().fold(0, |set, method| set | bit(*method)))
    }

    /// True if `method` is in the set.
    pub fn contains(self, method: &Method) -> bool {
        self == Self::ALL
            || KNOWN
                .iter()
                .any(|(known, name)| name == method && self.0 & bit(*known) != 0)
    }

    /// Value of an `Allow` header.
    pub fn allow(self) -> String {
        let names: Vec<_> = KNOWN
            .iter()
            .filter(|(known, _)| self.0 & bit(*known) != 0)
            .map(|(_, name)| name.as_str())
            .collect();
        names.join(", ")
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The method's name as HTTP knows it.
pub fn http_method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Patch => Method::PATCH,
    }
}

const KNOWN: [(HttpMethod, Method); 7] = [
    (HttpMethod::Get, Method::GET),
    (HttpMethod::Head, Method::HEAD),
    (HttpMethod::Post, Method::POST),
    (HttpMethod::Put, Method::PUT),
    (HttpMethod::Delete, Method::DELETE),
    (HttpMethod::Options, Method::OPTIONS),
    (HttpMethod::Patch, Method::PATCH),
];

const fn bit(method: HttpMethod) -> u8 {
    1 << method as u8
}
