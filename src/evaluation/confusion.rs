//! What still goes wrong: how each wrongly charged and each missed unit came about.
//!
//! Units that happened and units that were decided are first paired off where product, shopper, shelf and time agree.
//! What is left over on either side explains the difference between the receipts and the truth.

use std::fmt;

use super::changes::{Change, Changes, Outcome};
use super::score::{Units, charged, expected, surplus};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::{SessionId, Sessions};
use crate::observation::ChangeKind;
use crate::recording::{TrueEvent, Truth};
use crate::store::ShelfId;
use crate::store::catalogue::canonical;
use crate::units::Timestamp;

/// A change is decided for a moment this long before what it is about, at most, seconds (clocks differ) ...
const EARLY_S: f64 = 1.5;
/// ... and this long after (a lift may be slow, and counts from its middle).
const LATE_S: f64 = 4.0;

/// How a unit came to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Another shopper was charged for it.
    WrongShopper,
    /// The right shopper was charged for another product.
    WrongProduct,
    /// Shopper and product are right; more or fewer were taken.
    WrongQuantity,
    /// The change was seen, and too doubtful to charge.
    InReview,
    /// The change was seen, and taken for nobody's or for no product of ours.
    TakenForNothing,
    /// No change was seen on that shelf at that time.
    NotSeen,
    /// It was put back, and the cart still has it.
    PutBackMissed,
    /// It was kept, and a put-back is said to have brought it back.
    PhantomPutBack,
    /// Charged, and nobody took anything like it there and then.
    Phantom,
    /// What happened and what was decided tell no story.
    Untraced,
}

impl Class {
    /// Every class, in the order of a table.
    pub const ALL: [Class; 10] = [
        Class::WrongShopper,
        Class::WrongProduct,
        Class::WrongQuantity,
        Class::InReview,
        Class::TakenForNothing,
        Class::NotSeen,
        Class::PutBackMissed,
        Class::PhantomPutBack,
        Class::Phantom,
        Class::Untraced,
    ];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::WrongShopper => "wrong shopper",
            Class::WrongProduct => "wrong product",
            Class::WrongQuantity => "wrong quantity",
            Class::InReview => "in review",
            Class::TakenForNothing => "taken for nothing",
            Class::NotSeen => "not seen",
            Class::PutBackMissed => "put-back missed",
            Class::PhantomPutBack => "phantom put-back",
            Class::Phantom => "phantom",
            Class::Untraced => "untraced",
        })
    }
}

/// A unit, or a pair of them, that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    pub class: Class,
    /// Units charged that should not be: 0 or 1.
    pub wrong: u64,
    /// Units not charged that should be: 0 or 1.
    pub missed: u64,
    /// Seconds since the recording's start, where it is known.
    pub at_s: Option<f64>,
    pub shelf: Option<ShelfId>,
    /// What happened, and what was decided.
    pub expected: String,
    pub decided: String,
}

/// Everything that is wrong with the receipts of a case. The wrong and the missed units sum to those of its score.
///
/// `start` is the moment from which the truth counts its seconds.
pub fn mistakes(
    truth: &Truth,
    receipts: &[Receipt],
    changes: &Changes,
    sessions: &Sessions,
    start: Timestamp,
) -> Vec<Mistake> {
    let (expected, charged) = (expected(truth), charged(receipts));
    let mut case = Case {
        wrong: surplus(&charged, &expected),
        missed: surplus(&expected, &charged),
        happened: (truth.events.iter()).flat_map(happened).collect(),
        decided: decided(changes, sessions, start, |o| *o == Outcome::Charged),
        doubtful: decided(changes, sessions, start, |o| {
            matches!(o, Outcome::Review(_))
        }),
        changes,
        sessions,
        start,
        found: Vec::new(),
    };
    case.pair_off();
    while let Some(unit) = pop(&mut case.wrong) {
        let mistake = case.wrongly_charged(&unit);
        case.found.push(mistake);
    }
    while let Some(unit) = pop(&mut case.missed) {
        let mistake = case.missed(&unit);
        case.found.push(mistake);
    }
    case.found
}

