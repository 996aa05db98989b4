//! HTTP/2: several exchanges on one connection, and what becomes of them when it ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{Body, EgressError, IdleLimit, Part, Pool, PoolSettings, Timeouts, Upstream, client_config};
use filters::target::TargetUrl;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use crate::partner::{PATIENT, Partner, call, eventually, open, resolver, text};
use crate::trust::Authority;

const H2: &[&[u8]] = &[b"h2", b"http/1.1"];

/// A partner that speaks HTTP/2, and at most `streams` at a time.
async fn partner<F, A>(authority: &Authority, streams: u32, answer: F) -> Partner
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    authority
        .accept("localhost", H2, move |stream| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .max_concurrent_streams(streams)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await
}

/// Hands each connection's requests to `serve`, frame by frame.
async fn framed<F, S>(authority: &Authority, serve: F) -> Partner
where
    F: Fn(usize, h2::server::Connection<TlsStream<TcpStream>, Bytes>) -> S + Clone + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    authority
        .accept("localhost", H2, move |stream| {
            let (serve, count) = (serve.clone(), Arc::clone(&count));
            async move {
                if let Ok(connection) = h2::server::handshake(stream).await {
                    serve(count.fetch_add(1, Ordering::SeqCst), connection).await;
                }
            }
        })
        .await
}

fn pool(authority: &Authority, partner: &Partner) -> Pool {
    pool_with(authority, partner, PoolSettings::default())
}

fn pool_with(authority: &Authority, partner: &Partner, settings: PoolSettings) -> Pool {
    let target = TargetUrl::parse(&format!("https://localhost:{}/", partner.address.port())).expect("a target");
    let tls = client_config(Some(&authority.file())).expect("TLS settings");
    let settings = PoolSettings {
        http2: true,
        ..settings
    };
    Pool::new(Upstream::new(target, open(), resolver()), settings, tls)
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    Request::post("/").body(Full::from(body)).expect("a request")
}

fn ok(text: String) -> Response<Full<Bytes>> {
    Response::new(Full::from(text))
}

#[tokio::test]
async fn exchanges_at_the_same_time_share_a_connection() {
    let authority = Authority::new();
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let partner = partner(&authority, 50, move |request| {
        let gate = Arc::clone(&waiting);
        async move {
            let _ = gate.acquire().await;
            let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
            ok(format!("{:?} {host} {}", request.version(), request.uri().path()))
        }
    })
    .await;
    let pool = pool(&authority, &partner);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { text(&pool, "/v1").await })
        })
        .collect();
    gate.add_permits(1_000);
    let port = partner.address.port();
    for call in calls {
        assert_eq!(call.await.unwrap(), format!("HTTP/2.0 localhost:{port} /v1"));
    }
    assert_eq!(partner.connections(), 1);
    eventually("the end of all exchanges", || format!("{pool:?}").contains("idle: 1")).await;
}

#[tokio::test]
async fn a_partner_that_chooses_http_1_gets_it() {
    let authority = Authority::new();
    let partner = authority.partner("localhost").await;
    let pool = pool(&authority, &partner);
    for _ in 0..3 {
        assert_eq!(text(&pool, "/").await, "secret");
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn what_a_partner_allows_at_a_time_is_kept_to() {
    let authority = Authority::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen_now, seen_most) = (Arc::clone(&now), Arc::clone(&most));
    let partner = partner(&authority, 1, move |_| {
        let (now, most) = (Arc::clone(&seen_now), Arc::clone(&seen_most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            ok("ok".to_owned())
        }
    })
    .await;
    let pool = pool(&authority, &partner);
    // The partner's settings are known with its first answer.
    text(&pool, "/").await;
    let (first, second) = (call(&pool, "/").await, call(&pool, "/").await);
    first.unwrap().collect(10).await.unwrap();
    second.unwrap().collect(10).await.unwrap();
    assert!(partner.connections() <= 3, "{}", partner.connections());
    assert!(most.load(Ordering::SeqCst) <= partner.connections());
}

#[tokio::test]
async fn a_refused_request_goes_out_again_on_another_connection() {
    let authority = Authority::new();
    let partner = framed(&authority, |number, mut connection| async move {
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            if number == 0 {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
                continue;
            }
            assert_eq!(request.method(), "POST");
            let mut body = respond.send_response(Response::new(()), false).expect("a head");
            body.send_data(Bytes::from_static(b"taken"), true).expect("a body");
        }
    })
    .await;
    let pool = pool(&authority, &partner);
    let answer = pool.send(post("{}"), PATIENT).await.unwrap();
    assert_eq!(answer.collect(10).await.unwrap(), "taken");
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn what_a_goaway_leaves_out_goes_out_again() {
    let authority = Authority::new();
    let partner = framed(&authority, |number, mut connection| async move {
        if number == 0 {
            // Takes nothing: the last stream that it says it looks at is none.
            connection.abrupt_shutdown(h2::Reason::NO_ERROR);
        }
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut body = respond.send_response(Response::new(()), false).expect("a head");
            body.send_data(Bytes::from_static(b"taken"), true).expect("a body");
        }
    })
    .await;
    let pool = pool(&authority, &partner);
    let answer = pool.send(post("{}"), PATIENT).await.unwrap();
    assert_eq!(answer.collect(10).await.unwrap(), "taken");
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn what_a_partner_has_seen_does_not_go_out_twice() {
    let authority = Authority::new();
    let partner = framed(&authority, |_, mut connection| async move {
        let request = connection.accept().await;
        connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR);
        let _ = std::future::poll_fn(|context| connection.poll_closed(context)).await;
        drop(request);
    })
    .await;
    let pool = pool(&authority, &partner);
    let error = pool.send(post("{}"), PATIENT).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error:?}");
    assert!(error.may_have_been_sent());
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn after_a_goaway_new_requests_take_a_new_connection() {
    let authority = Authority::new();
    let partner = framed(&authority, |_, mut connection| async move {
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut body = respond.send_response(Response::new(()), false).expect("a head");
            body.send_data(Bytes::from_static(b"ok"), true).expect("a body");
            connection.graceful_shutdown();
        }
    })
    .await;
    let pool = pool(&authority, &partner);
    for connections in 1..4 {
        assert_eq!(text(&pool, "/").await, "ok");
        assert_eq!(partner.connections(), connections);
    }
}

