//! `docs/transforms.md` cannot rot: each of its tables and scripts is run on each body below it.

use serde_json::Value;

use super::{MAX_LINES, Mapping};
use crate::model::mapping::FieldMapping;
use crate::script::{MAX_BODY, MAX_SOURCE, Runner, Script, ScriptContext};

const PAGE: &str = include_str!("../../../docs/transforms.md");

#[test]
fn every_example_does_what_the_page_says() {
    let mut example = Example::default();
    for block in blocks() {
        let at = format!("docs/transforms.md:{}", block.line);
        match block.kind {
            "json table" => example.transform = Some(Transform::Table(table(&block.text, &at))),
            "rhai" => example.transform = Some(Transform::Script(script(&block.text, &at))),
            "json context" => example.context = serde_json::from_str(&block.text).unwrap(),
            "json source" => example.source = Some(block.text),
            "json result" => {
                let outcome = example.run(&at).unwrap_or_else(|fault| panic!("{at}: {fault}"));
                let expected: Value = serde_json::from_str(&block.text).unwrap();
                // As text, so that the order of fields counts.
                assert_eq!(outcome.to_string(), expected.to_string(), "{at}");
            }
            "text error" => assert_eq!(example.run(&at).unwrap_err(), block.text, "{at}"),
            other => panic!("{at}: no test knows what `{other}` is"),
        }
    }
    assert!(example.source.is_none(), "the last body has no result");
}

#[test]
fn every_setting_is_in_an_example() {
    let tables: String = blocks()
        .into_iter()
        .filter(|block| block.kind == "json table")
        .map(|block| block.text)
        .collect();
    let settings = [
        "sourceField",
        "targetField",
        "value",
        "transform",
        "defaultValue",
        "required",
        "omitWhen",
        "when",
        "field",
        "equals",
        "notEquals",
        "oneOf",
        "exists",
        "from",
        "format",
        "zone",
        "trim",
        "upper",
        "lower",
        "date",
        "default",
    ];
    for setting in settings {
        assert!(tables.contains(&format!("\"{setting}\"")), "{setting}");
    }
}

#[test]
fn limits_on_the_page_are_those_of_the_code() {
    for limit in [MAX_SOURCE, MAX_BODY, MAX_LINES, super::DEFAULT_MAX_OUTPUT] {
        let digits = limit.to_string();
        let grouped = digits
            .bytes()
            .enumerate()
            .flat_map(|(index, digit)| {
                let comma = index > 0 && (digits.len() - index).is_multiple_of(3);
                comma.then_some(',').into_iter().chain([char::from(digit)])
            })
            .collect::<String>();
        assert!(PAGE.contains(&grouped), "{grouped}");
    }
}

#[derive(Default)]
struct Example {
    transform: Option<Transform>,
    context: ScriptContext,
    source: Option<String>,
}

enum Transform {
    Table(Mapping),
    Script(Script),
}

impl Example {
    fn run(&mut self, at: &str) -> Result<Value, String> {
        let source = self
            .source
            .take()
            .unwrap_or_else(|| panic!("{at}: no source before it"));
        let output = match self.transform.as_ref() {
            Some(Transform::Table(mapping)) => mapping.apply(source.as_bytes()).map_err(|fault| fault.to_string())?,
            Some(Transform::Script(script)) => Runner::new()
                .run(script, source.as_bytes(), &self.context, || None)
                .map_err(|fault| fault.to_string())?,
            None => panic!("{at}: no table or script before it"),
        };
        Ok(serde_json::from_slice(&output).unwrap())
    }
}

fn table(text: &str, at: &str) -> Mapping {
    let lines: Vec<FieldMapping> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{at}: {error}"));
    let mut problems = Vec::new();
    Mapping::compile(&lines, "", &mut problems).unwrap_or_else(|| panic!("{at}: {problems:?}"))
}

fn script(text: &str, at: &str) -> Script {
    let mut problems = Vec::new();
    Script::check(text, "", &mut problems).unwrap_or_else(|| panic!("{at}: {problems:?}"))
}

struct Block {
    line: usize,
    kind: &'static str,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let text: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        blocks.push(Block {
            line: index + 1,
            kind,
            text: text.join("\n"),
        });
    }
    blocks
}
