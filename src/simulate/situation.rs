//! The situations that are hard for a store, by name.

use std::fmt;
use std::str::FromStr;

use crate::store::Definition;
use crate::store::hint;

/// Weights that differ by less than this part of the lighter one are twins: no scale of a shelf tells them apart.
const TWIN_PART: f64 = 0.015;

/// Something that makes it hard to tell who took what. Each happens at least twice in a simulation that is long
/// enough for one visit; those of hands and goods, at least twice in every visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// Two shoppers reach into one facing, their hands within 0.3 m and 1 s of each other.
    SameFacing,
    /// Two shoppers reach over each other's arms, their heads 0.5 m apart.
    Crossed,
    /// A bag of 0.5 to 5 kg stands on 1 to 3 plates for 2 to 60 s.
    Bag,
    /// A hand lies on a shelf with 100 to 600 g for 2 to 60 s.
    RestingHand,
    /// An item is put among another product of nearly its weight, and one of the two is taken from there later.
    MisplacedTwin,
    /// Every item is lifted and set down over 1 to 3 s.
    SlowLift,
    /// Several items leave one shelf within a second.
    QuickPicks,
    /// The cameras are off by 9 cm at the hands, and see half of them.
    NoisyHands,
    /// The cameras see no hands.
    HeadsOnly,
    /// One in twenty of the nodes' messages is missing, and now and then a gondola says nothing for 1.5 s.
    LostSamples,
    /// Plates keep saying the same, or nothing, for some seconds, also while something is taken from them.
    StuckPlate,
    /// Clocks of nodes at the shelves are up to a second off.
    ClockSkew,
    /// Somebody without a code follows a shopper in and takes things.
    Tailgater,
    /// Staff come in with a code of their own, fill facings and take goods out.
    Staff,
    /// A shopper takes something and hands it to another.
    HandOver,
}

/// What plays a situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    /// Each shopper, twice a visit.
    Alone,
    /// Two shoppers who come one after the other, twice a visit.
    Together,
    /// Bodies that come besides the shoppers.
    Extras,
    /// How everybody moves.
    Everybody,
    /// The sensors.
    Sensors,
}

/// A name that is no situation's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownSituation {
    name: String,
    near: Option<&'static str>,
}

impl fmt::Display for UnknownSituation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no situation `{}`", self.name)?;
        match self.near {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => write!(f, ", only {}", names().join(", ")),
        }
    }
}

/// Why a situation cannot happen in a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("{situation} takes two: let at least 2 shoppers come")]
    TooFewShoppers { situation: Situation },
    #[error("{situation} takes a gate with a node that watches it, and this store has none")]
    NoGate { situation: Situation },
    #[error("{situation} takes a node that tracks bodies, and this store has none")]
    NoTracker { situation: Situation },
    #[error(
        "{situation} takes two products on one shelf whose weights differ by less than {:.1} %, and this store has none",
        100.0 * TWIN_PART
    )]
    NoTwins { situation: Situation },
}

impl Situation {
    /// Every situation.
    pub const ALL: [Situation; 15] = [
        Situation::SameFacing,
        Situation::Crossed,
        Situation::Bag,
        Situation::RestingHand,
        Situation::MisplacedTwin,
        Situation::SlowLift,
        Situation::QuickPicks,
        Situation::NoisyHands,
        Situation::HeadsOnly,
        Situation::LostSamples,
        Situation::StuckPlate,
        Situation::ClockSkew,
        Situation::Tailgater,
        Situation::Staff,
        Situation::HandOver,
    ];

