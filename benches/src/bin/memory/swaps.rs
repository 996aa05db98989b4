//! Many configurations, each of which differs from the one before in every integration.

use harness::documents::{document, integration, with};
use harness::{Gateway, Partner};
use serde_json::json;

use crate::resident;

/// Swaps `count` times; the memory after each tenth.
pub(crate) async fn run(gateway: &Gateway, partner: &Partner, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut resident_mib = Vec::with_capacity(TENTHS);
    for tenth in 0..TENTHS {
        for swap in (tenth * count / TENTHS)..((tenth + 1) * count / TENTHS) {
            let integrations = (0..INTEGRATIONS).map(|number| {
                let kind = format!("labs-{number}");
                let changed = json!({
                    "name": format!("{kind} of version {swap}"),
                    "rateLimits": {"maxRequests": 1_000_000 + swap},
                    "requestTransformationMode": "SIMPLE",
                    "requestFieldMappings": [{"sourceField": "a", "targetField": format!("version{swap}")}],
                });
                with(integration(&kind, &partner.url(&format!("/version/{swap}"))), changed)
            });
            gateway.swap(&document(integrations)).await;
        }
        resident_mib.push(resident(gateway)?);
    }
    Ok(resident_mib)
}

const TENTHS: usize = 10;
const INTEGRATIONS: usize = 20;
