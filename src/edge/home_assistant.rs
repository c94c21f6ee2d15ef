//! Home Assistant finds a node by itself: one retained message names the device and everything that is to be shown of it.
//! The values themselves come from the node's own topics, `status` and `loads`.
//!
//! The form is that of Home Assistant's device discovery (`<prefix>/device/<object>/config`, since 2024.11). Pure: no IO.

use rumqttc::QoS;
use serde_json::{Map, Value, json};

use super::wire::{self, Encoded, Kind};
use crate::store::{NodeName, PlateId};

/// Home Assistant's own default; the rules of the store's network know no other.
pub const PREFIX: &str = "homeassistant";

/// How a node is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    prefix: String,
    config: Encoded,
}

/// What a node has that can be shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The calibrated plates, each with what stands on it, in words.
    pub plates: Vec<(PlateId, String)>,
    /// It reads plates.
    pub is_sampling: bool,
    pub has_gate: bool,
}

/// Where the node's device is described. A store's id and a node's name are levels of a topic already.
pub fn config_topic(prefix: &str, store: &str, node: &NodeName) -> String {
    format!("{prefix}/device/stroll_{store}_{node}/config")
}

/// Where Home Assistant says that it has come.
pub fn birth_topic(prefix: &str) -> String {
    format!("{prefix}/status")
}

impl Discovery {
    /// The description of a node.
    pub fn new(prefix: &str, store: &str, node: &NodeName, shown: &Shown) -> Self {
        let config = Encoded {
            topic: config_topic(prefix, store, node),
            payload: described(store, node, shown).to_string().into_bytes(),
            retain: true,
            qos: QoS::AtLeastOnce,
        };
        Discovery {
            prefix: prefix.to_owned(),
            config,
        }
    }

    /// The retained message.
    pub fn config(&self) -> &Encoded {
        &self.config
    }

    /// Where Home Assistant says that it has come.
    pub fn birth_topic(&self) -> String {
        birth_topic(&self.prefix)
    }

    /// Whether it says so, and wants to hear everything again.
    pub fn is_birth(&self, payload: &[u8]) -> bool {
        payload == b"online"
    }
}

fn described(store: &str, node: &NodeName, shown: &Shown) -> Value {
    let status = wire::topic(store, node, Kind::Status);
    let mut components = Map::new();
    let mut add = |part: String, mut component: Value| {
        component["unique_id"] = json!(format!("stroll_{store}_{node}_{part}"));
        components.insert(part, component);
    };
    add("trouble".to_owned(), trouble(&status));
    if shown.is_sampling {
        for (part, component) in sampling(&status) {
            add(part.to_owned(), component);
        }
    }
    if shown.has_gate {
        add("gate".to_owned(), gate(&status));
    }
    let loads = wire::topic(store, node, Kind::Loads);
    for (plate, product) in &shown.plates {
        let part = plate.to_string().replace('.', "_");
        add(format!("load_{part}"), load(&loads, *plate, product));
        add(format!("fault_{part}"), fault(&status, *plate));
    }
    json!({
        "device": {
            "identifiers": [format!("stroll_{store}_{node}")],
            "name": format!("Stroll {node}"), "manufacturer": "Stroll", "model": "node",
            "sw_version": env!("CARGO_PKG_VERSION"), "suggested_area": store,
        },
        "origin": { "name": "stroll", "sw_version": env!("CARGO_PKG_VERSION") },
        "availability": [{
            "topic": &status, "value_template": "{{ value_json.state }}",
            "payload_available": "online", "payload_not_available": "offline",
        }],
        "qos": 1,
        "components": components,
    })
}

fn trouble(status: &str) -> Value {
    json!({
        "platform": "binary_sensor", "name": "Trouble", "device_class": "problem",
        "entity_category": "diagnostic", "state_topic": status,
        "value_template": "{{ 'ON' if value_json.trouble is defined else 'OFF' }}",
        "json_attributes_topic": status,
        "json_attributes_template":
            "{{ {'trouble': value_json.trouble | default(''), 'notice': value_json.notice | default('')} | tojson }}",
    })
}

