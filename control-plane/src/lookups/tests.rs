//! Files of tables, read and written.

use std::io::{Cursor, Write as _};

use filters::model::Entries;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::import::MOST_PROBLEMS;
use super::*;

fn csv(text: &str) -> Result<Imported, FileFault> {
    read(Format::Csv, text.as_bytes(), &Wanted::default())
}

fn rows(imported: &Imported) -> Value {
    imported.rows.iter().map(|(key, value)| json!([key, value])).collect()
}

fn told(imported: &Imported) -> Vec<(u32, String)> {
    let problems = imported.problems.iter();
    problems.map(|problem| (problem.row, problem.message.clone())).collect()
}

#[test]
fn two_columns_are_keys_and_values() {
    let imported = csv("code,meaning\nF,female\n007,\"a \"\"b\"\"\nc\"\n,\nM,\n").unwrap();
    assert_eq!(imported.columns, ["code", "meaning"]);
    assert_eq!(
        rows(&imported),
        json!([["F", "female"], ["007", "a \"b\"\nc"], ["M", ""]])
    );
    assert_eq!(imported.problem_count, 0);
}

#[test]
fn more_columns_are_fields() {
    let text = "code;name;group\r\nA01;Typhoid;1\r\nA02;Other;\r\n";
    let imported = csv(text).unwrap();
    assert_eq!(
        rows(&imported),
        json!([["A01", {"name": "Typhoid", "group": "1"}], ["A02", {"name": "Other"}]])
    );
    let wanted = Wanted {
        key_column: Some("name".to_owned()),
        value_column: Some("group".to_owned()),
        typed: true,
    };
    let imported = read(Format::Csv, text.as_bytes(), &wanted).unwrap();
    assert_eq!(rows(&imported), json!([["Typhoid", 1], ["Other", ""]]));
}

#[test]
fn only_what_is_written_as_a_number_is_read_as_one() {
    let wanted = Wanted {
        typed: true,
        ..Wanted::default()
    };
    let text = "k,v\na,12\nb,012\nc,1.50\nd,1.5\ne,true\nf,1e3\ng,12345678901234567890123\n";
    let imported = read(Format::Csv, text.as_bytes(), &wanted).unwrap();
    let values: Vec<&Value> = imported.rows.iter().map(|(_, value)| value).collect();
    let long = json!("12345678901234567890123");
    assert_eq!(
        values,
        [
            &json!(12),
            &json!("012"),
            &json!("1.50"),
            &json!(1.5),
            &json!(true),
            &json!("1e3"),
            &long
        ]
    );
}

#[test]
fn every_problem_names_its_row() {
    let imported = csv("k,v\na,1\n,2\na,3\nb,4,5\nc,6\n").unwrap();
    assert_eq!(rows(&imported), json!([["a", "1"], ["c", "6"]]));
    assert_eq!(
        told(&imported),
        [
            (3, "has no key".to_owned()),
            (4, "the key \"a\" is in row 2 already".to_owned()),
            (5, "has a cell in column 3, and row 1 names 2 columns".to_owned()),
        ]
    );
    let broken = read(Format::Csv, b"k,v\na,\xe9\n", &Wanted::default()).unwrap();
    assert_eq!(broken.problems[0].column.as_deref(), Some("v"));
    let many: String = (0..300).map(|_| "x,y,z\n").collect();
    let imported = csv(&format!("k,v\n{many}")).unwrap();
    assert_eq!((imported.problem_count, imported.problems.len()), (300, MOST_PROBLEMS));
}

