//! Certificates that are about to be refused.

use super::super::alert::{Alert, Finding, Rule, Subject};
use super::super::certificates::{Expiry, Holder};
use super::{Judge, Verdict, seconds, words};

impl Judge<'_> {
    pub(super) fn find_certificates(&self, findings: &mut Vec<Finding>) {
        let rule = self.rules.certificate_expiry;
        if !rule.enabled {
            return;
        }
        let soon = seconds(rule.within_days.saturating_mul(86_400));
        let now = self.facts.now;
        let expiring = self.facts.certificates.iter();
        findings.extend(
            expiring
                .filter(|expiry| expiry.at.duration_since(now) <= soon)
                .map(|expiry| self.expiring(expiry)),
        );
    }

    pub(super) fn certificate_verdict(&self, alert: &Alert) -> Verdict {
        let is_there = self.facts.certificates.iter();
        let mut is_there = is_there.filter(|expiry| self.expiring(expiry).key() == alert.key);
        Verdict::Over(match is_there.next() {
            Some(expiry) => format!("The certificate is good until {} now.", words::moment(expiry.at)),
            None => "The certificate is not in use any more.".to_owned(),
        })
    }

    fn expiring(&self, expiry: &Expiry) -> Finding {
        let organization = words::organization(self.facts.snapshot, expiry.org_id);
        let name = words::plain(&expiry.name);
        let (subject, what) = match &expiry.holder {
            Holder::Certificate(id) => (
                Subject::Certificate {
                    org_id: expiry.org_id,
                    id: id.clone(),
                },
                format!("The certificate \"{name}\" ({id}) of {organization}"),
            ),
            Holder::Inbound(id) => (
                Subject::Inbound {
                    org_id: expiry.org_id,
                    id: id.clone(),
                },
                format!("The certificate that \"{name}\" ({id}) of {organization} shows to its partner"),
            ),
            Holder::Outbound(id) => (
                Subject::Subscription {
                    org_id: expiry.org_id,
                    id: id.clone(),
                },
                format!("The certificate that \"{name}\" ({id}) of {organization} shows to its endpoint"),
            ),
        };
        let left = expiry.at.duration_since(self.facts.now);
        let when = if left.is_positive() {
            format!("expires in {}", words::duration(left))
        } else {
            format!("expired {} ago", words::duration(left.abs()))
        };
        Finding {
            rule: Rule::CertificateExpiry,
            subject,
            gateway_ids: Vec::new(),
            title: format!("{what} {when}"),
            detail: format!(
                "It, or a certificate that vouches for it, is good until {}. After that connections with it are refused.",
                words::moment(expiry.at)
            ),
            advice: "Have it renewed and save the new chain and key; gateways take them without a restart.",
            since: None,
            hold: seconds(0),
        }
    }
}
