//! `gwctl delete`.

use super::Delete;
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;

impl Delete {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let kind = self.what.kind();
        let path = [kind.path, &[self.id.as_str()]].concat();
        let mut query = vec![("orgId", self.org.to_string())];
        query.extend(self.message.clone().map(|message| ("message", message)));
        client.delete(&path, &query)?;
        output.say(format_args!("{} {} deleted", kind.noun, self.id))?;
        Ok(Outcome::Done)
    }
}