#[test]
fn a_first_row_that_names_no_columns_is_refused() {
    for (text, part) in [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("only\na\n", "one column"),
        ("a,a\n", "\"a\" twice"),
        ("a,,b\n", "column 2 has no name"),
    ] {
        let fault = csv(text).unwrap_err().to_string();
        assert!(fault.contains(part), "{text:?}: {fault}");
    }
    let commas = ",".repeat(1 << 20);
    assert_eq!(told(&csv(&format!("k,v\na,b{commas}x\n")).unwrap()).len(), 1);
    let wide: Vec<String> = (0..101).map(|column| format!("c{column}")).collect();
    assert!(
        csv(&wide.join(","))
            .unwrap_err()
            .to_string()
            .contains("more than 100 columns")
    );
    let wanted = Wanted {
        key_column: Some("none".to_owned()),
        ..Wanted::default()
    };
    let fault = read(Format::Csv, b"a,b\n", &wanted).unwrap_err().to_string();
    assert!(fault.contains("\"none\""), "{fault}");
}

fn entries(rows: &Value) -> Entries {
    serde_json::from_value(rows.clone()).unwrap()
}

fn written(format: Format, entries: &Entries) -> Vec<u8> {
    let columns = Columns::of(entries.rows());
    match format {
        Format::Csv => Lines::new(columns, entries.rows()).flatten().collect(),
        Format::Xlsx => write_workbook(&columns, entries.rows()).unwrap(),
    }
}

#[test]
fn what_is_written_reads_as_it_was() {
    let hostile = "=HYPERLINK(\"x\"), \u{1}_x0041_ <&>\r\n'é\u{1F600} ";
    let plain = json!({"": "", "=1+1": hostile, "'=x": "'", "-": "-1", "n": "a", "007": "007"});
    let columns = json!({"A": {"name": hostile, "group": "1", "key": "k"}, "B": {"name": " b "}, "C": {"group": "@"}});
    for format in [Format::Csv, Format::Xlsx] {
        for rows in [&plain, &columns] {
            let mut rows = rows.clone();
            // What has no key cannot be in a file.
            rows.as_object_mut().unwrap().shift_remove("");
            let entries = entries(&rows);
            if rows == columns && format == Format::Csv {
                // A field may be called as the column of the keys is.
                continue;
            }
            let bytes = written(format, &entries);
            let imported = read(format, &bytes, &Wanted::default());
            if rows == columns {
                assert!(imported.is_err(), "the column `key` is there twice");
                continue;
            }
            let imported = imported.unwrap();
            assert_eq!(told(&imported), []);
            assert_eq!(imported.rows.into_iter().collect::<Entries>(), entries, "{format:?}");
        }
    }
}

#[test]
fn workbooks_keep_what_cells_are() {
    let table = entries(&json!({
        "A": {"name": "Typhoid", "group": 1, "rate": 0.25, "live": true},
        "B": {"name": "", "group": -7, "id": 1_234_567_890_123_456_u64},
    }));
    let imported = read(Format::Xlsx, &written(Format::Xlsx, &table), &Wanted::default()).unwrap();
    assert_eq!(imported.columns, ["key", "name", "group", "rate", "live", "id"]);
    assert_eq!(
        rows(&imported),
        json!([
            ["A", {"name": "Typhoid", "group": 1, "rate": 0.25, "live": true}],
            ["B", {"group": -7, "id": "1234567890123456"}],
        ])
    );
}

#[test]
fn a_spreadsheet_takes_no_text_for_a_formula() {
    let table = entries(&json!({"a": "=cmd|' /C calc'!A0", "b": "+1", "c": "-1", "d": "@x", "e": "plain"}));
    let text = String::from_utf8(written(Format::Csv, &table)).unwrap();
    for line in text.lines().skip(1) {
        let value = line.split_once(',').unwrap().1.trim_start_matches('"');
        assert!(value.starts_with('\'') || value == "plain", "{line}");
    }
}

