//! The way of a call or an event, as a Mermaid diagram.

use std::fmt::Write as _;

/// A flow chart from left to right.
#[derive(Debug, Default)]
pub(super) struct Chart {
    text: String,
    nodes: usize,
}

/// A box in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node(String);

impl Chart {
    /// A group of boxes with these labels.
    pub(super) fn group<T: AsRef<str>>(&mut self, title: &str, labels: impl IntoIterator<Item = T>) -> Vec<Node> {
        let name = self.name();
        let _ = writeln!(self.text, "    subgraph {}[\"{}\"]", name.0, label(title));
        let mut nodes = Vec::new();
        for text in labels {
            let node = self.name();
            let _ = writeln!(self.text, "        {}[\"{}\"]", node.0, label(text.as_ref()));
            nodes.push(node);
        }
        self.text.push_str("    end\n");
        nodes
    }

    /// An arrow, with a text on it if it is not empty.
    pub(super) fn arrow(&mut self, from: &Node, text: &str, to: &Node) {
        let _ = match text {
            "" => writeln!(self.text, "    {} --> {}", from.0, to.0),
            text => writeln!(self.text, "    {} -->|\"{}\"| {}", from.0, label(text), to.0),
        };
    }

    /// Arrows from each to the next.
    pub(super) fn chain(&mut self, nodes: &[Node]) {
        for pair in nodes.windows(2) {
            if let [from, to] = pair {
                self.arrow(from, "", to);
            }
        }
    }

    /// As Mermaid reads it.
    pub(super) fn into_text(self) -> String {
        format!("flowchart LR\n{}", self.text)
    }

    fn name(&mut self) -> Node {
        self.nodes += 1;
        Node(format!("n{}", self.nodes))
    }
}

/// A text of others within quotes: nothing in it can end them, or become markup.
pub(super) fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for letter in text.chars().take(LONGEST) {
        match letter {
            letter if letter.is_control() => label.push(' '),
            letter if letter.is_alphanumeric() || " .,:-_/*(){}+=@".contains(letter) => label.push(letter),
            letter => {
                let _ = write!(label, "#{};", u32::from(letter));
            }
        }
    }
    label
}

const LONGEST: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out_of_their_box() {
        assert_eq!(label("a\"] --> b[<i>"), "a#34;#93; --#62; b#91;#60;i#62;");
    }

    #[test]
    fn a_chart_has_its_boxes_and_arrows() {
        let mut chart = Chart::default();
        let clients = chart.group("Clients", ["App"]);
        let partner = chart.group("Partner", ["labs.example"]);
        chart.arrow(&clients[0], "HTTPS", &partner[0]);
        let text = chart.into_text();
        assert_eq!(
            text,
            "flowchart LR\n    subgraph n1[\"Clients\"]\n        n2[\"App\"]\n    end\n    subgraph n3[\"Partner\"]\n        \
             n4[\"labs.example\"]\n    end\n    n2 -->|\"HTTPS\"| n4\n"
        );
    }
}
