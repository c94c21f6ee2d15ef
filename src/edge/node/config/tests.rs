use super::*;

const SHIPPED: &str = include_str!("../../../../deploy/node.toml");

fn parsed(text: &str, env: &[(&str, &str)]) -> Result<NodeConfig, String> {
    let env = |name: &str| {
        let set = env.iter().find(|(variable, _)| *variable == name);
        set.map(|(_, value)| (*value).to_owned())
    };
    parse(text, "node.toml", Path::new("/etc/stroll"), env)
        .map(|(config, _)| config)
        .map_err(|error| error.to_string())
}

#[test]
fn what_ships_is_right_and_fits_the_corner_shop() {
    let config = parsed(SHIPPED, &[]).unwrap();
    assert_eq!(config.plates().len(), 8);
    let corner = include_str!("../../../../deploy/corner.toml");
    let (definition, _) = crate::store::definition::parse(corner, "corner.toml").unwrap();
    assert_eq!(config.strangers(&definition), None);
    assert_eq!(config.store, Path::new("/etc/stroll/store.toml"));
    assert_eq!(config.outbox, Path::new("/var/lib/stroll/shelf.sqlite"));
}

#[test]
fn what_a_node_writes_is_beside_its_configuration_unless_that_is_in_etc() {
    let beside = |folder: &str, text: &str| {
        let (config, _) = parse(text, "node.toml", Path::new(folder), |_| None).unwrap();
        config.calibration.to_string_lossy().into_owned()
    };
    assert_eq!(beside("here", SHIPPED), "here/shelf.calibration.json");
    assert_eq!(
        beside("/etc/stroll", SHIPPED),
        "/var/lib/stroll/shelf.calibration.json"
    );
    let named = SHIPPED.replace("# calibration =", "calibration =");
    assert_eq!(
        beside("/etc/stroll", &named),
        "/etc/stroll/shelf.calibration.json"
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let config = parsed(
        SHIPPED,
        &[
            ("STROLL_NODE_BROKER", "mqtt://10.0.0.7:1884"),
            ("STROLL_SAMPLING_REALTIME_PRIORITY", "0"),
        ],
    )
    .unwrap();
    assert_eq!(config.broker.to_string(), "mqtt://10.0.0.7:1884");
    assert_eq!(config.sampling.realtime_priority, 0);
    let error = parsed(SHIPPED, &[("STROLL_SAMPLING_QUEUE_S", "long")]).unwrap_err();
    assert!(
        error.contains("STROLL_SAMPLING_QUEUE_S is `long`"),
        "{error}"
    );
}

#[test]
fn each_mistake_is_told_with_its_line() {
    let text = "\
[node]
name = \"shelf\"
stoer = \"store.toml\"
[sampling]
rate_hz = 50
[[hx711]]
clock_gpio = 5
gain = 100
data = [{ gpio = 5, plate = \"1.1.1\" }, { gpio = 40, plate = \"1.1.1\" }, { gpio = 6, plate = \"one\" }]
[[nau7802]]
multiplexer = 0x70
plate = \"1.1.2\"
[hx71]
";
    let error = parsed(text, &[]).unwrap_err();
    for said in [
        "node.toml:3: unknown field `stoer`",
        "write `store`",
        "node.toml:5: no converter samples at 50 Hz",
        "node.toml:8: `gain` is 100",
        "node.toml:9: GPIO 5 is a clock in line 7 already",
        "node.toml:9: there is no GPIO 40",
        "node.toml:9: plate 1.1.1 is wired in line 9 already",
        "`one` is no plate",
        "node.toml:11: a multiplexer without a channel",
        "node.toml:13: a node's configuration has no `hx71`",
    ] {
        assert!(error.contains(said), "{said} is not in:\n{error}");
    }
}

#[test]
fn a_gate_is_wired_once_and_has_two_beams_or_none() {
    let node = "[node]\nname = \"gate\"\nstore = \"s\"\nbroker = \"mqtt://127.0.0.1:1883\"\n";
    let shipped = SHIPPED
        .split_once("# [gate]")
        .map(|(_, rest)| format!("{node}[gate]{}", rest.replace("\n# ", "\n")))
        .unwrap()
        .replace("Home Assistant finds", "# Home Assistant finds");
    let config = parsed(&shipped, &[]).unwrap();
    let gate = config.gate.unwrap();
    assert_eq!(
        (gate.relay_gpio, gate.beams, gate.emergency_gpio),
        (17, Some((23, 24)), Some(25))
    );
    assert_eq!(
        config.home_assistant.unwrap().prefix,
        crate::edge::home_assistant::PREFIX
    );
    let wrong = format!(
        "{node}[gate]\nrelay_gpio = 17\nrelay_active = \"up\"\nouter_beam_gpio = 17\n[home_assistant]\nprefix = \"a/#\"\n"
    );
    let error = parsed(&wrong, &[]).unwrap_err();
    for said in [
        "node.toml:7: `relay_active` is `up`",
        "node.toml:8: GPIO 17 is the gate's relay in line 6 already",
        "node.toml:8: the gate has one beam",
        "node.toml:10: `a/#` is no beginning of a topic",
    ] {
        assert!(error.contains(said), "{said} is not in:\n{error}");
    }
    assert!(
        parsed(node, &[])
            .unwrap_err()
            .contains("neither a converter nor a gate")
    );
}

#[test]
fn the_schema_takes_what_ships_and_describes_every_field() {
    let schema = serde_json::to_value(schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let shipped: serde_json::Value = toml::from_str(SHIPPED).unwrap();
    assert!(validator.is_valid(&shipped));
    let misspelt = SHIPPED.replace("rate_hz", "rate_hertz");
    let misspelt: serde_json::Value = toml::from_str(&misspelt).unwrap();
    assert!(!validator.is_valid(&misspelt));
    let defined = schema["$defs"].as_object().unwrap().values();
    let mut fields = 0;
    for (name, field) in defined.flat_map(|table| table["properties"].as_object().unwrap()) {
        let is_pair = ["gpio", "plate"].contains(&name.as_str());
        assert!(
            is_pair || field["description"].is_string(),
            "{name} is not described"
        );
        fields += 1;
    }
    assert!(fields > 20, "{fields}");
}
