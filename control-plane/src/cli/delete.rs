//! `gwctl delete`.

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{Deletable, Delete};

impl Delete {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self.what {
            Deletable::Integration => {
                client.delete(&["inbound-integrations", &self.id], &[("orgId", self.org.to_string())])?;
            }
        }
        output.say(format_args!("integration {} deleted", self.id))?;
        Ok(Outcome::Done)
    }
}
