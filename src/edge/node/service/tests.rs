use std::path::Path;

use super::*;
use crate::edge::mqtt::NodeOptions;
use crate::edge::node::config;
use crate::edge::outbox::Outbox;
use crate::store::definition;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_set_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let corner = include_str!("../../../../deploy/corner.toml");
    let (definition, _) = definition::parse(corner, "corner.toml").unwrap();
    let wired = "[node]\nname = \"door\"\nstore = \"s\"\nbroker = \"mqtt://127.0.0.1:1\"\n[gate]\nrelay_gpio = 17\n";
    let (config, _) = config::parse(wired, "node.toml", Path::new("."), |_| None).unwrap();
    for (set_s, is_told) in [(0.0, false), (2.0, true), (-2.0, true)] {
        let outbox = Outbox::open(folder.path().join("o.sqlite"), &config.name).unwrap();
        let options = NodeOptions::new(config.broker.clone(), "corner");
        let mut anchor = Anchor::now(0);
        anchor.wall = anchor.wall.plus_seconds(-set_s);
        let parts = ServiceParts {
            config: config.clone(),
            definition: Arc::new(definition.clone()),
            calibrations: Calibrations::default(),
            link: NodeLink::begin(options, outbox).unwrap(),
            batches: None,
            gate: None,
            cameras: Cameras::default(),
            anchor,
            clock: Clock::new().unwrap(),
            tape: None,
            supervisor: Supervisor::default(),
        };
        let (stop, stopped) = watch::channel(false);
        let service = Service::new(parts).await.unwrap();
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            stop.send_replace(true);
        };
        let (ended, _) = tokio::join!(service.run(stopped), stopping);
        let told = ended.err().map(|error| error.to_string());
        let expected = format!("node door: the clock was set by {set_s:.1} s");
        let said = told
            .as_ref()
            .is_some_and(|told| told.starts_with(&expected));
        assert_eq!(said, is_told, "{set_s}: {told:?}");
    }
}