/// A unit that went from a shelf or came to it: really, or as it was decided.
#[derive(Clone, Debug)]
struct Moved {
    who: String,
    product: String,
    at_s: f64,
    /// `None` where the truth does not say.
    shelf: Option<ShelfId>,
    take: bool,
    /// What it was paired off with has the same shopper, product, shelf and time.
    paired: bool,
}

impl Moved {
    /// Whether a decided unit (`self`) can be about one that happened.
    fn is_about(&self, happened: &Moved) -> bool {
        let later_s = self.at_s - happened.at_s;
        self.take == happened.take
            && (-EARLY_S..=LATE_S).contains(&later_s)
            && happened.shelf.is_none_or(|shelf| self.shelf == Some(shelf))
    }

    fn is_of(&self, (who, product): &(String, String)) -> bool {
        self.who == *who && self.product == *product
    }

    fn unit(&self) -> (String, String) {
        (self.who.clone(), self.product.clone())
    }

    fn told(&self) -> String {
        let how = if self.take { "took" } else { "put back" };
        format!("{} {how} {}", self.who, self.product)
    }
}

/// The units of an event, each for itself; none of one that moved no product.
fn happened(event: &TrueEvent) -> Vec<Moved> {
    let take = match event.kind.as_str() {
        "pick" => true,
        "put_back" => false,
        _ => return Vec::new(),
    };
    let Some(product) = &event.barcode else {
        return Vec::new();
    };
    let shelf = (event.plates.first()).map(|&[gondola, shelf, _]| ShelfId { gondola, shelf });
    let moved = Moved {
        who: event.target_id.to_string(),
        product: canonical(product.as_str()).to_owned(),
        at_s: event.t,
        shelf,
        take,
        paired: false,
    };
    vec![moved; event.quantity.unwrap_or(1) as usize]
}

/// The units of the changes with such an outcome, each for itself.
fn decided(
    changes: &Changes,
    sessions: &Sessions,
    start: Timestamp,
    such: fn(&Outcome) -> bool,
) -> Vec<Moved> {
    (changes.changes.iter())
        .filter(|change| such(&change.outcome))
        .flat_map(|change| {
            (change.moved.iter()).flat_map(move |moved| {
                let session = moved.session.as_ref();
                (moved.items.iter()).flat_map(move |item| {
                    let unit = session.map(|session| Moved {
                        who: name(session, sessions),
                        product: canonical(item.product.as_str()).to_owned(),
                        at_s: change.at.seconds_since(start),
                        shelf: Some(change.shelf),
                        take: moved.is_take,
                        paired: false,
                    });
                    unit.into_iter()
                        .flat_map(|unit| vec![unit; item.quantity as usize])
                })
            })
        })
        .collect()
}

fn is_take(kind: ChangeKind) -> Option<bool> {
    match kind {
        ChangeKind::Take => Some(true),
        ChangeKind::Put => Some(false),
        ChangeKind::Touch | ChangeKind::Foreign | ChangeKind::Unsure => None,
    }
}

/// The name by which the truth knows a session.
fn name(session: &SessionId, sessions: &Sessions) -> String {
    let track = sessions.get(session).and_then(|s| s.track.as_ref());
    track.map_or(session.as_str(), |t| t.as_str()).to_owned()
}

struct Case<'a> {
    wrong: Units,
    missed: Units,
    happened: Vec<Moved>,
    /// What carts followed from.
    decided: Vec<Moved>,
    /// What is likeliest of the changes in doubt: a cart may hold it all the same, if all that is likely agrees on that.
    doubtful: Vec<Moved>,
    changes: &'a Changes,
    sessions: &'a Sessions,
    start: Timestamp,
    found: Vec<Mistake>,
}

