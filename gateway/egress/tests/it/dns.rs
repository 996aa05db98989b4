//! Names, with a DNS server whose answers the test decides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use egress::{EgressError, PoolSettings, ResolveError, Resolver, Upstream};
use filters::address::{AddressClass, EgressPolicy};
use filters::target::TargetUrl;
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use http::Response;
use http_body_util::Full;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use crate::partner::{PATIENT, Partner, eventually, get, open, pool_with, text};

/// What the server says to every question for an IPv4 address.
#[derive(Clone)]
enum Says {
    Addresses(Vec<Ipv4Addr>, u32),
    NoSuchName,
    Broken,
    Nothing,
}

struct Dns {
    address: SocketAddr,
    says: watch::Sender<Says>,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    async fn start(says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let (says, said) = watch::channel(says);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).expect("a DNS message");
                if question.queries[0].query_type() == RecordType::A {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                let says = said.borrow().clone();
                if let Some(answer) = answer(&question, &says) {
                    let _ = socket.send_to(&answer.to_vec().expect("a DNS message"), from).await;
                }
            }
        });
        Self { address, says, asked }
    }

    fn resolver(&self) -> Arc<Resolver> {
        Arc::new(Resolver::with_name_servers(&[self.address]).expect("a resolver"))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(question: &Message, says: &Says) -> Option<Message> {
    let query = question.queries[0].clone();
    let mut answer = Message::new(question.id, MessageType::Response, question.op_code);
    match says {
        Says::Nothing => return None,
        Says::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
        // The other family's question is answered: there is no such address.
        Says::Broken if query.query_type() != RecordType::A => {}
        Says::Broken => answer.metadata.response_code = ResponseCode::ServFail,
        Says::Addresses(addresses, ttl) if query.query_type() == RecordType::A => {
            for address in addresses {
                answer.answers.push(Record::from_rdata(
                    query.name().clone(),
                    *ttl,
                    RData::A((*address).into()),
                ));
            }
        }
        Says::Addresses(..) => {}
    }
    answer.queries.push(query);
    Some(answer)
}

const HOST: &str = "api.partner.example";
const LIMIT: Duration = Duration::from_secs(20);

fn one(address: [u8; 4], ttl: u32) -> Says {
    Says::Addresses(vec![address.into()], ttl)
}

async fn resolve(resolver: &Resolver, policy: &EgressPolicy) -> Result<Vec<IpAddr>, ResolveError> {
    let resolved = resolver.resolve(HOST, 443, policy, LIMIT).await?;
    assert!(resolved.addresses().iter().all(|address| address.port() == 443));
    Ok(resolved.addresses().iter().map(SocketAddr::ip).collect())
}

/// Lets `seconds` pass for everything that looks at the clock, without waiting.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_answer_is_kept_for_its_ttl() {
    let dns = Dns::start(one([8, 8, 8, 8], 60)).await;
    let resolver = dns.resolver();
    let policy = EgressPolicy::default();
    assert_eq!(resolve(&resolver, &policy).await.unwrap(), [Ipv4Addr::new(8, 8, 8, 8)]);
    dns.says.send_replace(one([9, 9, 9, 9], 60));
    pass(58).await;
    assert_eq!(resolve(&resolver, &policy).await.unwrap(), [Ipv4Addr::new(8, 8, 8, 8)]);
    assert_eq!(dns.asked(), 1);
    pass(3).await;
    assert_eq!(resolve(&resolver, &policy).await.unwrap(), [Ipv4Addr::new(9, 9, 9, 9)]);
    assert_eq!(dns.asked(), 2);
}

