//! An ordinary HTTP client, for the calls that any client system could make.

use std::fs;
use std::path::Path;

use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde_json::Value;

use crate::wait::PATIENCE;

/// A client that follows no redirects, uses no proxy, and gives up after [`PATIENCE`].
pub fn client() -> Client {
    builder().build().unwrap()
}

/// The same, which trusts the authority in the file as well.
pub fn client_trusting(authority: &Path) -> Client {
    let certificate = reqwest::Certificate::from_pem(&fs::read(authority).unwrap()).unwrap();
    builder().add_root_certificate(certificate).build().unwrap()
}

fn builder() -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
}

/// An answer that has been read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: bytes::Bytes,
}

impl Reply {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// What reqwest says, body included.
    pub async fn try_of(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let response: Response = request.send().await?;
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }

    /// The same, for answers that must come.
    ///
    /// # Panics
    /// If none comes.
    pub async fn of(request: RequestBuilder) -> Self {
        match Self::try_of(request).await {
            Ok(reply) => reply,
            Err(error) => panic!("no answer: {error:?}"),
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The `code` of an error body, after a look at its whole shape.
    ///
    /// # Panics
    /// If the body does not have the shape of an error.
    pub fn code(&self) -> String {
        let body = self.json();
        assert_eq!(body["statusCode"], self.status, "in {body}");
        for field in ["error", "code", "timestamp", "requestId"] {
            assert!(body[field].is_string(), "no {field} in {body}");
        }
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}