impl Case<'_> {
    /// Pairs what happened with what was rightly decided. A rightly guessed doubt leaves what happened open, for it may
    /// have gone uncharged.
    fn pair_off(&mut self) {
        for (i, j) in pairs(&self.happened, &self.decided) {
            self.happened[i].paired = true;
            self.decided[j].paired = true;
        }
        for (_, j) in pairs(&self.happened, &self.doubtful) {
            self.doubtful[j].paired = true;
        }
    }

    /// Why a unit was charged that should not be; takes what was missed for it out of the missed.
    fn wrongly_charged(&mut self, unit: &(String, String)) -> Mistake {
        let open = |moved: &Moved, take| !moved.paired && moved.take == take && moved.is_of(unit);
        if let Some(index) = self.decided.iter().position(|d| open(d, true)) {
            self.decided[index].paired = true;
            let decided = self.decided[index].clone();
            return self.wrongly_decided(unit, &decided);
        }
        if let Some(index) = self.happened.iter().position(|h| open(h, false)) {
            self.happened[index].paired = true;
            let put = self.happened[index].clone();
            return Mistake {
                decided: self.seen(&put),
                ..mistake(Class::PutBackMissed, (1, 0), Some(&put), put.told())
            };
        }
        if let Some(index) = self.doubtful.iter().position(|d| open(d, true)) {
            self.doubtful[index].paired = true;
            let decided = self.doubtful[index].clone();
            return self.wrongly_decided(unit, &decided);
        }
        Mistake {
            decided: format!("{} was charged for {}", unit.0, unit.1),
            ..mistake(Class::Untraced, (1, 0), None, String::new())
        }
    }

    /// A take that was decided, and was none, or not that.
    fn wrongly_decided(&mut self, unit: &(String, String), decided: &Moved) -> Mistake {
        let ranked = [
            (Class::WrongShopper, [false, true]),
            (Class::WrongProduct, [true, false]),
            (Class::WrongShopper, [false, false]),
        ];
        for (class, same) in ranked {
            let about = |h: &Moved| {
                !h.paired
                    && decided.is_about(h)
                    && [h.who == unit.0, h.product == unit.1] == same
                    && self.missed.contains_key(&h.unit())
            };
            if let Some(index) = self.happened.iter().position(about) {
                self.happened[index].paired = true;
                let happened = self.happened[index].clone();
                take_one(&mut self.missed, &happened.unit());
                return Mistake {
                    decided: decided.told(),
                    ..mistake(class, (1, 1), Some(&happened), happened.told())
                };
            }
        }
        let near = |h: &&Moved| decided.is_about(h);
        let more = self.happened.iter().any(|h| near(&h) && h.is_of(unit));
        let class = if more {
            Class::WrongQuantity
        } else {
            Class::Phantom
        };
        let there: Vec<String> = self.happened.iter().filter(near).map(Moved::told).collect();
        Mistake {
            decided: decided.told(),
            ..mistake(class, (1, 0), Some(decided), there.join(", "))
        }
    }

    /// Why a unit was not charged.
    fn missed(&mut self, unit: &(String, String)) -> Mistake {
        let open = |moved: &Moved, take| !moved.paired && moved.take == take && moved.is_of(unit);
        if let Some(index) = self.happened.iter().position(|h| open(h, true)) {
            self.happened[index].paired = true;
            let pick = self.happened[index].clone();
            return Mistake {
                decided: self.seen(&pick),
                ..mistake(self.overlooked(&pick), (0, 1), Some(&pick), pick.told())
            };
        }
        if let Some(index) = self.decided.iter().position(|d| open(d, false)) {
            self.decided[index].paired = true;
            let put = self.decided[index].clone();
            return Mistake {
                decided: put.told(),
                ..mistake(Class::PhantomPutBack, (0, 1), Some(&put), String::new())
            };
        }
        let doubted = (self.changes.doubted.iter()).any(|doubted| {
            let who = doubted.session.as_ref().map(|s| name(s, self.sessions));
            let same = |code: &str| canonical(code) == unit.1;
            who.is_some_and(|who| who == unit.0)
                && doubted.items.iter().any(|i| same(i.product.as_str()))
        });
        let (class, decided) = if doubted {
            (Class::InReview, "in doubt until the end")
        } else {
            (Class::Untraced, "not charged in the end")
        };
        let expected = format!("{} has {}", unit.0, unit.1);
        Mistake {
            decided: decided.to_owned(),
            ..mistake(class, (0, 1), None, expected)
        }
    }

    /// What stands in the way of a pick that was not charged, by the changes of its shelf around it.
    fn overlooked(&self, pick: &Moved) -> Class {
        let near: Vec<&Change> = self.near(pick).collect();
        let any = |of: fn(&Outcome) -> bool| near.iter().any(|change| of(&change.outcome));
        if any(|o| matches!(o, Outcome::Review(_))) {
            return Class::InReview;
        }
        let about = |d: &&Moved| d.is_about(pick);
        let fewer = (self.decided.iter().filter(about)).any(|d| d.is_of(&pick.unit()));
        let other = (self.decided.iter().filter(about)).find(|d| !d.paired);
        match other {
            _ if fewer => Class::WrongQuantity,
            Some(other) if other.who == pick.who => Class::WrongProduct,
            Some(_) => Class::WrongShopper,
            None if any(|o| matches!(o, Outcome::Nothing(_))) => Class::TakenForNothing,
            None => Class::NotSeen,
        }
    }

    /// The changes that can be about something that happened.
    fn near<'b>(&'b self, happened: &'b Moved) -> impl Iterator<Item = &'b Change> + 'b {
        self.changes.changes.iter().filter(|change| {
            let later_s = change.at.seconds_since(self.start) - happened.at_s;
            (-EARLY_S..=LATE_S).contains(&later_s)
                && happened.shelf.is_none_or(|shelf| shelf == change.shelf)
                && is_take(change.kind).is_none_or(|take| take == happened.take)
        })
    }

    /// What the store made of something that happened.
    fn seen(&self, happened: &Moved) -> String {
        let told = |change: &Change| {
            let moved: Vec<String> = (change.moved.iter())
                .map(|moved| {
                    let who = moved.session.as_ref().map(|s| name(s, self.sessions));
                    let items = moved.items.iter();
                    let items: Vec<String> = items
                        .map(|i| format!("{} x {}", i.quantity, i.product))
                        .collect();
                    format!(
                        "{}: {}",
                        who.as_deref().unwrap_or("nobody"),
                        items.join(" + ")
                    )
                })
                .collect();
            let how = match &change.outcome {
                Outcome::Charged => "charged".to_owned(),
                Outcome::Review(why) => format!("review ({why})"),
                Outcome::Nothing(why) => format!("nothing ({why})"),
            };
            format!("{how} {}", moved.join(", "))
        };
        let seen: Vec<String> = self.near(happened).map(told).collect();
        if seen.is_empty() {
            "no change".to_owned()
        } else {
            seen.join("; ")
        }
    }
}

