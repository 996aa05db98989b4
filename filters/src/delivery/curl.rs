//! An attempt as a command that an operator can run.

use std::collections::BTreeMap;

use serde_json::Value;

/// The attempt as a `curl` command for a POSIX shell. `headers` and `body` are those of the record: redacted, so that the
/// command shows no secret, and each mask is to be replaced before it is run.
pub fn command(method: &str, url: &str, headers: &BTreeMap<String, String>, body: Option<&Value>) -> String {
    // Without --globoff curl would read brackets of the address as patterns.
    let mut command = format!("curl --globoff -X {} {}", quoted(method), quoted(url));
    for (name, value) in headers {
        // curl makes these itself, from the address and from the body.
        if matches!(
            name.as_str(),
            "host" | "content-length" | "transfer-encoding" | "connection"
        ) {
            continue;
        }
        // A header without a value is written with a semicolon; with a colon curl would leave it out.
        let header = if value.is_empty() {
            format!("{name};")
        } else {
            format!("{name}: {value}")
        };
        command.push_str(" -H ");
        command.push_str(&quoted(&header));
    }
    if let Some(body) = body {
        let text = match body {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        command.push_str(" --data-raw ");
        command.push_str(&quoted(&text));
    }
    command
}

/// `text` as one word of a POSIX shell: nothing has a meaning between single quotes but the closing one.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&byte);
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    // No argument can hold a NUL.
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_command_is_complete() {
        let headers = headers(&[
            ("content-length", "9"),
            ("content-type", "application/json"),
            ("x-empty", ""),
        ]);
        assert_eq!(
            command("POST", "https://a.example/x?y=[1]", &headers, Some(&json!({"a": "b"}))),
            "curl --globoff -X POST 'https://a.example/x?y=[1]' -H 'content-type: application/json' -H 'x-empty;' \
             --data-raw '{\"a\":\"b\"}'"
        );
        assert_eq!(
            command("DELETE", "https://a.example/", &BTreeMap::new(), None),
            "curl --globoff -X DELETE https://a.example/"
        );
    }

    #[test]
    fn nothing_escapes_its_quotes() {
        let body = Value::String("it's; $(rm -rf /) `id` \"x\" \\ \n!\0 --".to_owned());
        let shown = command("POST", "https://a.example/'$(id)'", &BTreeMap::new(), Some(&body));
        assert_eq!(
            shown,
            "curl --globoff -X POST 'https://a.example/'\\''$(id)'\\''' --data-raw \
             'it'\\''s; $(rm -rf /) `id` \"x\" \\ \n! --'"
        );
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("-o/etc/passwd"), "'-o/etc/passwd'");
    }
}