    /// The name, and in a line what happens.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Situation::SameFacing => (
                "same-facing",
                "two shoppers at one facing, hands within 0.3 m and 1 s; both take, or one puts back",
            ),
            Situation::Crossed => (
                "crossed",
                "two shoppers reach over each other's arms, heads 0.5 m apart",
            ),
            Situation::Bag => (
                "bag",
                "a bag of 0.5 to 5 kg stands on 1 to 3 plates for 2 to 60 s",
            ),
            Situation::RestingHand => (
                "resting-hand",
                "a hand rests on a shelf with 100 to 600 g for 2 to 60 s",
            ),
            Situation::MisplacedTwin => (
                "misplaced-twin",
                "an item is left among another product of its weight, and one is taken from there",
            ),
            Situation::SlowLift => (
                "slow-lift",
                "everything is lifted and set down over 1 to 3 s",
            ),
            Situation::QuickPicks => (
                "quick-picks",
                "two to four picks on one shelf within a second",
            ),
            Situation::NoisyHands => (
                "noisy-hands",
                "hands are seen 9 cm off (standard deviation), and half of the time not at all",
            ),
            Situation::HeadsOnly => ("heads-only", "the cameras see heads and no hands"),
            Situation::LostSamples => (
                "lost-samples",
                "5 % of the messages are missing, and gondolas are silent for 1.5 s",
            ),
            Situation::StuckPlate => (
                "stuck-plate",
                "plates say the same, or nothing, for some seconds while goods are taken",
            ),
            Situation::ClockSkew => (
                "clock-skew",
                "clocks of nodes at the shelves are up to a second off",
            ),
            Situation::Tailgater => (
                "tailgater",
                "somebody without a code walks in behind a shopper and takes things",
            ),
            Situation::Staff => (
                "staff",
                "staff come in with a code of their own, fill facings and take goods out",
            ),
            Situation::HandOver => (
                "hand-over",
                "a shopper takes something and hands it to another",
            ),
        }
    }

    /// What people call it: `same-facing`.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What happens, in a line.
    pub fn about(self) -> &'static str {
        self.words().1
    }

    pub(super) fn cast(self) -> Cast {
        match self {
            Situation::Bag
            | Situation::RestingHand
            | Situation::MisplacedTwin
            | Situation::QuickPicks
            | Situation::StuckPlate => Cast::Alone,
            Situation::SameFacing | Situation::Crossed | Situation::HandOver => Cast::Together,
            Situation::Tailgater | Situation::Staff => Cast::Extras,
            Situation::SlowLift => Cast::Everybody,
            Situation::NoisyHands
            | Situation::HeadsOnly
            | Situation::LostSamples
            | Situation::ClockSkew => Cast::Sensors,
        }
    }

    /// Whether it can happen in a store that so many shoppers visit; `None`: they come for ever.
    pub fn possible(
        self,
        definition: &Definition,
        shoppers: Option<u32>,
    ) -> Result<(), Impossible> {
        let layout = &definition.layout;
        let situation = self;
        let gated = layout.gate.is_some() && layout.nodes.iter().any(|node| node.watches_gate);
        match self {
            Situation::SameFacing | Situation::Crossed | Situation::HandOver
                if shoppers.is_some_and(|n| n < 2) =>
            {
                Err(Impossible::TooFewShoppers { situation })
            }
            Situation::Tailgater | Situation::Staff if !gated => {
                Err(Impossible::NoGate { situation })
            }
            Situation::NoisyHands | Situation::HeadsOnly
                if !layout.nodes.iter().any(|node| node.tracks_bodies) =>
            {
                Err(Impossible::NoTracker { situation })
            }
            Situation::MisplacedTwin if !has_twins(definition) => {
                Err(Impossible::NoTwins { situation })
            }
            Situation::SameFacing
            | Situation::Crossed
            | Situation::HandOver
            | Situation::Tailgater
            | Situation::Staff
            | Situation::NoisyHands
            | Situation::HeadsOnly
            | Situation::MisplacedTwin
            | Situation::Bag
            | Situation::RestingHand
            | Situation::SlowLift
            | Situation::QuickPicks
            | Situation::LostSamples
            | Situation::StuckPlate
            | Situation::ClockSkew => Ok(()),
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Situation {
    type Err = UnknownSituation;
    fn from_str(name: &str) -> Result<Self, UnknownSituation> {
        let named = Situation::ALL.into_iter().find(|one| one.name() == name);
        named.ok_or_else(|| UnknownSituation {
            name: name.to_owned(),
            near: hint::nearest(name, names()),
        })
    }
}

fn names() -> Vec<&'static str> {
    Situation::ALL.into_iter().map(Situation::name).collect()
}

/// Whether two weights, grams, are those of twins.
pub(super) fn are_twins(a_g: f64, b_g: f64) -> bool {
    (a_g - b_g).abs() <= TWIN_PART * a_g.min(b_g)
}

fn has_twins(definition: &Definition) -> bool {
    let facings = || {
        definition.planogram.facings().iter().filter_map(|facing| {
            let product = definition.catalogue.get(facing.product.as_str())?;
            Some((
                facing.plates.first()?.shelf,
                &product.id,
                product.weight.grams(),
            ))
        })
    };
    facings().any(|(shelf, product, grams)| {
        grams >= super::stock::PICKABLE_G_MIN
            && facings().any(|(other_shelf, other, other_g)| {
                shelf == other_shelf && product != other && are_twins(grams, other_g)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_a_wrong_one_is_answered_with_its_neighbour() {
        for situation in Situation::ALL {
            assert_eq!(situation.name().parse(), Ok(situation));
        }
        for (name, said) in [
            (
                "croosed",
                "there is no situation `croosed`; did you mean `crossed`?",
            ),
            (
                "hand",
                "there is no situation `hand`; did you mean `hand-over`?",
            ),
            ("Bag", "there is no situation `Bag`; did you mean `bag`?"),
        ] {
            let error = name.parse::<Situation>().unwrap_err();
            assert_eq!(error.to_string(), said);
        }
        let error = "earthquake".parse::<Situation>().unwrap_err().to_string();
        assert!(
            error.starts_with("there is no situation `earthquake`, only same-facing, crossed, "),
            "{error}"
        );
    }
}
