//! Scenes: what the situations have shoppers do besides what they came for. Who plays what when is here; the scenes of
//! one are in [`super::solo`], those of two in [`super::duo`].

use std::collections::BTreeSet;

use rand::RngExt;
use rand::seq::SliceRandom;

use super::Store;
use super::random::{Stream, open};
use super::shopper::{Part, Phase, Premises, RETRY_S, Shopper};
use super::situation::{Cast, Situation};

/// So often each scene is played in a visit.
const TIMES: usize = 2;
/// A scene that has found no free place so many times is left out: two minutes of waiting.
const TRIES_MAX: u32 = 400;
/// What the situations ask of one visit.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// To be played alone, and together with the partner; the next ones last.
    pub alone: Vec<Situation>,
    pub together: Vec<Situation>,
    /// Number of the shopper that it plays with.
    partner: Option<u64>,
    pub waiting: Waiting,
    /// Times that no place was free for the next scene.
    pub tries: u32,
}

/// Whether a shopper waits for its partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Waiting {
    #[default]
    No,
    /// On the way to where it can.
    Nearly,
    Yes,
}

impl Script {
    /// That of the shopper of a number, of so many who come.
    pub fn of(
        seed: u64,
        number: u64,
        situations: &BTreeSet<Situation>,
        shoppers: Option<u32>,
    ) -> Self {
        let drawn = |cast: Cast, stream: u64| -> Vec<Situation> {
            let mut scenes: Vec<Situation> = (situations.iter())
                .filter(|one| one.cast() == cast)
                .flat_map(|&one| std::iter::repeat_n(one, TIMES))
                .collect();
            scenes.shuffle(&mut open(seed, Stream::Script(stream)));
            scenes
        };
        let partner = Some(number ^ 1).filter(|&other| shoppers.is_none_or(|n| other < n.into()));
        Script {
            alone: drawn(Cast::Alone, 2 * number),
            // Partners have the same scenes in the same order.
            together: match partner {
                Some(other) => drawn(Cast::Together, 2 * number.min(other) + 1),
                None => Vec::new(),
            },
            partner,
            ..Script::default()
        }
    }

    fn is_over(&self) -> bool {
        self.alone.is_empty() && self.together.is_empty()
    }

    /// Notes whether the next scene of a list found a place: then it is played, and else it is tried again.
    pub fn tried(&mut self, cast: Cast, played: bool) {
        self.tries += 1;
        if played || self.tries >= TRIES_MAX {
            self.tries = 0;
            match cast {
                Cast::Together => self.together.pop(),
                Cast::Alone | Cast::Extras | Cast::Everybody | Cast::Sensors => self.alone.pop(),
            };
        }
    }
}

impl Store {
    /// Lets the shopper of that index play the next scene, or wait for it. False if it follows its own mind now.
    pub(super) fn direct(&mut self, index: usize) -> bool {
        let everybody_came = (self.options.shoppers).is_some_and(|n| self.arrived >= n.into());
        let last = everybody_came
            && (self.shoppers.iter().enumerate())
                .filter(|(other, one)| *other != index && one.part == Part::Shopper)
                .all(|(_, one)| matches!(one.phase, Phase::Leaving | Phase::Gone));
        let shopper = &mut self.shoppers[index];
        if !matches!(shopper.phase, Phase::Choosing) || shopper.part != Part::Shopper {
            return false;
        }
        let premises = &mut self.premises;
        let leaves = shopper.stops_left == 0 && shopper.script.is_over();
        let takes_mixed = if leaves && last { 1.0 } else { 0.4 };
        if !premises.mixed.is_empty() && shopper.random.random_bool(takes_mixed) {
            shopper.take_mixed(premises);
            return true;
        }
        let partner = shopper
            .script
            .partner
            .filter(|_| !shopper.script.together.is_empty());
        let partner =
            partner.map(|number| self.shoppers.iter().position(|one| one.number == number));
        let ready = partner
            .flatten()
            .filter(|&other| self.shoppers[other].script.waiting == Waiting::Yes);
        if let Some(other) = ready {
            self.play_together(index, other);
            return true;
        }
        let shopper = &mut self.shoppers[index];
        let busy = shopper.stops_left > 0;
        if !shopper.script.alone.is_empty() && (!busy || shopper.random.random_bool(0.6)) {
            shopper.play_alone(&mut self.premises);
            return true;
        }
        let Some(found) = partner.filter(|_| !busy) else {
            return false;
        };
        let comes = shopper
            .script
            .partner
            .is_some_and(|number| self.arrived <= number);
        if found.is_some() || comes {
            shopper.wait_for_partner(&mut self.premises);
            true
        } else {
            shopper.script.together.clear();
            false
        }
    }
}

impl Shopper {
    /// Goes to where it is in nobody's way, and waits there.
    fn wait_for_partner(&mut self, premises: &mut Premises) {
        let now = self.next_t;
        self.next_t = now + RETRY_S;
        match self.script.waiting {
            Waiting::No => {
                let (x, _) = self.body.place(now);
                self.script.waiting = Waiting::Nearly;
                self.stand_back(now, x, 1.0, premises);
            }
            Waiting::Nearly | Waiting::Yes => self.script.waiting = Waiting::Yes,
        }
    }

    /// Stands back from the shelves if it stands before them, and looks again soon.
    pub fn make_room(&mut self, now: f64, premises: &mut Premises) {
        self.next_t = now + RETRY_S;
        let (x, y) = self.body.place(now);
        if premises.front_y - y < self.aisle_m - 0.01 {
            self.stand_back(now, x, 1.0, premises);
        }
    }
}
