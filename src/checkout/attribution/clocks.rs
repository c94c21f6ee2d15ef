//! How far each node's clock is off the cameras', learnt from the movements that explain its changes.
//!
//! Who reached for a shelf is told by when they did, so a clock that is off by half a second gives the goods to the
//! wrong hand. Most nodes are within tens of milliseconds, a few are a second off, and nothing but the reaches
//! themselves says which. So an offset is never assumed: each node has a probability for each offset on a grid, a reach
//! is judged by its mean over them, and each change makes those offsets likelier at which somebody's hand was there.
//! It is a histogram filter (S. Thrun, W. Burgard, D. Fox, "Probabilistic Robotics", 2005, chapter 4).

use std::collections::BTreeMap;

use super::beliefs::NOBODY;
use crate::checkout::decision::ClockEstimate;
use crate::store::NodeName;

/// Between two offsets of the grid, milliseconds: less than the moment of a reach is known to.
const STEP_MS: i64 = 50;
/// Offsets of the grid on either side of none.
const STEPS: usize = 24;
/// Offsets that are told apart.
pub const OFFSETS: usize = 2 * STEPS + 1;
/// The largest offset that is considered, seconds.
pub const OFFSET_MAX_S: f64 = STEPS as f64 * STEP_MS as f64 / 1e3;
/// Standard deviation of the offset of a clock that is kept, and of one that is not, seconds.
const KEPT_S: f64 = 0.06;
const UNKEPT_S: f64 = 0.5;
/// Share of the clocks that are not kept.
const UNKEPT: f64 = 0.2;
/// How likely a node that nothing is known of yet is off as others are: then it is the cameras' clock that is off.
const ALIKE: f64 = 0.3;
/// How likely a clock has been set anew since the last change, and has drifted by a step.
const SET_ANEW: f64 = 0.002;
const DRIFTED: f64 = 0.01;
/// How likely a change is nobody's whom the cameras show, on the scale of a reach: such a one says nothing of the clock.
const UNSEEN: f64 = 0.02;

/// A number for each offset.
pub type PerOffset = [f64; OFFSETS];

/// How far ahead of the cameras' clock the node's is at an index of the grid, seconds.
pub fn offset_s(index: usize) -> f64 {
    (index as i64 - STEPS as i64) as f64 * STEP_MS as f64 / 1e3
}

/// How likely each offset of a clock is.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockBelief {
    /// They sum to one.
    weights: PerOffset,
}

impl Default for ClockBelief {
    /// Of a node that nothing is known of, in a store of which nothing is known.
    fn default() -> Self {
        let normal = |sigma: f64| {
            let density: PerOffset =
                std::array::from_fn(|i| (-0.5 * (offset_s(i) / sigma).powi(2)).exp());
            ClockBelief::of(density)
        };
        normal(KEPT_S).mixed(UNKEPT, &normal(UNKEPT_S))
    }
}

impl ClockBelief {
    fn of(weights: PerOffset) -> Self {
        let all: f64 = weights.iter().sum();
        ClockBelief {
            weights: weights.map(|w| w / all),
        }
    }

    /// A clock that is never off.
    pub fn exact() -> Self {
        ClockBelief {
            weights: std::array::from_fn(|i| if i == STEPS { 1.0 } else { 0.0 }),
        }
    }

    fn mixed(&self, share: f64, other: &ClockBelief) -> Self {
        ClockBelief {
            weights: std::array::from_fn(|i| {
                (1.0 - share) * self.weights[i] + share * other.weights[i]
            }),
        }
    }

    /// The probability of an offset by its index.
    pub fn weight(&self, index: usize) -> f64 {
        self.weights[index]
    }