#[tokio::test]
async fn an_exchange_that_is_given_up_leaves_the_others_alone() {
    let authority = Authority::new();
    let partner = partner(&authority, 50, |request| async move {
        if request.uri().path() == "/hang" {
            std::future::pending::<()>().await;
        }
        ok("ok".to_owned())
    })
    .await;
    let pool = pool(&authority, &partner);
    text(&pool, "/").await;
    let timeouts = Timeouts {
        first_byte: Duration::from_millis(50),
        ..PATIENT
    };
    let hanging = Request::get("/hang").body(Full::default()).unwrap();
    let error = pool.send(hanging, timeouts).await.unwrap_err();
    assert!(matches!(error, EgressError::FirstByteTimeout { .. }), "{error:?}");
    assert_eq!(text(&pool, "/").await, "ok");
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_body_from_a_file_arrives_whole() {
    let authority = Authority::new();
    let partner = partner(&authority, 50, |request| async move {
        let length = request.headers()["content-length"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        ok(format!("{length} {} {:?}", body.len(), body.iter().max()))
    })
    .await;
    let content = vec![7; 3_000_000];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let parts = [
        Part::Bytes(Bytes::from_static(b"\x01")),
        Part::File {
            file: Arc::new(file.reopen().unwrap()),
            length: 3_000_000,
        },
    ];
    let request = Request::post("/").body(Body::of_parts(parts)).unwrap();
    let answer = pool(&authority, &partner).send(request, PATIENT).await.unwrap();
    assert_eq!(answer.collect(100).await.unwrap(), "3000001 3000001 Some(7)");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let authority = Authority::new();
    let (closed, mut was_closed) = tokio::sync::mpsc::channel(1);
    let partner = framed(&authority, move |_, mut connection| {
        let closed = closed.clone();
        async move {
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut body = respond.send_response(Response::new(()), false).expect("a head");
                body.send_data(Bytes::from_static(b"ok"), true).expect("a body");
            }
            let _ = closed.send(()).await;
        }
    })
    .await;
    let settings = PoolSettings {
        idle_timeout: Duration::from_millis(50),
        ..PoolSettings::default()
    };
    let pool = pool_with(&authority, &partner, settings);
    assert_eq!(text(&pool, "/").await, "ok");
    tokio::time::timeout(Duration::from_secs(20), was_closed.recv())
        .await
        .expect("the connection stayed open");
}

#[tokio::test]
async fn shared_connections_count_towards_the_common_limit() {
    let authority = Authority::new();
    let limit = IdleLimit::new(2);
    let tls = client_config(Some(&authority.file())).expect("TLS settings");
    let mut pools = Vec::new();
    for _ in 0..5 {
        let partner = partner(&authority, 50, |_| async { ok("ok".to_owned()) }).await;
        let target = TargetUrl::parse(&format!("https://localhost:{}/", partner.address.port())).expect("a target");
        let settings = PoolSettings {
            http2: true,
            ..PoolSettings::default()
        };
        let upstream = Upstream::new(target, open(), resolver());
        let pool = Pool::within(&limit, upstream, settings, Arc::clone(&tls));
        assert_eq!(text(&pool, "/").await, "ok");
        pools.push(pool);
        assert!(limit.open() <= 2, "{limit:?}");
    }
    let idle = |pool: &Pool| format!("{pool:?}").contains("idle: 1");
    assert!(!idle(&pools[0]) && idle(&pools[4]), "{pools:?}");
}
