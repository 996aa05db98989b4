use super::*;

const KEEP: Duration = Duration::from_secs(3_600);

fn scope(org_id: u64) -> Scope<'static> {
    Scope {
        org_id,
        integration: "labs",
        caller: ["", "", "", "clinic", ""],
    }
}

fn some_answer(bytes: usize) -> Option<Kept> {
    Some(Kept {
        status: StatusCode::CREATED,
        headers: HeaderMap::new(),
        body: vec![7; bytes].into(),
    })
}

fn later(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

async fn enter(answers: &Answers, org_id: u64, key: &str, print: u8) -> Entered {
    answers.enter(scope(org_id), key, [print; 32], KEEP, later(60)).await
}

async fn first(answers: &Answers, org_id: u64, key: &str) -> Turn {
    match enter(answers, org_id, key, 1).await {
        Entered::First(turn) => turn,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_answer_until_it_is_too_old() {
    let answers = Answers::new(1 << 20);
    first(&answers, 1, "a").await.keep(some_answer(3));
    assert!(matches!(enter(&answers, 1, "a", 1).await, Entered::Repeat(kept) if kept.body.len() == 3));
    assert!(matches!(enter(&answers, 1, "a", 2).await, Entered::Other));
    // Keys of others are others.
    assert!(matches!(enter(&answers, 2, "a", 2).await, Entered::First(_)));
    tokio::time::advance(KEEP).await;
    assert!(matches!(enter(&answers, 1, "a", 2).await, Entered::First(_)));
}

#[tokio::test(start_paused = true)]
async fn of_many_at_a_time_one_goes_and_the_others_get_its_answer() {
    let answers = Arc::new(Answers::new(1 << 20));
    let turn = first(&answers, 1, "a").await;
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move { matches!(enter(&answers, 1, "a", 1).await, Entered::Repeat(_)) })
        })
        .collect();
    tokio::task::yield_now().await;
    turn.keep(some_answer(1));
    for waited in waiting {
        assert!(waited.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn if_the_first_fails_one_of_those_who_wait_goes_next() {
    let answers = Arc::new(Answers::new(1 << 20));
    let turn = first(&answers, 1, "a").await;
    let next = {
        let answers = Arc::clone(&answers);
        tokio::spawn(async move { enter(&answers, 1, "a", 1).await })
    };
    tokio::task::yield_now().await;
    drop(turn);
    assert!(matches!(next.await.unwrap(), Entered::First(_)));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_its_time() {
    let answers = Answers::new(1 << 20);
    let _turn = first(&answers, 1, "a").await;
    let began = Instant::now();
    assert!(matches!(enter(&answers, 1, "a", 1).await, Entered::UnderWay));
    assert_eq!(began.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_known_to_be_there() {
    let answers = Answers::new(1 << 20);
    first(&answers, 1, "a").await.keep(some_answer(1 << 19));
    assert!(matches!(enter(&answers, 1, "a", 1).await, Entered::NotKept));
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_whoever_takes_most_loses_first() {
    let answers = Answers::new(100_000);
    first(&answers, 1, "modest").await.keep(some_answer(10_000));
    for n in 0..100 {
        first(&answers, 2, &format!("greedy-{n}"))
            .await
            .keep(some_answer(10_000));
        assert!(answers.table.lock().bytes() <= 100_000);
    }
    assert!(matches!(enter(&answers, 1, "modest", 1).await, Entered::Repeat(_)));
    assert!(matches!(enter(&answers, 2, "greedy-0", 1).await, Entered::First(_)));
    assert!(matches!(enter(&answers, 2, "greedy-99", 1).await, Entered::Repeat(_)));
}

#[test]
fn requests_are_told_apart_by_each_of_their_parts() {
    let prints = [
        fingerprint(&http::Method::POST, "/a", b"b"),
        fingerprint(&http::Method::PATCH, "/a", b"b"),
        fingerprint(&http::Method::POST, "/ab", b""),
        fingerprint(&http::Method::POST, "/a", b"c"),
    ];
    let all: std::collections::BTreeSet<_> = prints.iter().collect();
    assert_eq!(all.len(), prints.len());
}
