//! `docs/transforms.md` cannot rot: each of its tables and scripts is run on each body below it.

use std::sync::Arc;

use serde_json::Value;

use super::{MAX_LINES, Mapping, Rules, Side};
use crate::format::Conversion;
use crate::lookup::{Table, Tables};
use crate::model::Lookup;
use crate::model::mapping::FieldMapping;
use crate::plan::{Change, Transform};
use crate::script::{MAX_BODY, MAX_SOURCE, Runner, Script, ScriptContext};

const PAGE: &str = include_str!("../../../docs/transforms.md");

#[test]
fn every_example_does_what_the_page_says() {
    let mut example = Example::default();
    for block in blocks() {
        let at = format!("docs/transforms.md:{}", block.line);
        match block.kind {
            "json lookup" => {
                let lookup: Lookup = serde_json::from_str(&block.text).unwrap();
                let table = Table::new(Arc::new(lookup), [0; 32]);
                example.tables.insert(table.name().into(), Arc::new(table));
            }
            "json table" => {
                let table = table(&block.text, &example.tables, &at);
                example.change = Some(Change::Mapping(table));
                example.conversion = None;
                example.context = ScriptContext::default();
            }
            "rhai" => {
                example.change = Some(Change::Script(script(&block.text, &at)));
                example.conversion = None;
                example.context = ScriptContext::default();
            }
            "json conversion" => {
                example.change = Some(Change::Nothing);
                example.conversion = Some(conversion(&block.text, &at));
            }
            "json context" => example.context = serde_json::from_str(&block.text).unwrap(),
            "json source" | "xml source" | "form source" => example.source = Some(block.text),
            "xml result" => assert_eq!(example.run(&at), Ok(block.text), "{at}"),
            "json result" => {
                let outcome = example.run(&at).unwrap_or_else(|fault| panic!("{at}: {fault}"));
                let outcome: Value = serde_json::from_str(&outcome).unwrap();
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
        "template",
        "concat",
        "fields",
        "separator",
        "filter",
        "sourceZone",
        "lookup",
        "column",
        "reverse",
        "fallback",
        "onMissing",
        "toText",
        "toNumber",
        "toInteger",
        "toBoolean",
        "replace",
        "substring",
        "padStart",
        "split",
        "join",
        "first",
        "last",
        "count",
        "sum",
        "decimals",
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
    tables: Tables,
    change: Option<Change>,
    conversion: Option<Box<Conversion>>,
    context: ScriptContext,
    source: Option<String>,
}

impl Example {
    fn run(&mut self, at: &str) -> Result<String, String> {
        let source = self
            .source
            .take()
            .unwrap_or_else(|| panic!("{at}: no source before it"));
        let change = self
            .change
            .take()
            .unwrap_or_else(|| panic!("{at}: no table or script before it"));
        let transform = Transform {
            change,
            conversion: self.conversion.take(),
            target: None,
        };
        let output = match &transform.change {
            Change::Script(script) => Runner::new()
                .run(script, source.as_bytes(), &self.context, || None)
                .map_err(|fault| fault.to_string()),
            Change::Mapping(_) | Change::Nothing => transform
                .map(source.as_bytes(), None, &self.context)
                .map(|mapped| mapped.body.unwrap())
                .map_err(|fault| fault.to_string()),
        };
        self.change = Some(transform.change);
        self.conversion = transform.conversion;
        output.map(|bytes| String::from_utf8(bytes).unwrap())
    }
}

fn table(text: &str, tables: &Tables, at: &str) -> Mapping {
    let lines: Vec<FieldMapping> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{at}: {error}"));
    let mut problems = Vec::new();
    let rules = Rules {
        side: Side::Any,
        tables,
    };
    Mapping::compile_for(rules, &lines, "", &mut problems).unwrap_or_else(|| panic!("{at}: {problems:?}"))
}

fn script(text: &str, at: &str) -> Script {
    let mut problems = Vec::new();
    Script::check(text, "", &mut problems).unwrap_or_else(|| panic!("{at}: {problems:?}"))
}

fn conversion(text: &str, at: &str) -> Box<Conversion> {
    let format = serde_json::from_str(text).unwrap_or_else(|error| panic!("{at}: {error}"));
    let mut problems = Vec::new();
    Box::new(Conversion::compile(&format, "", &mut problems).unwrap_or_else(|| panic!("{at}: {problems:?}")))
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