/// How the reading of the plates goes.
fn sampling(status: &str) -> [(&'static str, Value); 3] {
    [
        (
            "rate",
            "Samples a second",
            "Hz",
            "(s.rate_millihertz / 1000) | round(1)",
        ),
        (
            "late",
            "Reads late by",
            "ms",
            "(s.late_us_p99 / 1000) | round(2)",
        ),
        (
            "lost",
            "Samples lost",
            "samples",
            "s.interrupted + s.not_ready + s.dropped",
        ),
    ]
    .map(|(part, name, unit, figure)| {
        let template = format!(
            "{{% set s = value_json.sampling | default(none) %}}{{{{ {figure} if s else none }}}}"
        );
        let sensor = json!({
            "platform": "sensor", "name": name, "unit_of_measurement": unit,
            "entity_category": "diagnostic", "state_class": "measurement",
            "state_topic": status, "value_template": template,
        });
        (part, sensor)
    })
}

fn gate(status: &str) -> Value {
    json!({
        "platform": "sensor", "name": "Gate", "device_class": "enum", "icon": "mdi:boom-gate",
        "options": ["held", "open", "alarm"], "state_topic": status,
        "value_template": "{{ value_json.gate | default(none) }}",
    })
}

fn load(loads: &str, plate: PlateId, product: &str) -> Value {
    json!({
        "platform": "sensor", "name": format!("{plate} {product}").trim_end(), "device_class": "weight",
        "unit_of_measurement": "g", "state_class": "measurement", "state_topic": loads,
        "suggested_display_precision": 0,
        "value_template": format!(
            "{{{{ (value_json.load_mg['{plate}'] / 1000) | round(1) if '{plate}' in value_json.load_mg else none }}}}"
        ),
    })
}

fn fault(status: &str, plate: PlateId) -> Value {
    json!({
        "platform": "binary_sensor", "name": format!("{plate} fault"), "device_class": "problem",
        "entity_category": "diagnostic", "state_topic": status,
        "value_template": format!(
            "{{{{ 'ON' if value_json.faults | default([]) | selectattr('plate', 'eq', '{plate}') | list else 'OFF' }}}}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described_shelf() -> Value {
        let shown = Shown {
            plates: vec![("1.1.2".parse().unwrap(), "sparkling water".to_owned())],
            is_sampling: true,
            has_gate: false,
        };
        let discovery = Discovery::new(PREFIX, "corner", &"shelf".into(), &shown);
        let config = discovery.config();
        assert_eq!(
            config.topic,
            "homeassistant/device/stroll_corner_shelf/config"
        );
        assert!(config.retain);
        serde_json::from_slice(&config.payload).unwrap()
    }

    #[test]
    fn every_component_is_whole_and_its_own() {
        let config = described_shelf();
        assert_eq!(config["device"]["identifiers"][0], "stroll_corner_shelf");
        assert_eq!(config["origin"]["name"], "stroll");
        assert_eq!(
            config["availability"][0]["topic"],
            "stroll/v1/corner/shelf/status"
        );
        let components = config["components"].as_object().unwrap();
        let names: Vec<&String> = components.keys().collect();
        let expected = [
            "fault_1_1_2",
            "late",
            "load_1_1_2",
            "lost",
            "rate",
            "trouble",
        ];
        assert_eq!(names, expected);
        let mut ids = std::collections::BTreeSet::new();
        for (name, component) in components {
            for field in ["platform", "name", "state_topic", "value_template"] {
                assert!(component[field].is_string(), "{name} has no {field}");
            }
            let template = component["value_template"].as_str().unwrap();
            assert!(
                template.starts_with('{') && template.ends_with(" }}"),
                "{template}"
            );
            assert!(ids.insert(component["unique_id"].to_string()), "{name}");
        }
        assert_eq!(components["load_1_1_2"]["name"], "1.1.2 sparkling water");
    }

    #[test]
    fn only_home_assistants_birth_is_one() {
        let discovery = Discovery::new(PREFIX, "s", &"n".into(), &Shown::default());
        assert_eq!(discovery.birth_topic(), "homeassistant/status");
        assert!(discovery.is_birth(b"online"));
        assert!(!discovery.is_birth(b"offline"));
    }
}
