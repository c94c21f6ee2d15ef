//! How well the store does: what it was sure of, how often its first guess was right, and how long receipts take.

use std::collections::BTreeMap;
use std::path::Path;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::shown;
use crate::checkout::decision::{AttributionVerdict, Decision, Hypothesis, ReviewId};
use crate::console::view::ReceiptView;
use crate::console::words::{counted, seconds};
use crate::console::{Asking, Console, page};
use crate::edge::journal::{Archive, JournalError};
use crate::units::Timestamp;

const HERE: &str = "/quality";
/// The last decisions of the journal that are looked at.
const DECISIONS_MAX: usize = 20_000;
/// Who closes a review that nobody has answered.
const DEADLINE: &str = "the deadline";
const HOUR_US: i64 = 3_600_000_000;
/// Hours of the first picture.
const HOURS_MAX: i64 = 24;
/// Tenths of a probability.
const BINS: usize = 10;
/// The picture's size, and the place of its bars, in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 160.0;
const BASE: f64 = 140.0;
/// The receipts' aim: within a second of the exit.
const AIM_MS: u64 = 1_000;

/// Changes of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Changes {
    sure: u64,
    asked: u64,
}

/// What people said to guesses that were about so probable.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Guesses {
    right: u64,
    all: u64,
}

/// What the last decisions say.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    /// By hour since the epoch.
    hours: BTreeMap<i64, Changes>,
    bins: [Guesses; BINS],
    /// The first guess of each open review.
    open: BTreeMap<ReviewId, Hypothesis>,
}

impl Tally {
    fn push(&mut self, decision: &Decision) {
        if let Decision::Attributed(change) | Decision::Unwatched(change) = decision {
            let hour = self
                .hours
                .entry(change.at.0.div_euclid(HOUR_US))
                .or_default();
            match &change.verdict {
                AttributionVerdict::Accepted => hour.sure += 1,
                AttributionVerdict::Review { review, .. } => {
                    hour.asked += 1;
                    let first = change.hypotheses.first().cloned();
                    self.open.extend(first.map(|first| (review.clone(), first)));
                }
                AttributionVerdict::Nothing { .. } => {}
            }
        }
        if let Decision::ReviewClosed {
            review,
            by,
            session,
            items,
            ..
        } = decision
            && let Some(first) = self.open.remove(review)
            // The deadline knows nothing of who it was.
            && by != DEADLINE
        {
            let bin = first.probability_ppm as usize * BINS / 1_000_001;
            let guesses = &mut self.bins[bin.min(BINS - 1)];
            guesses.all += 1;
            let right = first.session == *session && first.items == *items;
            guesses.right += u64::from(right);
        }
    }

    fn guesses(&self) -> Guesses {
        self.bins
            .iter()
            .fold(Guesses::default(), |sum, bin| Guesses {
                right: sum.right + bin.right,
                all: sum.all + bin.all,
            })
    }
}

fn read(path: &Path) -> Result<Tally, JournalError> {
    let archive = Archive::open(path)?;
    let last = archive.last_decision()?;
    let count = i64::try_from(DECISIONS_MAX).unwrap_or(i64::MAX);
    let mut tally = Tally::default();
    for (_, decision) in archive.decisions_after((last - count).max(0), DECISIONS_MAX)? {
        tally.push(&decision);
    }
    Ok(tally)
}

