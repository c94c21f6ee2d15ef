//! The language of scripts: a step a line, and what has to be so after it.

use std::sync::Arc;

use super::showing::name_of;
use super::{Bench, Gateway, KEY, faults, store};
use crate::checkout::entry_code::EntryCode;
use crate::coordinator::Input;
use crate::observation::{GateEvent, Item, Observation, OpenInterval, OutboxId};
use crate::store::NodeName;
use crate::units::Money;

impl Bench {
    /// Runs a script; the lines that do not hold, with what is so instead.
    pub fn run(&mut self, script: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            match line.strip_prefix('=').map(str::trim) {
                None => self.step(line),
                Some(expected) => {
                    let found = self.shown();
                    if !found.iter().any(|line| line == expected) {
                        wrong.push(format!("`{expected}`, but {found:?}"));
                    }
                }
            }
        }
        wrong
    }

    pub(super) fn step(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if self.control(&words) {
            return;
        }
        let t: f64 = words[0]
            .parse()
            .unwrap_or_else(|_| panic!("no step: {line}"));
        match words[1..] {
            ["see", who, place] => self.see(who, t, place, 1.0),
            ["see", who, place, seconds] => self.see(who, t, place, seconds.parse().unwrap()),
            ["take", plate, grams] => self.change(t, plate, -grams.parse::<f64>().unwrap()),
            ["put", plate, grams] => self.change(t, plate, grams.parse().unwrap()),
            ["touch", plate] => self.change(t, plate, 0.0),
            ["code", device] => self.show_code(t, device, KEY),
            ["code", device, "forged"] => self.show_code(t, device, b"another key"),
            ["same-code"] => self.show(t, self.last_code.clone()),
            ["in"] => self.send("gate", store::gate(t, GateEvent::PassedIn)),
            ["out"] => self.send("gate", store::gate(t, GateEvent::PassedOut)),
            ["mark"] => self.mark(t, |_| true),
            ["mark", "but", node] => self.mark(t, |n| n.as_str() != node),
            ["mark", node] => self.mark(t, |n| n.as_str() == node),
            ["open", node, shelf, since] => self.open(t, node, shelf, since.parse().unwrap()),
            ["stuck", node, at] => self.promise(t, node.into(), at.parse().unwrap(), vec![]),
            ["gap", node, from, to, ref rest @ ..] => self.gap(t, node, (from, to), rest),
            ["trouble", node, ref what @ ..] => self.status(t, node, &what.join(" ")),
            ["bar", what] => self.tell(faults::bar(what), t),
            ["unbar", what] => self.tell(faults::unbar(what), t),
            ["tick"] => self.tell(Input::Tick, t),
            ["end"] => self.tell(Input::EndOfRecording, t),
            ["verdict", who, ref items @ ..] => self.verdict(t, who, items),
            _ => panic!("no step: {line}"),
        }
    }

    /// Steps without a time.
    pub(super) fn control(&mut self, words: &[&str]) -> bool {
        match words {
            ["gateway", how @ ..] => {
                self.gateway = match how {
                    ["slow"] => Gateway::Slow,
                    ["away"] => Gateway::Away,
                    ["answers"] => Gateway::Answers,
                    ["declines", what] => Gateway::Declines((*what).to_owned()),
                    ["lapses", what] => Gateway::Lapses((*what).to_owned()),
                    other => panic!("no gateway: {other:?}"),
                };
                if self.gateway != Gateway::Away {
                    self.unanswered.extend(self.in_vain.drain(..));
                }
                self.answer(store::at(0.0));
            }
            ["agreed", device] => {
                self.agreed.insert((*device).into());
                let (device, second_charge) = ((*device).into(), true);
                self.handle(
                    Input::Payer {
                        device,
                        second_charge,
                    },
                    store::at(0.0),
                );
            }
            ["refund", who, minor] => {
                let sessions = &self.core.state().sessions;
                let session = sessions.values().find(|s| name_of(s) == *who).unwrap();
                let session = session.id.clone();
                let amount = Money::new(minor.parse().unwrap(), self.definition.currency);
                let by = "op".to_owned();
                self.handle(
                    Input::Refund {
                        session,
                        by,
                        amount,
                    },
                    store::at(0.0),
                );
            }
            ["again"] => {
                for (input, now) in self.told.clone() {
                    self.handle(input, now);
                }
            }
            ["crash"] => self.crash(),
            ["lost", node] => *self.sequences.entry((*node).into()).or_default() += 1,
            ["renew", node] => {
                self.sequences.remove(&NodeName::from(*node));
                *self.renewed.entry((*node).into()).or_default() += 1;
            }
            _ => return false,
        }
        true
    }

    pub(super) fn tell(&mut self, input: Input, t: f64) {
        self.told.push((input.clone(), store::at(t)));
        self.handle(input, store::at(t));
    }

    /// Sends an observation with the node's next stamp.
    pub(super) fn send(&mut self, node: &str, observation: Observation) {
        let t = store::seconds(observation.end());
        self.send_at(t, node, observation);
    }

    pub(super) fn send_at(&mut self, t: f64, node: &str, observation: Observation) {
        let sequence = self.sequences.entry(node.into()).or_default();
        *sequence += 1;
        let mut stamped = store::stamped(node, *sequence, observation);
        if let Some(fresh) = Arc::get_mut(&mut stamped) {
            fresh.stamp.outbox = self.outbox(&node.into());
        }
        self.tell(Input::Observation(stamped), t);
    }

    pub(super) fn outbox(&self, node: &NodeName) -> OutboxId {
        let generation = self.renewed.get(node);
        let suffix = generation.map_or(String::new(), |n| format!("-{n}"));
        format!("outbox-{node}{suffix}").as_str().into()
    }

    pub(super) fn see(&mut self, who: &str, t: f64, place: &str, seconds: f64) {
        for half in 0..(2.0 * seconds) as u32 {
            let segment = store::body(who, t + 0.5 * f64::from(half), place);
            self.send("ceiling", segment);
        }
    }

    pub(super) fn change(&mut self, t: f64, plate: &str, grams: f64) {
        let plate = plate.parse().unwrap();
        self.send(store::node_of(plate), store::change(plate, t, grams));
    }

    pub(super) fn show_code(&mut self, t: f64, device: &str, key: &[u8]) {
        let code = EntryCode::mint("corner", &device.into(), key, store::at(t)).unwrap();
        self.last_code = code.to_string();
        self.show(t, self.last_code.clone());
    }

    pub(super) fn show(&mut self, t: f64, code: String) {
        self.send("gate", store::gate(t, GateEvent::CodeShown { code }));
    }

    pub(super) fn mark(&mut self, t: f64, which: impl Fn(&NodeName) -> bool) {
        for node in self.nodes.clone().into_iter().filter(which) {
            self.promise(t, node, t, vec![]);
        }
    }

    pub(super) fn open(&mut self, t: f64, node: &str, shelf: &str, since: f64) {
        let open = OpenInterval {
            shelf: shelf.parse().unwrap(),
            since: store::at(since),
        };
        self.promise(t, node.into(), t, vec![open]);
    }

    pub(super) fn promise(&mut self, t: f64, node: NodeName, at: f64, open: Vec<OpenInterval>) {
        let sequence = self.sequences.get(&node).copied().unwrap_or(0);
        let mut watermark = store::watermark(&node, sequence, store::at(at), open);
        watermark.outbox = self.outbox(&node);
        self.tell(Input::Watermark(watermark), t);
    }

    pub(super) fn verdict(&mut self, t: f64, who: &str, items: &[&str]) {
        let review = self.core.state().reviews.keys().next().unwrap().clone();
        let session = self
            .core
            .state()
            .sessions
            .values()
            .find(|s| name_of(s) == who);
        let items = (items.iter())
            .map(|item| {
                let (product, quantity) = item.split_once('*').unwrap();
                Item {
                    product: product.into(),
                    quantity: quantity.parse().unwrap(),
                }
            })
            .collect();
        let verdict = Input::Verdict {
            review,
            by: "op".into(),
            session: match who {
                "nobody" => None,
                "stranger" => Some("s-unknown".into()),
                _ => Some(session.unwrap().id.clone()),
            },
            items,
        };
        self.tell(verdict, t);
    }
}