    /// How far ahead of the cameras' clock it can be: further has no more than the probability `doubt`. Seconds.
    pub fn ahead_at_most_s(&self, doubt: f64) -> f64 {
        let mut beyond = 0.0;
        let ahead = |i: &usize| {
            beyond += self.weights[*i];
            beyond > doubt
        };
        (0..OFFSETS)
            .rev()
            .find(ahead)
            .map_or(OFFSET_MAX_S, offset_s)
    }

    /// The mean of what is given for each offset.
    pub fn mean(&self, values: &PerOffset) -> f64 {
        self.weights.iter().zip(values).map(|(w, v)| w * v).sum()
    }

    /// After a change that each offset explains so well.
    fn after(&self, likelihoods: &PerOffset) -> Self {
        let unseen = NOBODY + UNSEEN;
        ClockBelief::of(std::array::from_fn(|i| {
            self.weights[i] * (likelihoods[i] + unseen)
        }))
    }

    /// Before the next change: the clock may have drifted, or been set anew.
    fn later(&self) -> Self {
        let at = |i: usize| self.weights[i.min(OFFSETS - 1)];
        let drifted = ClockBelief {
            weights: std::array::from_fn(|i| {
                let beside = at(i.saturating_sub(1)) + at(i + 1);
                (1.0 - DRIFTED) * at(i) + 0.5 * DRIFTED * beside
            }),
        };
        drifted.mixed(SET_ANEW, &ClockBelief::default())
    }

    fn estimate(&self) -> ClockEstimate {
        let ppm = self.weights.map(|w| (w * 1e6).round() as u32);
        let first = ppm.iter().position(|&w| w > 0).unwrap_or(STEPS);
        let last = ppm.iter().rposition(|&w| w > 0).unwrap_or(STEPS);
        let mean_s = self.mean(&std::array::from_fn(offset_s));
        ClockEstimate {
            offset_ms: (mean_s * 1e3).round() as i64,
            from_ms: (first as i64 - STEPS as i64) * STEP_MS,
            ppm: ppm[first..=last].to_vec(),
        }
    }
}

impl From<&ClockEstimate> for ClockBelief {
    fn from(estimate: &ClockEstimate) -> Self {
        let first = estimate.from_ms / STEP_MS + STEPS as i64;
        let ppm = |i: usize| {
            let index = usize::try_from(i as i64 - first).ok()?;
            estimate.ppm.get(index).copied()
        };
        let weights: PerOffset = std::array::from_fn(|i| f64::from(ppm(i).unwrap_or(0)));
        if weights.iter().sum::<f64>() > 0.0 {
            ClockBelief::of(weights)
        } else {
            ClockBelief::default()
        }
    }
}

/// What is believed of every node's clock.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    nodes: BTreeMap<NodeName, ClockBelief>,
}

impl Clocks {
    /// What to expect of a node's clock at its next change.
    pub fn before(&self, node: &NodeName) -> ClockBelief {
        let known = self.nodes.get(node).map(ClockBelief::later);
        known.unwrap_or_else(|| {
            let prior = ClockBelief::default();
            if self.nodes.is_empty() {
                return prior;
            }
            let sum = |i: usize| self.nodes.values().map(|b| b.weights[i]).sum();
            prior.mixed(ALIKE, &ClockBelief::of(std::array::from_fn(sum)))
        })
    }

    /// Learns from a change that each offset explains so well, given what was expected before it. What is remembered is
    /// what is given back, so that whoever reads the journal knows the same.
    pub fn learn(
        &mut self,
        node: &NodeName,
        before: &ClockBelief,
        likelihoods: &PerOffset,
    ) -> ClockEstimate {
        let estimate = before.after(likelihoods).estimate();
        self.restore(node, &estimate);
        estimate
    }

