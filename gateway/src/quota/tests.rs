use super::*;
use crate::data_dir::DataDir;

const DAY_MS: i64 = 86_400_000;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn labs() -> QuotaKey {
    QuotaKey::integration(&"labs".into())
}

#[test]
fn a_quota_begins_anew_at_midnight_of_its_zone() {
    let quotas = Quotas::default();
    let day = quotas.day(labs(), &TimeZone::get("Asia/Kolkata").unwrap());
    let evening = ms("2026-01-15T18:29:30Z");
    assert_eq!((day.take(evening, 2), day.take(evening, 2)), (Ok(()), Ok(())));
    assert_eq!(day.take(evening, 2), Err(30), "midnight in Kolkata is 18:30 in UTC");
    assert_eq!(day.take(evening + 30_000, 2), Ok(()));
    assert_eq!(day.used(evening + 30_000), (1, 86_400));
}

#[test]
fn a_day_of_23_hours_ends_when_it_ends() {
    let quotas = Quotas::default();
    let day = quotas.day(labs(), &TimeZone::get("Europe/Berlin").unwrap());
    // Clocks go forward on 29 March 2026.
    assert_eq!(day.used(ms("2026-03-28T23:00:00Z")), (0, 23 * 3_600));
}

#[test]
fn what_is_taken_back_was_not_used() {
    let quotas = Quotas::default();
    let day = quotas.day(labs(), &TimeZone::UTC);
    assert_eq!(day.take(0, 1), Ok(()));
    day.take_back();
    assert_eq!(day.take(0, 1), Ok(()));
    assert!(day.take(0, 1).is_err());
}

#[tokio::test]
async fn what_was_used_survives_a_restart_and_the_next_day_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path(), None).unwrap();
    let now = crate::clock::now_ms();
    let key = QuotaKey::caller(&"labs".into(), "clinic");
    let before = Quotas::default();
    let day = before.day(key.clone(), &TimeZone::UTC);
    for _ in 0..3 {
        day.take(now, 10).unwrap();
    }
    before.write(&data_dir).unwrap();

    let after = Quotas::default();
    after.load(&data_dir);
    assert_eq!(after.day(key.clone(), &TimeZone::UTC).used(now).0, 3);
    assert_eq!(after.day(key, &TimeZone::UTC).used(now + DAY_MS).0, 0);
}

#[tokio::test]
async fn what_both_processes_of_an_upgrade_count_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path(), None).unwrap();
    let now = crate::clock::now_ms();
    let take = |quotas: &Quotas, times: usize| {
        let day = quotas.day(labs(), &TimeZone::UTC);
        (0..times).for_each(|_| day.take(now, 100).unwrap());
        day.used(now).0
    };
    let old = Quotas::default();
    assert_eq!(take(&old, 5), 5);
    old.write(&data_dir).unwrap();
    let new = Quotas::default();
    new.load(&data_dir);
    assert_eq!(take(&new, 2), 7);
    assert_eq!(take(&old, 4), 9);
    old.write(&data_dir).unwrap();
    new.load(&data_dir);
    assert_eq!(take(&new, 0), 11);
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path(), None).unwrap();
    std::fs::write(folder.path().join("quotas.json"), "{half").unwrap();
    let quotas = Quotas::default();
    quotas.load(&data_dir);
    assert_eq!(quotas.day(labs(), &TimeZone::UTC).used(0).0, 0);
    assert!(folder.path().join("quotas.json.bad").exists());
}
