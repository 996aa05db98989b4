//! The page that shows the API's description.

use super::*;

#[tokio::test]
async fn the_page_and_all_that_it_loads_come_from_here() {
    let bench = Bench::start().await;
    let open = async |path: &str| Reply::of(bench.client.get(bench.url(path))).await.is(200);
    let page = open("/docs").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let mut loaded = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in page.text.split(attribute).skip(1) {
            let address = rest.split('"').next().unwrap();
            assert!(
                address.starts_with('/') && !address.starts_with("//"),
                "{address} is elsewhere"
            );
            let file = open(address).await;
            if address.starts_with("/docs/") {
                assert!(!file.text.contains("://"), "{address} names another place");
                loaded += 1;
            }
        }
    }
    assert_eq!(loaded, 2, "{}", page.text);
}

#[tokio::test]
async fn a_browser_runs_nothing_in_the_page_but_its_own_script() {
    let bench = Bench::start().await;
    for path in ["/docs", "/docs/page.js", "/docs/page.css"] {
        let reply = Reply::of(bench.client.get(bench.url(path))).await.is(200);
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    }
    let page = Reply::of(bench.client.get(bench.url("/docs"))).await;
    assert!(!page.text.contains("<style") && !page.text.contains("onclick"));
    assert_eq!(page.text.matches("<script").count(), 1);
}
