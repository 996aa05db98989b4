//! Lookup tables row by row, and as files.

use super::*;

const CSV: &str = "text/csv";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

async fn upload(bench: &Bench, path: &str, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
    let request = bench.request(Method::POST, path).header("Content-Type", kind);
    Reply::of(request.body(body.into())).await
}

async fn table(bench: &Bench, entries: Value) -> String {
    let table = json!({"orgId": 648, "name": "codes", "entries": entries});
    bench
        .send(Method::PUT, "/api/v1/lookups/codes", &table)
        .await
        .is(201)
        .tag
        .unwrap()
}

#[tokio::test]
async fn rows_are_made_read_changed_and_removed() {
    let bench = Bench::start().await;
    let tag = table(&bench, json!({"F": "female", "M": "male"})).await;
    let row = "/api/v1/lookups/codes/entries/a%2Fb%20%C3%A9";
    let made = bench
        .send(Method::PUT, row, &json!({"value": {"name": "x"}}))
        .await
        .is(201);
    assert_eq!(made.headers["location"], row);
    assert_eq!(made.body, json!({"key": "a/b é", "value": {"name": "x"}}));
    let changed = bench.send(Method::PUT, row, &json!({"value": 2})).await.is(200);
    let read = bench.get(row).await.is(200);
    assert_eq!(
        (read.body, read.tag),
        (json!({"key": "a/b é", "value": 2}), changed.tag)
    );

    let stale = bench.request(Method::DELETE, row).header("If-Match", tag);
    Reply::of(stale).await.is(412);
    bench.send(Method::DELETE, row, &Value::Null).await.is(204);
    bench.send(Method::DELETE, row, &Value::Null).await.is(404);
    bench.get(row).await.is(404);
    let null = bench.send(Method::PUT, row, &json!({"value": null})).await.is(400);
    assert_eq!(null.problems(), ["value"]);
    bench
        .send(Method::PUT, "/api/v1/lookups/none/entries/a", &json!({"value": 1}))
        .await
        .is(404);
}

#[tokio::test]
async fn rows_are_listed_page_by_page() {
    let bench = Bench::start().await;
    table(
        &bench,
        json!({"A01": {"name": "Typhoid", "group": 1}, "A02": {"name": "Other"}, "B01": "typhus"}),
    )
    .await;
    let path = "/api/v1/lookups/codes/entries";
    let page = bench.get(&format!("{path}?limit=2")).await.is(200).body;
    assert_eq!((&page["total"], &page["hasMore"]), (&json!(3), &json!(true)));
    assert_eq!(
        page["entries"][0],
        json!({"key": "A01", "value": {"name": "Typhoid", "group": 1}})
    );
    let page = bench.get(&format!("{path}?limit=2&page=2")).await.is(200).body;
    assert_eq!(
        (&page["entries"][0]["key"], &page["hasMore"]),
        (&json!("B01"), &json!(false))
    );
    assert_eq!(bench.get(&format!("{path}?search=TYPH")).await.is(200).body["total"], 2);
    bench.get(&format!("{path}?limit=0&page=0")).await.is(400);
    bench
        .scoped(Method::GET, &format!("{path}?orgId=7"), None)
        .await
        .is(403);
}

#[tokio::test]
async fn a_file_becomes_a_table_and_a_table_a_file() {
    let bench = Bench::start().await;
    let path = "/api/v1/lookups/import?orgId=648&name=codes";
    let tried = upload(&bench, &format!("{path}&dryRun=true"), CSV, "k,v\nF,female\nM,male\n")
        .await
        .is(200);
    assert_eq!(
        (&tried.body["valid"], &tried.body["added"], &tried.body["id"]),
        (&json!(true), &json!(2), &json!(""))
    );
    assert_eq!(bench.get("/api/v1/lookups").await.body["total"], 0);
    let made = upload(&bench, path, CSV, "k,v\nF,female\nM,male\n").await.is(200).body;
    assert_eq!(
        made["sample"],
        json!([{"key": "F", "value": "female"}, {"key": "M", "value": "male"}])
    );
    let id = made["id"].as_str().unwrap();

    // Again, with one row changed, one new and one gone.
    let changed = upload(&bench, path, CSV, "k,v\nF,woman\nX,other\n").await.is(200).body;
    assert_eq!(changed["id"], id);
    let counts = |body: &Value| ["added", "changed", "removed", "unchanged"].map(|name| body[name].as_u64().unwrap());
    assert_eq!(counts(&changed), [1, 1, 1, 0]);
    let merged = upload(
        &bench,
        &format!("/api/v1/lookups/{id}/import?mode=merge&typed=true"),
        CSV,
        "k,v\nM,7\n",
    )
    .await
    .is(200)
    .body;
    assert_eq!(counts(&merged), [1, 0, 0, 2]);
    let entries = bench.get(&format!("/api/v1/lookups/{id}")).await.body["entries"].clone();
    assert_eq!(entries, json!({"F": "woman", "M": 7, "X": "other"}));

    for (format, kind) in [("csv", CSV), ("xlsx", XLSX)] {
        let file = bench.request(Method::GET, &format!("/api/v1/lookups/{id}/export?format={format}"));
        let file = file.send().await.unwrap();
        assert_eq!(file.status(), 200);
        assert!(file.headers()["content-type"].to_str().unwrap().starts_with(kind));
        assert_eq!(
            file.headers()["content-disposition"],
            format!("attachment; filename=\"codes.{format}\"")
        );
        let bytes = file.bytes().await.unwrap();
        let again = format!("/api/v1/lookups/{id}/import?typed=true&dryRun=true");
        let again = upload(&bench, &again, kind, bytes.to_vec()).await.is(200).body;
        assert_eq!(
            (&again["valid"], counts(&again)),
            (&json!(true), [0, 0, 0, 3]),
            "{again}"
        );
    }
}

