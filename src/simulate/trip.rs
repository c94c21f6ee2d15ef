//! What shoppers come for: the mix of actions that a visit is made of.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::shopper::Premises;
use super::stock::Unit;

/// Probability that a shopper goes where somebody has just been.
const CROWD: f64 = 0.3;
/// Probability that something put back ends in a wrong facing.
const MISPLACE: f64 = 0.06;
/// Facings that are looked at for one with stock, before the shopper settles for touching an empty one.
const LOOKS_MAX: usize = 64;

/// One thing that a shopper does. Facings are indices into the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Takes so many units at once.
    Pick { facing: usize, quantity: usize },
    /// Puts the last batch taken from one facing into one, mostly the same.
    PutBack { from: usize, into: usize },
    /// Presses or lifts, and leaves everything.
    Touch { facing: usize },
}

impl Action {
    fn facing(&self) -> usize {
        match *self {
            Action::Pick { facing, .. }
            | Action::PutBack { into: facing, .. }
            | Action::Touch { facing } => facing,
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
    /// Draws a stop: what may be done depends on what the shopper holds. `None` if the store has no facings.
    pub fn choose(
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

    /// Where one stands for it: before the middle of the facing.
    pub fn x(&self, premises: &Premises) -> f64 {
        let facings = premises.stock.facings();
        let plates = self.actions.first().map(|action| {
            let plates = &facings[action.facing()].plates;
            let sum: f64 = (plates.iter())
                .map(|&plate| premises.scales.front(plate).x)
                .sum();
            sum / plates.len() as f64
        });
        plates.unwrap_or(premises.gate.0)
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
