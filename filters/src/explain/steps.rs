//! What happens to a request of an integration, step by step.

use super::{AddressLine, Question, Step, TargetLine};
use crate::address::AddressClass;
use crate::auth::{AuthRefusal, Checked, Identity, Presented, Way};
use crate::model::mapping::{FieldMapping, TransformationMode};
use crate::model::protocol::OnPlain;
use crate::plan::{Integration, Mode, Plan};
use crate::target::TargetHost;
use crate::validation::Found;

/// A status and why.
type Refused = (u16, String);

/// Walks the plan of the integration in the order in which the gateway does.
///
/// # Errors
/// Status and reason, where the gateway answers itself.
pub(super) fn walk(
    plan: &Plan,
    integration: &Integration,
    path: &str,
    question: &Question,
    steps: &mut Vec<Step>,
) -> Result<String, Refused> {
    https(integration, steps);
    networks(integration, question, steps)?;
    let settled = auth(plan, integration, question, steps)?;
    limits(plan, integration, steps);
    validation(integration, path, question, steps)?;
    bodies(integration, steps);
    partner(integration, question, steps);
    Ok(match settled {
        true => "the request goes to the partner".to_owned(),
        false => "the request goes to the partner if its credential holds, which its issuer or keys decide".to_owned(),
    })
}

fn say(steps: &mut Vec<Step>, step: &str, says: impl Into<String>) {
    steps.push(Step {
        step: step.to_owned(),
        says: says.into(),
    });
}

fn https(integration: &Integration, steps: &mut Vec<Step>) {
    let says = match integration.protocols.on_plain {
        OnPlain::Serve => return,
        OnPlain::Redirect => "a request without TLS is sent to the https address",
        OnPlain::Refuse => "a request without TLS is refused",
    };
    say(steps, "https", says);
}

fn networks(integration: &Integration, question: &Question, steps: &mut Vec<Step>) -> Result<(), Refused> {
    let Some(networks) = &integration.client_networks else {
        return Ok(());
    };
    match question.client {
        None => say(
            steps,
            "clientNetworks",
            "the client's address is checked; none was given here",
        ),
        Some(client) if networks.admits(Some(client)) => say(steps, "clientNetworks", format!("{client} may call")),
        Some(client) => {
            say(steps, "clientNetworks", format!("{client} may not call"));
            return Err((403, "the client's address may not call this integration".to_owned()));
        }
    }
    Ok(())
}

/// The verdict of each way in. False if only an issuer or keys from elsewhere can tell.
fn auth(plan: &Plan, integration: &Integration, question: &Question, steps: &mut Vec<Step>) -> Result<bool, Refused> {
    let inbound = &integration.inbound;
    if inbound.is_open() {
        say(steps, "auth", "anybody may call");
        return Ok(true);
    }
    let presented = Presented {
        method: &question.method,
        uri: &question.uri,
        headers: &question.headers,
        certificate: None,
        consumers: plan.consumers(integration.source.org_id),
        now_s: question.now_s,
    };
    let mut furthest = AuthRefusal::Missing;
    let mut is_open_question = false;
    for way in inbound.ways() {
        let kind = kind(way);
        match inbound.check(way, &presented) {
            Ok(Checked::Known(identity)) => {
                if known(integration, question, kind, &identity, steps) {
                    return Ok(true);
                }
                furthest = AuthRefusal::NotAllowed;
            }
            Ok(Checked::Token(_)) => {
                say(
                    steps,
                    "auth",
                    format!("{kind}: the token reads well; its signature is not checked here"),
                );
                is_open_question = true;
            }
            Ok(Checked::Opaque(_)) => {
                say(
                    steps,
                    "auth",
                    format!("{kind}: its issuer is asked about the token, which is not done here"),
                );
                is_open_question = true;
            }
            Err(refusal) => {
                say(steps, "auth", format!("{kind}: {refusal}"));
                furthest = furthest.max(refusal);
            }
        }
    }
    match furthest {
        _ if is_open_question => Ok(false),
        AuthRefusal::NotAllowed => Err((403, furthest.to_string())),
        _ => Err((401, furthest.to_string())),
    }
}

/// True if somebody who is known may call.
fn known(
    integration: &Integration,
    question: &Question,
    kind: &str,
    identity: &Identity,
    steps: &mut Vec<Step>,
) -> bool {
    let name = identity.name.as_deref().unwrap_or("somebody");
    let may_call = identity
        .consumer
        .as_ref()
        .is_none_or(|consumer| consumer.may_call(&integration.id, question.client));
    let says = match (may_call, identity.signed.is_some()) {
        (false, _) => "is known and may not call this integration",
        (true, false) => "is let in",
        (true, true) => "is let in, if the body is the one that was signed and the signature was not used before",
    };
    say(steps, "auth", format!("{kind}: {name} {says}"));
    may_call
}

const fn kind(way: &Way) -> &'static str {
    match way {
        Way::ApiKey { .. } => "API key",
        Way::Bearer(_) => "bearer token",
        Way::Basic(_) => "user and password",
        Way::Jwt(_) => "JWT",
        Way::Introspection(_) => "token introspection",
        Way::Signature(_) => "HMAC signature",
        Way::Certificate(_) => "client certificate",
    }
}

