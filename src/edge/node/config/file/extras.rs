//! The tables of a configuration that few nodes have: `[gate]` and `[home_assistant]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Check};
use crate::edge::gate::relay::Active;
use crate::edge::home_assistant;
use crate::edge::node::config::{GateWiring, HomeAssistant};
use crate::edge::wire;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGate {
    /// BCM number of the pin of the lock's relay.
    relay_gpio: At<i64>,
    /// The level that draws the relay: "low", if it is left out, or "high".
    relay_active: Option<At<String>>,
    /// High while it is broken.
    outer_beam_gpio: Option<At<i64>>,
    /// The one nearer to the shelves.
    inner_beam_gpio: Option<At<i64>>,
    /// Closed to ground while all is well.
    emergency_gpio: Option<At<i64>>,
    /// What gives entry codes line by line, such as /dev/ttyACM0.
    scanner: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHomeAssistant {
    /// Home Assistant's discovery prefix; "homeassistant" if it is left out.
    prefix: Option<At<String>>,
}

impl Check<'_, '_> {
    pub(super) fn gate(&mut self, raw: &RawGate) -> Option<GateWiring> {
        let relay_gpio = self.gpio(&raw.relay_gpio, "the gate's relay");
        let relay_active = match &raw.relay_active {
            None => Some(Active::Low),
            Some(at) => match at.get().as_str() {
                "low" => Some(Active::Low),
                "high" => Some(Active::High),
                other => {
                    let said = format!("`relay_active` is `{other}`");
                    let help = "write \"low\", as most relay boards have it, or \"high\"";
                    self.remarks.mistake(at.span(), said, help);
                    None
                }
            },
        };
        let mut input = |value: &Option<At<i64>>, used: &str| {
            (value.as_ref()).and_then(|value| self.gpio(value, used))
        };
        let outer = input(&raw.outer_beam_gpio, "the gate's outer beam");
        let inner = input(&raw.inner_beam_gpio, "the gate's inner beam");
        let emergency_gpio = input(&raw.emergency_gpio, "the emergency input");
        if let (Some(one), None) | (None, Some(one)) = (&raw.outer_beam_gpio, &raw.inner_beam_gpio)
        {
            let help = "one beam knows no direction: give `outer_beam_gpio` and `inner_beam_gpio`, or neither";
            self.remarks
                .mistake(one.span(), "the gate has one beam", help);
        }
        Some(GateWiring {
            relay_gpio: relay_gpio?,
            relay_active: relay_active?,
            beams: outer.zip(inner),
            emergency_gpio,
            scanner: (raw.scanner.as_ref()).map(|path| self.folder.join(path.get())),
        })
    }

    pub(super) fn home_assistant(&mut self, raw: &RawHomeAssistant) -> Option<HomeAssistant> {
        let prefix = self.text("home_assistant", "prefix", &raw.prefix);
        let prefix = prefix.unwrap_or_else(|| home_assistant::PREFIX.to_owned());
        if !prefix.split('/').all(wire::is_level) {
            let span = raw.prefix.as_ref().map_or(0..0, At::span);
            let said = format!("`{prefix}` is no beginning of a topic");
            let help = "write it like `prefix = \"homeassistant\"`, as Home Assistant has it";
            self.remarks.mistake(span, said, help);
            return None;
        }
        Some(HomeAssistant { prefix })
    }
}