#[tokio::test]
async fn many_callers_share_one_lookup() {
    let dns = Dns::start(one([8, 8, 8, 8], 60)).await;
    let resolver = dns.resolver();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { resolve(&resolver, &EgressPolicy::default()).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(dns.asked(), 1);
}

#[tokio::test]
async fn a_caller_that_gives_up_takes_the_lookup_from_nobody() {
    let dns = Dns::start(Says::Nothing).await;
    let resolver = dns.resolver();
    let policy = EgressPolicy::default();
    let short = Duration::from_millis(50);
    let error = resolver.resolve(HOST, 443, &policy, short).await.unwrap_err();
    assert!(
        matches!(error, ResolveError::Timeout { after, .. } if after == short),
        "{error:?}"
    );
    // The question is repeated by the lookup that is still under way.
    dns.says.send_replace(one([8, 8, 8, 8], 60));
    assert_eq!(resolve(&resolver, &policy).await.unwrap(), [Ipv4Addr::new(8, 8, 8, 8)]);
}

#[tokio::test]
async fn refused_addresses_are_left_out() {
    let addresses = vec![[10, 0, 0, 1].into(), [8, 8, 8, 8].into(), [169, 254, 169, 254].into()];
    let dns = Dns::start(Says::Addresses(addresses, 60)).await;
    let resolver = dns.resolver();
    assert_eq!(
        resolve(&resolver, &EgressPolicy::default()).await.unwrap(),
        [Ipv4Addr::new(8, 8, 8, 8)]
    );
    assert_eq!(resolve(&resolver, &open()).await.unwrap().len(), 3);
    assert_eq!(dns.asked(), 1, "policies share what DNS said");
}

#[tokio::test]
async fn a_name_with_only_refused_addresses_says_why() {
    let dns = Dns::start(one([169, 254, 169, 254], 60)).await;
    let error = resolve(&dns.resolver(), &EgressPolicy::default()).await.unwrap_err();
    let ResolveError::Refused { host, refused } = error else {
        panic!("{error:?}");
    };
    assert_eq!((host.as_str(), refused.class), (HOST, AddressClass::Metadata));
}

#[tokio::test]
async fn a_name_that_turns_inwards_later_is_refused_then() {
    let dns = Dns::start(one([127, 0, 0, 1], 1)).await;
    let partner = Partner::start(|_| Response::new(Full::from("in"))).await;
    let url = format!("http://{HOST}:{}/", partner.address.port());
    let policy = EgressPolicy {
        block_private_networks: true,
        allowed_networks: vec!["127.0.0.1/32".parse().unwrap()],
    };
    let settings = PoolSettings {
        max_idle: 0,
        ..PoolSettings::default()
    };
    let pool = pool_with(&url, policy, dns.resolver(), settings);
    assert_eq!(text(&pool, "/").await, "in");
    dns.says.send_replace(one([127, 0, 0, 2], 1));
    pass(2).await;
    let error = pool.send(get("/"), PATIENT).await.unwrap_err();
    assert!(matches!(error, EgressError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_found() {
    let dns = Dns::start(Says::NoSuchName).await;
    let resolver = dns.resolver();
    let policy = EgressPolicy::default();
    for _ in 0..3 {
        let error = resolve(&resolver, &policy).await.unwrap_err();
        assert_eq!(error, ResolveError::NotFound { host: HOST.to_owned() });
    }
    assert_eq!(
        dns.asked(),
        1,
        "a name that does not exist is not asked for with every request"
    );
    dns.says.send_replace(one([8, 8, 8, 8], 60));
    pass(2).await;
    assert!(resolve(&resolver, &policy).await.is_ok());
}

#[tokio::test]
async fn a_failing_dns_does_not_take_a_known_name_away() {
    let dns = Dns::start(one([8, 8, 8, 8], 30)).await;
    let resolver = dns.resolver();
    let policy = EgressPolicy::default();
    resolve(&resolver, &policy).await.unwrap();
    dns.says.send_replace(Says::Broken);
    pass(40).await;
    assert_eq!(resolve(&resolver, &policy).await.unwrap(), [Ipv4Addr::new(8, 8, 8, 8)]);
    pass(60).await;
    let error = resolve(&resolver, &policy).await.unwrap_err();
    assert!(matches!(error, ResolveError::Failed { .. }), "{error:?}");
    dns.says.send_replace(one([9, 9, 9, 9], 30));
    pass(2).await;
    assert_eq!(resolve(&resolver, &policy).await.unwrap(), [Ipv4Addr::new(9, 9, 9, 9)]);
}

#[tokio::test]
async fn a_silent_dns_does_not_take_a_known_name_away() {
    let dns = Dns::start(one([8, 8, 8, 8], 30)).await;
    let resolver = dns.resolver();
    resolve(&resolver, &EgressPolicy::default()).await.unwrap();
    dns.says.send_replace(Says::Nothing);
    pass(40).await;
    let resolved = resolve(&resolver, &EgressPolicy::default()).await;
    assert_eq!(resolved.unwrap(), [Ipv4Addr::new(8, 8, 8, 8)]);
}

#[tokio::test]
async fn an_upstream_takes_turns_and_renews_ahead() {
    let dns = Dns::start(Says::Addresses(vec![[8, 8, 8, 8].into(), [9, 9, 9, 9].into()], 100)).await;
    let target = TargetUrl::parse(&format!("https://{HOST}/")).unwrap();
    let upstream = Upstream::new(target, EgressPolicy::default(), dns.resolver());
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(upstream.address().await.unwrap().to_string());
    }
    seen.sort();
    assert_eq!(seen, ["8.8.8.8:443", "8.8.8.8:443", "9.9.9.9:443", "9.9.9.9:443"]);
    assert_eq!(dns.asked(), 1);

    // In the last tenth the answer is still good, and is renewed behind the caller.
    dns.says.send_replace(one([1, 1, 1, 1], 100));
    pass(92).await;
    assert_ne!(upstream.address().await.unwrap().ip(), IpAddr::from([1, 1, 1, 1]));
    eventually("a second question", || dns.asked() == 2).await;
    pass(9).await;
    assert_eq!(upstream.address().await.unwrap().ip(), IpAddr::from([1, 1, 1, 1]));
    assert_eq!(dns.asked(), 2);
}

#[tokio::test]
async fn a_dead_address_leaves_the_connection_to_the_next() {
    let partner = Partner::start(|_| Response::new(Full::from("alive"))).await;
    // Nothing listens on the partner's port of 127.0.0.2.
    let dns = Dns::start(Says::Addresses(vec![[127, 0, 0, 2].into(), [127, 0, 0, 1].into()], 60)).await;
    let url = format!("http://{HOST}:{}/", partner.address.port());
    let settings = PoolSettings {
        max_idle: 0,
        ..PoolSettings::default()
    };
    let pool = pool_with(&url, open(), dns.resolver(), settings);
    for _ in 0..4 {
        assert_eq!(text(&pool, "/").await, "alive");
    }
    assert_eq!(partner.connections(), 4);
}
