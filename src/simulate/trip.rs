//! What shoppers come for: the mix of actions that a visit is made of.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::shopper::{Part, Premises};
use super::stock::Unit;

/// Probability that a shopper goes where somebody has just been.
const CROWD: f64 = 0.3;
/// Probability that something put back ends in a wrong facing.
const MISPLACE: f64 = 0.06;
/// Facings that are looked at for one with stock, before the shopper settles for touching an empty one.
const LOOKS_MAX: usize = 64;
/// Of so many facings that staff look at they fill the emptiest, or clear the fullest.
const STAFF_LOOKS: usize = 12;
/// Staff take something out only of facings with so many units.
const EXPIRED_AMONG: usize = 4;
/// Probability that staff take something out at a stop at which they may.
const TAKE_OUT: f64 = 0.7;

/// One thing that a shopper does. Facings are indices into the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Takes so many units at once.
    Pick { facing: usize, quantity: usize },
    /// Puts the last batch taken from one facing into one, mostly the same.
    PutBack { from: usize, into: usize },
    /// Presses or lifts, and leaves everything.
    Touch { facing: usize },
    /// Puts so many new units there.
    Restock { facing: usize, quantity: usize },
}

impl Action {
    fn facing(&self) -> usize {
        match *self {
            Action::Pick { facing, .. }
            | Action::PutBack { into: facing, .. }
            | Action::Touch { facing }
            | Action::Restock { facing, .. } => facing,
        }
    }
}

/// A place before the shelves, with what is done there.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// One after the other; never empty.
    pub actions: Vec<Action>,
}

impl Stop {
    /// Draws a stop for somebody in that part. `None` if the store has no facings.
    pub fn choose(
        part: Part,
        stops_left: u32,
        random: &mut ChaCha8Rng,
        held: &[(usize, Vec<Unit>)],
        premises: &mut Premises,
    ) -> Option<Stop> {
        match part {
            Part::Shopper => Stop::of_shopper(random, held, premises),
            Part::Tailgater => Stop::of_tailgater(random, premises),
            Part::Staff => Stop::of_staff(stops_left, random, premises),
        }
    }

    /// What may be done depends on what the shopper holds.
    fn of_shopper(
        random: &mut ChaCha8Rng,
        held: &[(usize, Vec<Unit>)],
        premises: &mut Premises,
    ) -> Option<Stop> {
        let facing = choose_facing(random, premises)?;
        premises.crowded = Some(facing);
        let what: f64 = random.random();
        let pick = |quantity| Action::Pick { facing, quantity };
        let actions = if what < 0.52 || (held.is_empty() && what >= 0.78) {
            vec![pick(1)]
        } else if what < 0.66 {
            vec![pick(random.random_range(2..4))]
        } else if what < 0.72 {
            vec![Action::Touch { facing }]
        } else if what < 0.78 {
            let back = Action::PutBack {
                from: facing,
                into: facing,
            };
            vec![pick(1), back]
        } else {
            let (from, _) = held[random.random_range(0..held.len())];
            let into = if random.random_bool(MISPLACE) {
                facing
            } else {
                from
            };
            vec![Action::PutBack { from, into }]
        };
        Some(Stop { actions })
    }

    /// Somebody who does not pay takes what is there, and keeps near the others.
    fn of_tailgater(random: &mut ChaCha8Rng, premises: &Premises) -> Option<Stop> {
        let facing = choose_facing(random, premises)?;
        let quantity = random.random_range(1..3);
        let actions = vec![Action::Pick { facing, quantity }];
        Some(Stop { actions })
    }

    /// Staff fill the emptiest facing of some, by the handful; every other time they may take out what has expired
    /// instead.
    fn of_staff(stops_left: u32, random: &mut ChaCha8Rng, premises: &Premises) -> Option<Stop> {
        let facings = premises.stock.facings();
        if facings.is_empty() {
            return None;
        }
        let looked_at: Vec<usize> = (0..STAFF_LOOKS)
            .map(|_| random.random_range(0..facings.len()))
            .collect();
        let by_units = |&&facing: &&usize| facings[facing].units();
        if stops_left.is_multiple_of(2)
            && random.random_bool(TAKE_OUT)
            && let Some(&facing) = looked_at.iter().max_by_key(by_units)
            && facings[facing].units() >= EXPIRED_AMONG
        {
            let quantity = random.random_range(1..3);
            let actions = vec![Action::Pick { facing, quantity }];
            return Some(Stop { actions });
        }
        let &facing = looked_at.iter().min_by_key(by_units)?;
        let room = facings[facing].room();
        let mut left = if facings[facing].is_low() {
            room
        } else {
            random.random_range(2..7).min(room)
        };
        let mut actions = Vec::new();
        while left > 0 {
            let quantity = random.random_range(1..4).min(left);
            left -= quantity;
            actions.push(Action::Restock { facing, quantity });
        }
        if actions.is_empty() {
            actions.push(Action::Touch { facing });
        }
        Some(Stop { actions })
    }

    /// Where one stands for it: before the middle of the facing.
    pub fn x(&self, premises: &Premises) -> f64 {
        let facings = premises.stock.facings();
        let x = (self.actions.first()).map(|act| facings[act.facing()].x(&premises.scales));
        x.unwrap_or(premises.gate.0)
    }
}

/// A facing with stock, if there is one among those that catch the eye.
fn choose_facing(random: &mut ChaCha8Rng, premises: &Premises) -> Option<usize> {
    let facings = premises.stock.facings();
    if facings.is_empty() {
        return None;
    }
    let crowd = random.random_bool(CROWD);
    if let Some(facing) = premises.crowded.filter(|_| crowd)
        && facings[facing].units() > 0
    {
        return Some(facing);
    }
    let mut facing = 0;
    for _ in 0..LOOKS_MAX {
        facing = random.random_range(0..facings.len());
        if facings[facing].units() > 0 {
            break;
        }
    }
    Some(facing)
}
