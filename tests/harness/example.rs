//! The files of `conf/examples`, with partners of the tests in the place of those that they name.

use std::fs;

use serde_json::{Map, Value, json};

use crate::binaries;

/// A file of `conf/examples`, to be loaded into a gateway.
#[derive(Clone, Debug)]
pub struct Example {
    name: String,
    text: String,
}

impl Example {
    /// The file `conf/examples/{name}.yaml`.
    ///
    /// # Panics
    /// If it is not there.
    pub fn named(name: &str) -> Self {
        let path = binaries::repository()
            .join("conf/examples")
            .join(format!("{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            name: name.to_owned(),
            text,
        }
    }

    /// Puts `new` in the place of `old` wherever it stands, as the address of a partner of the test in the place of
    /// `https://api.partner.example`.
    ///
    /// # Panics
    /// If `old` stands nowhere: the test would not test the example.
    #[must_use]
    pub fn with(mut self, old: &str, new: &str) -> Self {
        assert!(self.text.contains(old), "{} does not say {old:?}", self.name);
        self.text = self.text.replace(old, new);
        self
    }

    /// The configuration, in which targets on this machine are allowed, with TLS and without.
    ///
    /// # Panics
    /// If it is not YAML.
    pub fn document(&self) -> Value {
        let read = serde_saphyr::from_str(&self.text);
        let mut document: Value = read.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        document["security"] = json!({"blockPrivateNetworks": true, "enforceHttps": false});
        let owners: Vec<Value> = ["integrations", "eventTypes"]
            .iter()
            .filter_map(|list| document[list].as_array())
            .flatten()
            .map(|object| object["orgId"].clone())
            .collect();
        if document["organizations"].is_null() {
            document["organizations"] = json!([]);
        }
        let organizations = document["organizations"].as_array_mut().unwrap();
        for owner in owners {
            if !organizations.iter().any(|organization| organization["orgId"] == owner) {
                organizations.push(json!({"orgId": owner}));
            }
        }
        for organization in organizations {
            let organization: &mut Map<_, _> = organization.as_object_mut().unwrap();
            organization.insert("allowedNetworks".to_owned(), json!(["127.0.0.0/8", "::1/128"]));
        }
        document
    }
}
