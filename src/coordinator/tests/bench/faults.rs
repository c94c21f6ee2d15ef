//! The steps of a script that tell of what goes wrong.

use super::{Bench, store};
use crate::checkout::entry::Bar;
use crate::coordinator::Input;
use crate::observation::{GapCause, GapObservation, NodeState, NodeStatus, Observation};
use crate::store::NodeName;

impl Bench {
    pub(super) fn gap(&mut self, t: f64, node: &str, (from, to): (&str, &str), rest: &[&str]) {
        let time = |text: &str| store::at(text.parse().unwrap());
        let (cause, dropped, shelves) = match *rest {
            ["full", count] => (GapCause::Full, count.parse().unwrap(), vec![]),
            ["off", plate, grams] => {
                let gap = store::shelf_gap(plate.parse().unwrap(), grams.parse().unwrap());
                (GapCause::Off, 0, vec![gap])
            }
            _ => panic!("no gap: {rest:?}"),
        };
        let gap = GapObservation {
            start: time(from),
            end: time(to),
            cause,
            dropped,
            replaces: None,
            shelves,
        };
        self.send_at(t, node, Observation::Gap(gap));
    }

    pub(super) fn status(&mut self, t: f64, node: &str, trouble: &str) {
        let node = NodeName::from(node);
        let status = NodeStatus {
            outbox: Some(self.outbox(&node)),
            node,
            state: NodeState::Online,
            version: String::new(),
            trouble: trouble.to_owned(),
            faults: Vec::new(),
            sampling: None,
            gate: None,
            notice: String::new(),
        };
        self.tell(Input::Status(status), t);
    }
}

fn named(what: &str) -> Bar {
    match what {
        "emergency" => Bar::Emergency,
        "closed" => Bar::Closed,
        _ => panic!("no bar: {what}"),
    }
}

pub(super) fn bar(what: &str) -> Input {
    Input::Bar {
        bar: named(what),
        reason: format!("{what} by op"),
    }
}

pub(super) fn unbar(what: &str) -> Input {
    Input::Unbar { bar: named(what) }
}
