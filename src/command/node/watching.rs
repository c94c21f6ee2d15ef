//! A node that watches through cameras as long as it runs: nothing is played.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Args, Course, Pace, farewell};
use crate::command::ceiling_camera_args::Times;
use crate::edge::live::{Clock, LiveNode, Sensed, wall_now};
use crate::edge::mqtt::NodeLink;
use crate::sensing::node::NodeSensor;
use crate::store::{Definition, NodeName};

/// Watches until told to stop. Event time is the wall's.
pub(super) async fn watch(
    args: &Args,
    name: &NodeName,
    definition: &Arc<Definition>,
    link: NodeLink,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let clock = Clock::new()?;
    let from = wall_now();
    let times = Times {
        from,
        as_stamped: false,
        clock: wall_now,
        run: clock.boot.clone(),
    };
    let models = args.eyes.models();
    let ceiling = args.ceiling.open(models, definition, name, times)?;
    let pace = Pace::starting(from, 1.0);
    let mut course = Course {
        pace: Some(pace),
        stop,
        link: link.state(),
    };
    let sensor = NodeSensor::new(definition.clone());
    let mut node = LiveNode::new(sensor, link, clock)
        .with_eyes(args.eyes.open(pace)?)
        .with_ceiling(ceiling);
    println!("Node {name} watches (Ctrl-C ends it)");
    let mut next = from;
    while course.goes_on(next).await {
        node.take(&Sensed::Nothing(wall_now())).await?;
        node.tell_sight();
        next = pace.event_now().plus_seconds(NodeSensor::PROMISE_S / 2.0);
    }
    farewell(node.finish(wall_now()).await?).await
}