/// A workbook whose sheet and shared texts are these.
fn workbook(sheet: &str, strings: &str) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let parts = [
        (
            "xl/workbook.xml",
            r#"<x:workbook xmlns:x="a" xmlns:r="b"><x:sheets><x:sheet name="One" sheetId="4" r:id="rId7"/></x:sheets></x:workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships><Relationship Id="rId7" Target="/xl/worksheets/first.xml"/></Relationships>"#,
        ),
        ("xl/worksheets/first.xml", sheet),
        ("xl/sharedStrings.xml", strings),
    ];
    for (name, text) in parts {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn workbooks_of_other_programs_are_read() {
    let strings = "<sst><si><t>code</t></si><si><r><t>mea</t></r><r><t>ning</t></r><rPh><t>x</t></rPh></si>\
                   <si><t xml:space=\"preserve\">a &amp; b_x000A_c</t></si><si/></sst>";
    let sheet = "<worksheet><sheetData>\
        <row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row>\
        <row r=\"3\"><c r=\"A3\"><v>7.0</v></c><c r=\"B3\" t=\"s\"><v>2</v></c></row>\
        <row><c t=\"inlineStr\"><is><t>x</t></is></c><c t=\"str\"><f>A1</f><v>y</v></c></row>\
        <row r=\"5\"><c r=\"B5\" t=\"e\"><v>#N/A</v></c></row>\
        <row r=\"6\"><c r=\"A6\"/><c r=\"B6\" t=\"s\"><v>3</v></c></row>\
        <row r=\"7\"><c r=\"A7\"><v>1e-7</v></c><c r=\"B7\" t=\"b\"><v>1</v></c></row>\
        <row r=\"8\"><c r=\"A8\" t=\"s\"><v>99</v></c></row>\
        </sheetData></worksheet>";
    let imported = read(Format::Xlsx, &workbook(sheet, strings), &Wanted::default()).unwrap();
    assert_eq!(imported.columns, ["code", "meaning"]);
    assert_eq!(rows(&imported), json!([["7", "a & b\nc"], ["x", "y"], ["1e-7", true]]));
    let told = told(&imported);
    assert_eq!(told.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [5, 8]);
    assert!(told[0].1.contains("#N/A"), "{told:?}");
}

#[test]
fn a_workbook_that_would_not_fit_is_refused() {
    // Some hundred kilobytes that unpack to more than is read.
    let bomb = format!("<worksheet><sheetData>{}", " ".repeat(97 << 20));
    let bytes = workbook(&bomb, "<sst/>");
    assert!(bytes.len() < 1 << 20);
    let fault = read(Format::Xlsx, &bytes, &Wanted::default()).unwrap_err();
    assert!(matches!(fault, FileFault::TooLarge), "{fault}");
    // One cell in the last corner is not a sheet of a billion cells.
    let far = "<worksheet><sheetData><row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row></sheetData></worksheet>";
    let fault = read(Format::Xlsx, &workbook(far, "<sst/>"), &Wanted::default()).unwrap_err();
    assert!(fault.to_string().contains("beyond column"), "{fault}");
}

#[test]
fn what_is_no_workbook_is_refused() {
    let broken = {
        let mut bytes = workbook("<worksheet>", "<sst/>");
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0);
        bytes
    };
    let mut many = workbook("<worksheet/>", "<sst/>");
    let end = many.len() - 22;
    many[end + 10..end + 12].copy_from_slice(&u16::MAX.to_le_bytes());
    for bytes in [&b""[..], b"k,v\n", b"PK\x05\x06", &broken, &many] {
        let fault = read(Format::Xlsx, bytes, &Wanted::default()).unwrap_err();
        assert!(matches!(fault, FileFault::Unreadable(_)), "{fault}");
    }
}

#[test]
fn states_of_a_table_are_compared() {
    let before = entries(&json!({"a": 1, "b": 2, "c": 3}));
    let after = entries(&json!({"b": 2, "c": 4, "d": 5, "e": 6}));
    let difference = Difference::between(&before, &after);
    let wanted = Difference {
        added: 2,
        changed: 1,
        removed: 1,
        unchanged: 1,
    };
    assert_eq!(difference, wanted);
}