    /// Takes back an estimate of the journal.
    pub fn restore(&mut self, node: &NodeName, estimate: &ClockEstimate) {
        self.nodes.insert(node.clone(), estimate.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How well reaches whose middles are `at_s` before the node says that something happened explain it.
    fn reaches(at_s: &[f64]) -> PerOffset {
        std::array::from_fn(|i| {
            let off = |at: &f64| (-0.5 * ((offset_s(i) - at) / 0.13).powi(2)).exp();
            at_s.iter().map(off).sum()
        })
    }

    #[test]
    fn how_far_a_clock_can_be_ahead_is_known_once_reaches_tell() {
        const DOUBT: f64 = 0.005;
        let node = NodeName::from("a");
        let mut clocks = Clocks::default();
        assert!(ClockBelief::exact().ahead_at_most_s(DOUBT).abs() < 1e-9);
        assert!(clocks.before(&node).ahead_at_most_s(DOUBT) > 0.9);
        for _ in 0..6 {
            let before = clocks.before(&node);
            clocks.learn(&node, &before, &reaches(&[0.2]));
        }
        let ahead_s = clocks.before(&node).ahead_at_most_s(DOUBT);
        assert!((0.2..0.6).contains(&ahead_s), "{ahead_s}");
    }

    #[test]
    fn an_offset_is_learnt_from_clear_reaches() {
        // The reaches at each change of one node, and the offset that is believed in the end, give or take.
        let cases: &[(&str, &[&[f64]], f64, f64)] = &[
            ("nothing is known", &[], 0.0, 0.001),
            (
                "a good clock stays good",
                &[&[0.02], &[-0.05], &[0.04]],
                0.0,
                0.03,
            ),
            ("a second off", &[&[0.9], &[0.94], &[0.9]], 0.9, 0.05),
            (
                "two reached each time",
                &[
                    &[0.6, -0.2],
                    &[0.6, 0.1],
                    &[0.6, -0.7],
                    &[0.6, -0.4],
                    &[0.6, 0.3],
                ],
                0.6,
                0.05,
            ),
            ("nobody was seen", &[&[], &[]], 0.0, 0.01),
            (
                "one odd reach changes little",
                &[&[0.0], &[0.0], &[0.0], &[0.7]],
                0.0,
                0.05,
            ),
            (
                "set anew",
                &[&[0.0], &[0.0], &[0.0], &[-0.7], &[-0.7], &[-0.7], &[-0.7]],
                -0.7,
                0.05,
            ),
        ];
        for (name, changes, offset, tolerance) in cases {
            let mut clocks = Clocks::default();
            for change in *changes {
                let before = clocks.before(&"shelf".into());
                clocks.learn(&"shelf".into(), &before, &reaches(change));
            }
            let mean = clocks.before(&"shelf".into());
            let mean = mean.mean(&std::array::from_fn(offset_s));
            assert!((mean - offset).abs() <= *tolerance, "{name}: {mean}");
        }
    }

    #[test]
    fn nodes_that_are_off_alike_speak_for_the_next() {
        let mut clocks = Clocks::default();
        let at = |belief: &ClockBelief| belief.weight(STEPS + 12);
        let before = at(&clocks.before(&"c".into()));
        for node in ["a", "b"] {
            for _ in 0..3 {
                let expected = clocks.before(&node.into());
                clocks.learn(&node.into(), &expected, &reaches(&[0.6]));
            }
        }
        let after = at(&clocks.before(&"c".into()));
        assert!(after > 5.0 * before, "{before} {after}");
    }

    #[test]
    fn what_the_journal_says_is_what_is_known() {
        let mut clocks = Clocks::default();
        let mut again = Clocks::default();
        for at_s in [0.4, -0.3, 0.45, 0.4] {
            let before = clocks.before(&"a".into());
            let estimate = clocks.learn(&"a".into(), &before, &reaches(&[at_s]));
            let text = serde_json::to_string(&estimate).unwrap();
            again.restore(&"a".into(), &serde_json::from_str(&text).unwrap());
            assert_eq!(clocks.before(&"a".into()), again.before(&"a".into()));
            assert_eq!(clocks.before(&"b".into()), again.before(&"b".into()));
        }
    }
}
