//! Markdown, with everything that comes from a configuration escaped.

use std::fmt::Write as _;

/// A document that is being written.
#[derive(Debug, Default)]
pub(super) struct Markdown(String);

impl Markdown {
    /// A heading; levels from 1.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        self.gap();
        let _ = writeln!(self.0, "{} {text}", "#".repeat(level));
    }

    /// A paragraph of Markdown.
    pub(super) fn paragraph(&mut self, text: &str) {
        self.gap();
        let _ = writeln!(self.0, "{text}");
    }

    /// A list of Markdown lines; nothing if there are none.
    pub(super) fn list(&mut self, items: impl IntoIterator<Item = String>) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        self.gap();
        for item in items {
            let _ = writeln!(self.0, "- {item}");
        }
    }

    /// Names and values.
    pub(super) fn facts<const N: usize>(&mut self, facts: [(&str, String); N]) {
        self.table(
            &["Item", "Value"],
            facts.map(|(name, value)| vec![name.to_owned(), value]),
        );
    }

    /// A table of Markdown cells; nothing if it has no rows.
    pub(super) fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.gap();
        let _ = writeln!(self.0, "| {} |", head.join(" | "));
        let _ = writeln!(self.0, "|{}", "---|".repeat(head.len()));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            let _ = writeln!(self.0, "| {} |", cells.join(" | "));
        }
    }

    /// A block of code.
    pub(super) fn block(&mut self, language: &str, text: &str) {
        self.gap();
        let fence = "`".repeat(longest_run(text).max(2) + 1);
        let _ = writeln!(self.0, "{fence}{language}\n{}\n{fence}", text.trim_end());
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// An empty line before whatever comes next.
    fn gap(&mut self) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
    }
}

/// A text of others as plain text on one line.
pub(super) fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A text of others as code within a line.
pub(super) fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.trim().is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(&text) + 1);
    let space = if text.contains('`') { " " } else { "" };
    format!("{ticks}{space}{text}{space}{ticks}")
}

/// Several of them.
pub(super) fn codes<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| code(text.as_ref())).collect();
    texts.join(", ")
}

/// Within a table a bar would begin the next cell, in code too.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn longest_run(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for letter in text.chars() {
        run = if letter == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        assert_eq!(plain("a *b* <c>\n# d"), "a \\*b\\* \\<c\\> \\# d");
        assert_eq!(code("a`b"), "`` a`b ``");
        let mut page = Markdown::default();
        page.table(&["A"], [vec![code("x|y\nz")]]);
        assert_eq!(page.into_text(), "| A |\n|---|\n| `x\\|y z` |\n");
    }

    #[test]
    fn a_block_ends_where_it_should() {
        let mut page = Markdown::default();
        page.block("rhai", "let a = \"```\";");
        assert_eq!(page.into_text(), "````rhai\nlet a = \"```\";\n````\n");
    }
}
