//! The API over a real socket, with an embedded store in a folder of its own.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ControlPlane;
use crate::config::{GatewayToken, Limits, OperatorKey, ProcessConfig};

mod access;
mod alerts;
mod analytics;
mod bulk;
mod commands;
mod copies;
mod cors;
mod crud;
mod deliveries;
mod docs_page;
mod drafts;
mod dry_run;
mod erasures;
mod errors;
mod execution_logs;
mod field_schemas;
mod fitting;
mod import;
mod jobs;
mod lookups;
mod outbound;
mod producer_keys;
mod rate_limits;
mod rollouts;
mod scope;
mod stream;
mod surroundings;
mod templates;
mod tenant;
mod trash;
mod versions;

const ALL_KEY: &str = "key-for-all-organizations";
const ONE_KEY: &str = "key-for-organization-648";
const TOKEN: &str = "token-of-the-gateways";

/// A running control plane and its client.
struct Bench {
    control_plane: ControlPlane,
    client: Client,
    folder: TempDir,
}

/// An answer, read.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    tag: Option<String>,
    headers: reqwest::header::HeaderMap,
    body: Value,
    text: String,
}

impl Bench {
    async fn start() -> Self {
        Self::start_in(TempDir::new().unwrap()).await
    }

    async fn start_in(folder: TempDir) -> Self {
        let control_plane = crate::start(config(&folder)).await.unwrap();
        Self {
            control_plane,
            client: Client::new(),
            folder,
        }
    }

    /// Stops it and starts it again on the same folder.
    async fn restart(self) -> Self {
        self.control_plane.stop().await;
        Self::start_in(self.folder).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.control_plane.address)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).header("X-API-Key", ALL_KEY)
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(method, path).json(body)).await
    }

    async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    async fn put(&self, id: &str, body: &Value) -> Reply {
        self.send(Method::PUT, &format!("/api/v1/inbound-integrations/{id}"), body)
            .await
    }

    /// The same with the key that is for organization 648 only.
    async fn scoped(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let request = self.client.request(method, self.url(path)).header("X-API-Key", ONE_KEY);
        Reply::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }
}

impl Reply {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self {
            status,
            tag: headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned()),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            headers,
            text,
        }
    }

    /// Asserts the status, and shows the body if it is another.
    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    #[track_caller]
    fn has_code(&self, code: &str) {
        assert_eq!(self.body["code"], code, "{}", self.text);
        assert_eq!(self.body["statusCode"], self.status.as_u16());
        assert_eq!(
            self.body["requestId"].as_str(),
            self.headers["x-request-id"].to_str().ok()
        );
        assert!(self.body["timestamp"].as_str().unwrap().ends_with('Z'), "{}", self.text);
    }

    /// The paths of the problems.
    fn problems(&self) -> Vec<&str> {
        let problems = self.body["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
        problems.iter().filter_map(|problem| problem["path"].as_str()).collect()
    }
}

fn config(folder: &TempDir) -> ProcessConfig {
    let key = |name: &str, value: &str, org_ids| OperatorKey {
        name: name.to_owned(),
        hash: None,
        value: Some(filters::model::Secret::new(value)),
        org_ids,
    };
    ProcessConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.path().to_owned(),
        operator_keys: vec![key("all", ALL_KEY, None), key("one", ONE_KEY, Some(vec![648]))],
        gateway_tokens: vec![GatewayToken {
            name: "gateways".to_owned(),
            hash: None,
            value: Some(filters::model::Secret::new(TOKEN)),
        }],
        // Tests ask more often than people do.
        limits: Limits {
            requests_per_minute_per_address: u32::MAX,
            requests_per_minute_per_organization: u32::MAX,
            ..Limits::default()
        },
        ..ProcessConfig::default()
    }
}

/// A small integration.
fn integration(kind: &str) -> Value {
    json!({"name": format!("The {kind}"), "type": kind, "orgId": 648, "targetUrl": "https://partner.example/api"})
}

/// A small outbound integration.
fn outbound(name: &str) -> Value {
    json!({"name": name, "orgId": 648, "eventType": "bill.generated", "targetUrl": "https://partner.example/hook"})
}