fn limits(plan: &Plan, integration: &Integration, steps: &mut Vec<Step>) {
    let limits = &integration.limits;
    let organization = plan.organization_limits().get(&integration.source.org_id);
    let counted = [
        ("each client address", limits.per_client_ip.as_ref()),
        ("each caller", limits.per_key.as_ref()),
        ("the integration", limits.integration.as_ref()),
        ("the organization", organization),
    ];
    let mut is_limited = false;
    for (whose, plan) in counted {
        if let Some(plan) = plan {
            is_limited = true;
            let limit = serde_json::to_string(&plan.limit).unwrap_or_default();
            say(steps, "limits", format!("of {whose}: {limit}"));
        }
    }
    if !is_limited {
        say(steps, "limits", "none");
    }
    let sizes = integration.body_limits;
    let says = format!(
        "{} bytes of the client's body, {} of the partner's where it is read",
        sizes.request_bytes, sizes.response_bytes
    );
    say(steps, "bodyLimits", says);
}

fn validation(
    integration: &Integration,
    path: &str,
    question: &Question,
    steps: &mut Vec<Step>,
) -> Result<(), Refused> {
    let Some(validator) = &integration.validator else {
        return Ok(());
    };
    match validator.find(path, &question.method) {
        Found::Operation(index, _) => {
            let name = validator.operation(index).and_then(|operation| operation.name());
            let name = name.map_or_else(|| format!("number {index}"), |name| format!("{name:?}"));
            say(
                steps,
                "validation",
                format!("the request and its answer are checked by operation {name}"),
            );
            Ok(())
        }
        Found::Unchecked => {
            say(
                steps,
                "validation",
                "no operation has the path, and others are let through unchecked",
            );
            Ok(())
        }
        Found::NoPath => Err((404, "no operation of the integration has this path".to_owned())),
        Found::NoMethod(methods) => Err((405, format!("the operation answers to {} only", methods.allow()))),
    }
}

fn bodies(integration: &Integration, steps: &mut Vec<Step>) {
    let says = match integration.mode {
        Mode::Stream => "stream: bodies pass as they come, in both directions",
        Mode::Exchange { .. } => "exchange: the client's body is read as a whole before the partner is called",
    };
    say(steps, "mode", says);
    let source = &*integration.source;
    let sides = [
        (
            "request",
            source.request_transformation_mode,
            &source.request_field_mappings,
        ),
        (
            "response",
            source.response_transformation_mode,
            &source.response_field_mappings,
        ),
    ];
    for (side, mode, lines) in sides {
        match mode {
            None => {}
            Some(TransformationMode::Script) => say(steps, &format!("{side} script"), "the script makes the new body"),
            Some(TransformationMode::Simple) => {
                for (index, line) in lines.iter().enumerate() {
                    say(steps, &format!("{side} mapping {index}"), mapping(line));
                }
            }
        }
    }
}

/// One line of a mapping table in words, without the values in it.
fn mapping(line: &FieldMapping) -> String {
    let source = match &line.source_field {
        Some(source) => source.as_str(),
        None if line.value.is_some() => "a fixed value",
        None if line.filter.is_some() => "a filter",
        None => "a composed text",
    };
    let mut says = format!("{source} -> {}", line.target_field);
    for transformer in &line.transform {
        let kind = serde_json::to_value(transformer).ok();
        let kind = kind
            .as_ref()
            .and_then(|value| value["type"].as_str())
            .unwrap_or("change");
        says.push_str(", ");
        says.push_str(kind);
    }
    for (applies, words) in [
        (line.default_value.is_some(), ", with a default"),
        (line.required, ", required"),
        (line.when.is_some(), ", under a condition"),
    ] {
        if applies {
            says.push_str(words);
        }
    }
    says
}

fn partner(integration: &Integration, question: &Question, steps: &mut Vec<Step>) {
    let method = integration.target_method.as_ref().unwrap_or(&question.method);
    let stripped = integration.strip_headers.len() + integration.strip_query.len();
    if stripped > 0 {
        say(
            steps,
            "forwardCredentials",
            "the client's credential is taken out of the request",
        );
    }
    let source = &*integration.source;
    let signs = serde_json::to_value(source.outgoing_auth_type).ok();
    let signs = signs.as_ref().and_then(|value| value.as_str()).unwrap_or("NONE");
    say(steps, "outgoingAuthType", format!("the gateway signs in by {signs}"));
    let timeouts = integration.timeouts;
    let says = format!(
        "{method}, over {}; {} ms to connect, {} to the first byte, {} in all",
        if integration.protocols.http2 {
            "HTTP/2"
        } else {
            "HTTP/1.1"
        },
        timeouts.connect_ms,
        timeouts.first_byte_ms,
        timeouts.total_ms
    );
    say(steps, "partner", says);
    if integration.resilience.is_none() {
        say(steps, "retry", "an attempt that fails is not made again");
    }
}

/// Where requests may go, with the classes of the addresses that stand in the configuration.
pub(super) fn targets(integration: &Integration) -> Vec<TargetLine> {
    let lines = integration.targets.iter().map(|target| {
        let authority = target.url.authority().to_str().unwrap_or_default();
        let literal = match target.url.host() {
            TargetHost::Name(_) => None,
            TargetHost::Ip(address) => Some(*address),
        };
        TargetLine {
            target: format!("{}://{authority}", target.url.scheme().as_str()),
            weight: target.weight,
            addresses: literal
                .map(|address| address_line(integration, address))
                .into_iter()
                .collect(),
            note: match literal {
                Some(_) => None,
                None => Some("a name: its addresses are looked up and checked when it is called".to_owned()),
            },
        }
    });
    lines.collect()
}

/// What is to be said of an address of a target.
pub fn address_line(integration: &Integration, address: std::net::IpAddr) -> AddressLine {
    AddressLine {
        address: address.to_string(),
        class: AddressClass::of(address).to_string(),
        allowed: integration.egress.check(address).is_ok(),
    }
}
