//! What a node's service hears of its gate: from the pins, and from the scanner.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::service::Anchor;
use crate::edge::gate::keeper::{News, What};
use crate::observation::{GateEvent, GateState};
use crate::units::Timestamp;

/// That somebody came in uninvited is told for so long.
const UNINVITED_FOR: Duration = Duration::from_secs(60);

/// The gate of a node.
#[derive(Debug)]
pub struct GateWatch {
    news: mpsc::Receiver<News>,
    codes: Option<mpsc::Receiver<String>>,
    anchor: Anchor,
    state: Option<GateState>,
    uninvited: u32,
    uninvited_at: Option<Instant>,
}

/// Something that was heard.
#[derive(Debug)]
pub enum Heard {
    News(News),
    Code(String),
}

impl GateWatch {
    /// `anchor` is that of the gate's board.
    pub fn new(
        news: mpsc::Receiver<News>,
        codes: Option<mpsc::Receiver<String>>,
        anchor: Anchor,
    ) -> Self {
        GateWatch {
            news,
            codes,
            anchor,
            state: None,
            uninvited: 0,
            uninvited_at: None,
        }
    }

    /// What comes next; `None` once the gate's thread has ended. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Heard> {
        let codes = &mut self.codes;
        let code = async {
            match codes {
                Some(codes) => codes.recv().await,
                None => None,
            }
        };
        tokio::select! {
            news = self.news.recv() => news.map(Heard::News),
            Some(code) = code => Some(Heard::Code(code)),
        }
    }

    /// Notes what was heard; what the coordinator is to be told, and when it was.
    pub fn note(&mut self, heard: Heard, now: Timestamp) -> Option<(Timestamp, GateEvent)> {
        match heard {
            Heard::Code(code) => Some((now, GateEvent::CodeShown { code })),
            Heard::News(News { at_us, what }) => match what {
                What::Event(event) => Some((self.anchor.at(at_us), event)),
                What::State(state) => {
                    if state == GateState::Alarm {
                        tracing::error!("the emergency input is on: the gate stands open");
                    }
                    self.state = Some(state);
                    None
                }
                What::Uninvited => {
                    if self.notice().is_empty() {
                        self.uninvited = 0;
                    }
                    self.uninvited += 1;
                    self.uninvited_at = Some(Instant::now());
                    tracing::warn!("somebody has come in whom no code let in");
                    None
                }
            },
        }
    }

    /// How the gate stands.
    pub fn state(&self) -> Option<GateState> {
        self.state
    }

    /// What the owner may want to know, in a sentence; empty if nothing.
    pub fn notice(&self) -> String {
        let is_recent = |at: &Instant| at.elapsed() < UNINVITED_FOR;
        match (self.uninvited_at.filter(is_recent), self.uninvited) {
            (None, _) => String::new(),
            (Some(_), 1) => "one has come in whom no code let in".to_owned(),
            (Some(_), more) => format!("{more} have come in whom no code let in"),
        }
    }
}
