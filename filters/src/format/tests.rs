use proptest::prelude::*;
use serde_json::json;

use super::*;

fn xml(text: &str) -> Result<Value, String> {
    xml::read(text.as_bytes(), false).map_err(|fault| fault.to_string())
}

fn written(value: &Value, root: Option<&str>) -> Result<String, String> {
    let bytes = xml::write(value, root).map_err(|fault| fault.to_string())?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn elements_attributes_and_texts_become_fields() {
    let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- x -->
        <s:Order xmlns:s=\"urn:x\" xmlns:xsi=\"urn:i\" id=\"7\">
          <name> Asha &amp; &#82;ao </name><line n=\"1\">a</line><line n=\"2\">b<b/></line><line/>
          <data><![CDATA[<raw>]]></data><gone xsi:nil=\"true\"/><empty>  </empty>
        </s:Order>";
    assert_eq!(
        xml(text).unwrap(),
        json!({"Order": {
            "@id": "7", "name": " Asha & Rao ",
            "line": [{"@n": "1", "#text": "a"}, {"@n": "2", "b": "", "#text": "b"}, ""],
            "data": "<raw>", "gone": null, "empty": ""
        }})
    );
    let kept = xml::read(b"<s:a xmlns:s=\"urn:x\" s:b=\"1\"/>", true).unwrap();
    assert_eq!(kept, json!({"s:a": {"@xmlns:s": "urn:x", "@s:b": "1"}}));
}

#[test]
fn documents_that_are_broken_or_dangerous_are_refused() {
    for (text, expected) in [
        ("", "it has no element"),
        ("plain", "text outside of the outermost element"),
        ("<a>", "ends before its elements are closed"),
        ("<a></b>", "at byte"),
        ("<a/><b/>", "more than one outermost element"),
        ("<a b=\"1\" b=\"2\"/>", "the attribute `b` is there twice"),
        (
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "a document type is not allowed",
        ),
        ("<a>&x;</a>", "the entity `&x;` is not known"),
        (
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>",
            "its encoding is not UTF-8",
        ),
    ] {
        let fault = xml(text).unwrap_err();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
    assert!(
        xml::read(b"<a>\xff</a>", false)
            .unwrap_err()
            .to_string()
            .contains("not UTF-8")
    );
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(xml(&nested(127)).is_ok());
    assert!(xml(&nested(128)).unwrap_err().contains("more than 127 levels"));
}

#[test]
fn fields_become_elements_attributes_and_texts() {
    let value = json!({"Order": {"@id": 7, "@none": null, "name": "A & <B>", "line": [{"#text": "a", "@n": 1}, null, true], "empty": [], "gone": null}});
    assert_eq!(
        written(&value, None).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Order id=\"7\"><name>A &amp; &lt;B&gt;</name>\
         <line n=\"1\">a</line><line/><line>true</line><gone/></Order>"
    );
    assert!(
        written(&json!({"a": 1}), Some("r"))
            .unwrap()
            .ends_with("<r><a>1</a></r>")
    );
}

#[test]
fn what_xml_cannot_say_is_named() {
    for (value, root, expected) in [
        (json!({"a": 1, "b": 2}), None, "has no outermost element"),
        (json!([1]), None, "has no outermost element"),
        (json!({"a": [1]}), None, "the outermost element would be a list"),
        (json!({"a b": 1}), None, "\"a b\" cannot be the name of an element"),
        (json!({"@x": {}}), Some("r"), "`@x` must be a text"),
        (
            json!({"@ x": 1}),
            Some("r"),
            "\" x\" cannot be the name of an attribute",
        ),
        (json!({"a": [[1]]}), Some("r"), "`a` is a list of lists"),
        (json!({"a": "\u{1}"}), Some("r"), "`a` has a control character"),
    ] {
        let fault = written(&value, root).unwrap_err();
        assert!(fault.contains(expected), "{value}: {fault}");
    }
}

#[test]
fn forms_are_read_and_written() {
    let value = form::read(b"name=Asha+Rao&tag=a&tag=b%26&empty=&tag=c").unwrap();
    assert_eq!(value, json!({"name": "Asha Rao", "tag": ["a", "b&", "c"], "empty": ""}));
    let text = form::write(&json!({"n": 5, "yes": true, "tag": ["a b", 1], "gone": null, "t": "ä&"})).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "n=5&yes=true&tag=a+b&tag=1&t=%C3%A4%26"
    );
    for (value, expected) in [
        (json!([1]), "a form needs an object"),
        (json!({"a": {"b": 1}}), "`a` has fields of its own"),
    ] {
        assert!(form::write(&value).unwrap_err().to_string().contains(expected));
    }
    assert!(form::read(b"\xff").is_err());
}

#[test]
fn the_content_type_says_what_a_body_is() {
    for (text, expected) in [
        ("application/json", Format::Json),
        ("Text/XML; charset=utf-8", Format::Xml),
        ("application/soap+xml", Format::Xml),
        ("application/x-www-form-urlencoded;charset=x", Format::Form),
        ("text/plain", Format::Json),
    ] {
        assert_eq!(Format::of(Some(&HeaderValue::from_static(text))), expected, "{text}");
    }
    assert_eq!(Format::of(None), Format::Json);
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    for (format, expected) in [
        (json!({"to": "json", "root": "a"}), "f.root: is for XML only"),
        (json!({"to": "xml", "root": "1a"}), "f.root: \"1a\" cannot be the name"),
        (
            json!({"from": "form", "keepPrefixes": true}),
            "f.keepPrefixes: is for XML only",
        ),
        (
            json!({"to": "xml", "contentType": "xml"}),
            "f.contentType: \"xml\" is no media type",
        ),
    ] {
        let format: BodyFormat = serde_json::from_value(format).unwrap();
        let mut problems = Vec::new();
        assert!(Conversion::compile(&format, "f", &mut problems).is_none());
        assert!(
            problems.len() == 1 && problems[0].to_string().starts_with(expected),
            "{problems:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), text in "[<>/a&;!= \"\\[\\]x-]{0,60}") {
        for body in [body.as_slice(), text.as_bytes()] {
            let _ = form::read(body);
            if let Ok(value) = xml::read(body, false) {
                let _ = xml::write(&value, None);
            }
        }
    }

    #[test]
    fn texts_and_names_come_back_as_they_were(name in "[a-z][a-z0-9._-]{0,8}", text in "[ -~äé€\n]{0,40}") {
        let value = json!({"r": {name: format!("x{text}x")}});
        let bytes = xml::write(&value, None).unwrap();
        prop_assert_eq!(xml::read(&bytes, true).unwrap(), value);
    }
}
