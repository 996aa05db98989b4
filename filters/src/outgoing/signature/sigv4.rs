//! AWS Signature Version 4.

use std::fmt::Write as _;

use http::{HeaderName, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use ring::{digest, hmac};

use super::{Pieces, SignatureFault, SignatureFields, Subject, at, field};
use crate::model::Problem;
use crate::model::outgoing::OutgoingSigv4;
use crate::model::secret::Secret;

pub(super) struct Sigv4 {
    access_key_id: Box<str>,
    /// `AWS4` and the key.
    key: Secret,
    session_token: Option<Secret>,
    region: Box<str>,
    service: Box<str>,
}

impl Sigv4 {
    pub(super) fn compile(config: &OutgoingSigv4, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let words = [
            ("accessKeyId", config.access_key_id.as_str()),
            ("region", &config.region),
            ("service", &config.service),
        ];
        for (name, word) in words {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if word.is_empty() || !word.bytes().all(is_word) {
                let message = format!("{word:?} must be letters, digits, hyphens or underscores");
                problems.push(Problem::new(at(name), message));
            }
        }
        if config.secret_access_key.expose().is_empty() {
            problems.push(Problem::new(at("secretAccessKey"), "must not be empty"));
        }
        let token = config.session_token.as_ref().map(Secret::expose);
        if token.is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            problems.push(Problem::new(at("sessionToken"), "must be visible ASCII without spaces"));
        }
        (problems.len() == before).then(|| Self {
            access_key_id: config.access_key_id.as_str().into(),
            key: Secret::new(format!("AWS4{}", config.secret_access_key.expose())),
            session_token: config.session_token.clone(),
            region: config.region.as_str().into(),
            service: config.service.as_str().into(),
        })
    }

    pub(super) fn sign<E>(
        &self,
        subject: &Subject<'_>,
        body: Pieces<'_, E>,
    ) -> Result<SignatureFields, SignatureFault<E>> {
        let time = Timestamp::from_second(subject.now_ms.div_euclid(1_000)).map_err(|_| SignatureFault::Time)?;
        let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &time[..8];
        let mut context = digest::Context::new(&digest::SHA256);
        body(&mut |piece| context.update(piece)).map_err(SignatureFault::Body)?;
        let body_hash = hex::encode(context.finish());
        let mut fields = vec![field(&AMZ_DATE, &time, false)?];
        if self.is_s3() {
            fields.push(field(&AMZ_CONTENT_SHA256, &body_hash, false)?);
        }
        if let Some(token) = &self.session_token {
            fields.push(field(&AMZ_SECURITY_TOKEN, token.expose(), true)?);
        }
        let (names, request) = self.canonical(subject, &fields, &body_hash);
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let request_hash = hex::encode(digest::digest(&digest::SHA256, request.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request_hash}");
        let key = [day, &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(self.key.expose().as_bytes().to_vec(), |key, word| mac(&key, word));
        let signature = hex::encode(mac(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key_id
        );
        fields.push(field(&header::AUTHORIZATION, &authorization, true)?);
        Ok(fields)
    }

    /// The names of the signed headers, and the request in the form that is signed.
    fn canonical(&self, subject: &Subject<'_>, own: &SignatureFields, body_hash: &str) -> (String, String) {
        let mut headers: Vec<(&str, String)> = vec![("host", subject.host.to_owned())];
        let kind = subject
            .headers
            .get(header::CONTENT_TYPE)
            .map(|value| (&header::CONTENT_TYPE, value));
        let own = own.iter().map(|(name, value)| (name, value));
        for (name, value) in own.chain(kind) {
            let text = String::from_utf8_lossy(value.as_bytes());
            headers.push((name.as_str(), text.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut text = format!(
            "{}\n{}\n{}\n",
            subject.method,
            self.path(subject.path),
            query(subject.query)
        );
        for (name, value) in &headers {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}:{value}");
        }
        let _ = write!(text, "\n{names}\n{body_hash}");
        (names, text)
    }

    /// Paths are encoded once more, but not those of S3.
    fn path(&self, path: &str) -> String {
        match path {
            "" => "/".to_owned(),
            path if self.is_s3() => path.to_owned(),
            path => utf8_percent_encode(path, PATH).to_string(),
        }
    }

    fn is_s3(&self) -> bool {
        &*self.service == "s3"
    }
}

fn query(query: Option<&str>) -> String {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let encoded = |text: &str| percent_encode(text.as_bytes(), WORD).to_string();
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (encoded(&name), encoded(&value))).collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

const WORD: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &WORD.remove(b'/');
static AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
static AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
static AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