/// What happened and what was decided of the same shopper, product, shelf and time: nearest in time first, each once.
fn pairs(happened: &[Moved], decided: &[Moved]) -> Vec<(usize, usize)> {
    let mut close = Vec::new();
    for (i, happened) in happened.iter().enumerate() {
        for (j, decided) in decided.iter().enumerate() {
            let free = !happened.paired && !decided.paired;
            if free && decided.is_about(happened) && decided.is_of(&happened.unit()) {
                close.push(((decided.at_s - happened.at_s).abs(), i, j));
            }
        }
    }
    close.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (_, i, j) in close {
        if pairs.iter().all(|(a, b)| *a != i && *b != j) {
            pairs.push((i, j));
        }
    }
    pairs
}

fn mistake(
    class: Class,
    (wrong, missed): (u64, u64),
    about: Option<&Moved>,
    expected: String,
) -> Mistake {
    Mistake {
        class,
        wrong,
        missed,
        at_s: about.map(|moved| moved.at_s),
        shelf: about.and_then(|moved| moved.shelf),
        expected: if expected.is_empty() {
            "nothing".to_owned()
        } else {
            expected
        },
        decided: String::new(),
    }
}

/// Takes one of the first units.
fn pop(units: &mut Units) -> Option<(String, String)> {
    let unit = units.keys().next()?.clone();
    take_one(units, &unit);
    Some(unit)
}

fn take_one(units: &mut Units, unit: &(String, String)) {
    if let Some(n) = units.get_mut(unit) {
        *n -= 1;
        if *n == 0 {
            units.remove(unit);
        }
    }
}

#[cfg(test)]
mod tests;