#[tokio::test]
async fn a_file_with_problems_changes_nothing() {
    let bench = Bench::start().await;
    table(&bench, json!({"F": "female"})).await;
    let path = "/api/v1/lookups/codes/import";
    let refused = upload(&bench, path, CSV, "k,v\na,1\n,2\na,3\n").await.is(400);
    assert_eq!(refused.problems(), ["rows[3].k", "rows[4].k"]);
    let tried = upload(&bench, &format!("{path}?dryRun=true"), CSV, "k,v\na,1\n,2\na,3\n")
        .await
        .is(200);
    assert_eq!(
        (&tried.body["valid"], &tried.body["problemCount"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(
        bench.get("/api/v1/lookups/codes").await.body["entries"],
        json!({"F": "female"})
    );

    upload(&bench, path, "application/json", "{}").await.is(415);
    upload(&bench, path, XLSX, "k,v\n").await.is(400);
    upload(&bench, path, CSV, "").await.is(400);
    upload(&bench, &format!("{path}?name=x"), CSV, "k,v\n").await.is(400);
    upload(&bench, &format!("{path}?keyColumn=none"), CSV, "k,v\n")
        .await
        .is(400);
    upload(&bench, "/api/v1/lookups/none/import", CSV, "k,v\n")
        .await
        .is(404);
    let nameless = upload(&bench, "/api/v1/lookups/import", CSV, "k,v\n").await.is(400);
    assert_eq!(nameless.problems(), ["orgId", "name"]);
}

#[tokio::test]
async fn tables_of_others_are_not_there() {
    let bench = Bench::start().await;
    let foreign = json!({"orgId": 7, "name": "codes", "entries": {"a": 1}});
    bench
        .send(Method::PUT, "/api/v1/lookups/foreign", &foreign)
        .await
        .is(201);
    let value = json!({"value": 1});
    for (method, path, body) in [
        (Method::GET, "/api/v1/lookups/foreign/entries", None),
        (Method::GET, "/api/v1/lookups/foreign/entries/a", None),
        (Method::PUT, "/api/v1/lookups/foreign/entries/a", Some(&value)),
        (Method::DELETE, "/api/v1/lookups/foreign/entries/a", None),
        (Method::GET, "/api/v1/lookups/foreign/export", None),
    ] {
        bench.scoped(method, path, body).await.is(404);
    }
    let import = async |path: &str| {
        let request = bench
            .client
            .request(Method::POST, bench.url(path))
            .header("X-API-Key", ONE_KEY);
        Reply::of(request.header("Content-Type", CSV).body("k,v\na,2\n")).await
    };
    import("/api/v1/lookups/foreign/import").await.is(404);
    import("/api/v1/lookups/import?orgId=7&name=codes").await.is(403);
    import("/api/v1/lookups/import?orgId=648&name=codes").await.is(200);
    assert_eq!(
        bench.get("/api/v1/lookups/foreign").await.body["entries"],
        json!({"a": 1})
    );
}

#[tokio::test]
async fn a_hundred_thousand_rows_go_in_and_out() {
    let bench = Bench::start().await;
    let mut text = "code,name,group\n".to_owned();
    for number in 0..100_000 {
        text.push_str(&format!("C{number},Name of {number},{}\n", number % 7));
    }
    let path = "/api/v1/lookups/import?orgId=648&name=codes";
    let made = upload(&bench, path, CSV, text).await.is(200).body;
    assert_eq!((&made["rows"], &made["added"]), (&json!(100_000), &json!(100_000)));
    let id = made["id"].as_str().unwrap();
    let file = bench.request(Method::GET, &format!("/api/v1/lookups/{id}/export?format=xlsx"));
    let bytes = file.send().await.unwrap().bytes().await.unwrap();
    let again = upload(&bench, &format!("{path}&dryRun=true"), XLSX, bytes.to_vec())
        .await
        .is(200)
        .body;
    assert_eq!(again["unchanged"], 100_000);
}