/// `GET /quality`
pub async fn show(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let view = console.views.borrow().clone();
    let path = console.journal.clone();
    let read = tokio::task::spawn_blocking(move || path.map_or(Ok(Tally::default()), |p| read(&p)));
    let tally = match read.await {
        Ok(Ok(tally)) => tally,
        Ok(Err(error)) => {
            let content = html! { h1 { "How well" } p .notice role="alert" { (page::capital(&error.to_string())) } };
            return shown(&console, &caller, HERE, "How well", &content);
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let content = html! {
        h1 { "How well" }
        p .meta { "By the last " (DECISIONS_MAX) " decisions of the journal and the last receipts." }
        div .columns {
            (sureness(&tally, view.now))
            (guesses(&tally))
            (delays(&view.receipts))
        }
    };
    shown(&console, &caller, HERE, "How well", &content)
}

fn sureness(tally: &Tally, now: Timestamp) -> Markup {
    let last = tally.hours.keys().next_back().copied();
    let last = last.unwrap_or(now.0.div_euclid(HOUR_US));
    let hours: Vec<Changes> = (last - HOURS_MAX + 1..=last)
        .map(|hour| tally.hours.get(&hour).copied().unwrap_or_default())
        .collect();
    let (sure, asked) = hours
        .iter()
        .fold((0, 0), |(s, a), h| (s + h.sure, a + h.asked));
    let most = hours.iter().map(|h| h.sure + h.asked).max().unwrap_or(0);
    let said = format!(
        "{} sure, {asked} left to people",
        counted(sure, "change", "changes")
    );
    let bar = WIDTH / HOURS_MAX as f64;
    html! {
        section .card aria-labelledby="h-sure" {
            h2 #h-sure { "Sure or asked, by hour" }
            p { (said) @if sure + asked > 0 { ": " b { (percent(asked, sure + asked)) " asked" } } }
            (picture(&said, &html! {
                @for (index, hour) in hours.iter().enumerate() {
                    @let x = index as f64 * bar + 2.0;
                    @let sure = height(hour.sure, most);
                    @let asked = height(hour.asked, most);
                    rect .good x=(x) y=(BASE - sure) width=(bar - 4.0) height=(sure) {}
                    rect .warn x=(x) y=(BASE - sure - asked) width=(bar - 4.0) height=(asked) {}
                }
                text x="0" y="156" { (HOURS_MAX - 1) " h before" }
                text .end x=(WIDTH) y="156" { "last hour" }
            }))
        }
    }
}

fn guesses(tally: &Tally) -> Markup {
    let all = tally.guesses();
    let said = match all.all {
        0 => "People have decided nothing yet".to_owned(),
        some => format!(
            "{} of {some} first guesses right, as people decided",
            all.right
        ),
    };
    let bar = WIDTH / BINS as f64;
    html! {
        section .card aria-labelledby="h-guess" {
            h2 #h-guess { "First guesses, by how likely they were" }
            p { (said) }
            (picture(&said, &html! {
                // Where a guess is right as often as it says, the bars end on this line.
                line .aim x1="0" y1=(BASE) x2=(WIDTH) y2=(BASE - height(1, 1)) {}
                @for (index, bin) in tally.bins.iter().enumerate() {
                    @let x = index as f64 * bar + 2.0;
                    @let right = height(bin.right, bin.all);
                    rect .good x=(x) y=(BASE - right) width=(bar - 4.0) height=(right) {}
                    text .middle x=(x + bar / 2.0 - 2.0) y="156" { (index * 10) " %" }
                    @if bin.all > 0 { text .middle x=(x + bar / 2.0 - 2.0) y=(BASE - right - 4.0) { (bin.all) } }
                }
            }))
            p .meta { "Over each bar stands how many there were; the line is where guesses are right as often as they say." }
        }
    }
}

fn delays(receipts: &[ReceiptView]) -> Markup {
    let mut sorted: Vec<u64> = receipts.iter().map(|receipt| receipt.delay_ms).collect();
    sorted.sort_unstable();
    let at = |share: f64| {
        let last = sorted.len().saturating_sub(1) as f64;
        sorted
            .get((last * share).round() as usize)
            .copied()
            .unwrap_or(0)
    };
    let said = match sorted.len() {
        0 => "No receipts yet".to_owned(),
        some => format!(
            "{}: half within {}, 99 % within {}",
            counted(some as u64, "receipt", "receipts"),
            seconds(at(0.5)),
            seconds(at(0.99))
        ),
    };
    let most = at(1.0).max(2 * AIM_MS);
    let step = WIDTH / receipts.len().max(1) as f64;
    html! {
        section .card aria-labelledby="h-late" {
            h2 #h-late { "From the exit to the receipt" }
            p { (said) }
            (picture(&said, &html! {
                @let aim = BASE - height(AIM_MS, most);
                line .aim x1="0" y1=(aim) x2=(WIDTH) y2=(aim) {}
                text x="2" y=(aim - 3.0) { "1 s" }
                // The newest is on the right.
                @for (index, receipt) in receipts.iter().rev().enumerate() {
                    circle cx=((index as f64 + 0.5) * step) cy=(BASE - height(receipt.delay_ms, most)) r="3" {}
                }
                text .end x=(WIDTH) y="156" { "last" }
            }))
        }
    }
}

fn picture(said: &str, inside: &Markup) -> Markup {
    html! {
        svg .chart role="img" aria-label=(said) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
            (inside)
            line .base x1="0" y1=(BASE) x2=(WIDTH) y2=(BASE) {}
        }
    }
}

/// The height of a bar, if the longest is as high as there is room.
fn height(of: u64, most: u64) -> f64 {
    let share = of as f64 / most.max(1) as f64;
    (share * (BASE - 20.0) * 10.0).round() / 10.0
}

fn percent(of: u64, all: u64) -> String {
    format!("{:.1} %", of as f64 * 100.0 / all.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkout::decision::Attributed;
    use crate::observation::{ChangeKind, Item, Stamp};
    use crate::units::Milligrams;

    #[test]
    fn a_guess_is_right_if_people_said_the_same() {
        let item = |product: &str| Item {
            product: product.into(),
            quantity: 1,
        };
        let change = |number: u64, verdict, ppm| {
            Decision::Attributed(Attributed {
                change: Stamp {
                    node: "n".into(),
                    outbox: "o".into(),
                    sequence: number,
                },
                at: Timestamp(HOUR_US * 7 + 1),
                shelf: "1.1".parse().unwrap(),
                kind: ChangeKind::Take,
                delta_mg: Milligrams(-1),
                plates: vec![1],
                verdict,
                hypotheses: vec![Hypothesis {
                    session: Some("s-1".into()),
                    items: vec![item("a")],
                    also: Vec::new(),
                    probability_ppm: ppm,
                }],
                reached: Vec::new(),
                clock: None,
                seen: None,
            })
        };
        let review = |name: &str| AttributionVerdict::Review {
            review: name.into(),
            reason: String::new(),
        };
        let closed = |name: &str, by: &str, product: &str| Decision::ReviewClosed {
            review: name.into(),
            at: Timestamp(0),
            by: by.to_owned(),
            session: Some("s-1".into()),
            items: vec![item(product)],
        };
        let mut tally = Tally::default();
        for decision in [
            change(1, AttributionVerdict::Accepted, 1_000_000),
            change(2, review("r1"), 650_000),
            change(3, review("r2"), 699_999),
            change(4, review("r3"), 1_000_000),
            closed("r1", "anna", "a"),
            closed("r2", "anna", "b"),
            closed("r3", DEADLINE, "a"),
        ] {
            tally.push(&decision);
        }
        assert_eq!(tally.hours[&7], Changes { sure: 1, asked: 3 });
        assert_eq!(tally.bins[6], Guesses { right: 1, all: 2 });
        assert_eq!(tally.guesses(), Guesses { right: 1, all: 2 });
    }
}
