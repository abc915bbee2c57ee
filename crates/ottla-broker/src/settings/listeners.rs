//! `listeners` and `advertised.listeners`, less what belongs to a controller.

use ottla_partition::metadata::config::BrokerConfig;

use crate::listener::{AdvertiseSpec, ListenerSpec};

/// Where to listen and what to advertise, as far as the settings say, and every listener that is
/// not of the form, or asks for a security protocol.
///
/// A `server.properties` for Kafka names the controller's listener beside the broker's; this
/// process is its own controller and needs no socket for that, so it is passed over.
pub(super) fn listeners(
    config: &BrokerConfig,
) -> (Vec<ListenerSpec>, Vec<AdvertiseSpec>, Vec<String>) {
    let list = |key: &str| {
        let items = config
            .text(key)
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let controllers = list("controller.listener.names");
    let protocols = list("listener.security.protocol.map");
    let of_controller = |name: &str| controllers.iter().any(|c| c.eq_ignore_ascii_case(name));
    let mut problems = Vec::new();
    let mut listen = Vec::new();
    let mut all_read = true;
    for text in list("listeners") {
        match text.parse::<ListenerSpec>() {
            Ok(spec) if spec.name.as_deref().is_some_and(of_controller) => {}
            Ok(spec) => {
                let name = spec.name.as_deref().unwrap_or("PLAINTEXT");
                let protocol = protocol_of(name, &protocols);
                if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
                    problems.push(refusal(&text, protocol));
                }
                listen.push(spec);
            }
            Err(error) => {
                problems.push(format!("listeners: {error}"));
                all_read = false;
            }
        }
    }
    let mut advertise = Vec::new();
    for text in list("advertised.listeners") {
        match text.parse::<AdvertiseSpec>() {
            Ok(spec) if spec.name.as_deref().is_some_and(of_controller) => {}
            Ok(spec) => advertise.push(spec),
            Err(error) => problems.push(format!("advertised.listeners: {error}")),
        }
    }
    if !all_read {
        // What is advertised may belong to what could not be read.
        advertise.clear();
    }
    (listen, advertise, problems)
}

/// What is wrong with `spec` where it asks for security, by its name or by what the settings say of
/// that: served in the clear, it would be taken for what it is not.
pub(crate) fn secured(spec: &ListenerSpec, config: &BrokerConfig) -> Option<String> {
    let map = config.text("listener.security.protocol.map");
    let map = map.unwrap_or_default().split(',');
    let map: Vec<String> = map.map(|item| item.trim().to_owned()).collect();
    let protocol = protocol_of(spec.name.as_deref()?, &map);
    let is = |known: &&str| protocol.eq_ignore_ascii_case(known);
    let known = ["SSL", "SASL_PLAINTEXT", "SASL_SSL"].into_iter().find(is)?;
    Some(refusal(&spec.to_string(), known))
}

fn refusal(listener: &str, protocol: &str) -> String {
    format!(
        "listener {listener:?} asks for {protocol}, which Ottla does not implement; use PLAINTEXT, \
         or leave it out"
    )
}

/// The security protocol of the listener `name`: what the map says, else the name itself.
fn protocol_of<'a>(name: &'a str, map: &'a [String]) -> &'a str {
    let entry = |item: &'a String| {
        item.split_once(':')
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
    };
    map.iter()
        .find_map(entry)
        .map_or(name, |(_, protocol)| protocol)
}
