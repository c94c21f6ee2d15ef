//! What lies on each plate, for displays: an average over a second, told when it is another.

use std::collections::BTreeMap;

use super::plate_feed::Scale;
use crate::observation::Loads;
use crate::recording::NO_COUNT;
use crate::store::{NodeName, PlateId};
use crate::units::Milligrams;

/// A load is told anew when it differs by so much: more than what a cell wanders in a night is told hourly at most.
const NEWS_G: f64 = 5.0;

/// Averages the counts of a node's calibrated plates.
#[derive(Debug)]
pub struct LoadMeter {
    node: NodeName,
    plates: Vec<(PlateId, Scale)>,
    rows_wanted: u32,
    rows: u32,
    /// Sum and number of the counts of each plate.
    sums: Vec<(f64, u32)>,
    told: BTreeMap<PlateId, Milligrams>,
}

impl LoadMeter {
    /// For plates in the order of their columns.
    pub fn new(node: NodeName, plates: Vec<(PlateId, Scale)>, rate_hz: f64) -> Self {
        LoadMeter {
            node,
            sums: vec![(0.0, 0); plates.len()],
            plates,
            rows_wanted: rate_hz.round().max(1.0) as u32,
            rows: 0,
            told: BTreeMap::new(),
        }
    }

    /// Takes rows of trusted counts; gives all loads if one of them is news. A plate that can't be relied on is left out.
    pub fn push(&mut self, counts: &[i32]) -> Option<Loads> {
        for row in counts.chunks_exact(self.plates.len().max(1)) {
            for ((sum, number), count) in self.sums.iter_mut().zip(row) {
                if *count != NO_COUNT {
                    *sum += f64::from(*count);
                    *number += 1;
                }
            }
            self.rows += 1;
        }
        if self.rows < self.rows_wanted {
            return None;
        }
        self.rows = 0;
        let mut loads = BTreeMap::new();
        for ((plate, scale), (sum, number)) in self.plates.iter().zip(&mut self.sums) {
            if *number > 0 {
                let zero = f64::from(scale.zero.unwrap_or(0));
                let grams = (*sum / f64::from(*number) - zero) / scale.counts_per_gram;
                loads.insert(*plate, Milligrams::from_grams(grams));
            }
            (*sum, *number) = (0.0, 0);
        }
        let is_news = |(plate, load): (&PlateId, &Milligrams)| {
            (self.told.get(plate)).is_none_or(|told| (*load - *told).grams().abs() >= NEWS_G)
        };
        let is_gone = self.told.keys().any(|plate| !loads.contains_key(plate));
        if !is_gone && !loads.iter().any(is_news) {
            return None;
        }
        self.told.clone_from(&loads);
        Some(Loads {
            node: self.node.clone(),
            load_mg: loads,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_told_when_it_is_another() {
        let plate: PlateId = "1.1.1".parse().unwrap();
        let scale = Scale {
            counts_per_gram: 10.0,
            zero: Some(1_000),
            capacity_g: None,
        };
        let mut meter = LoadMeter::new("shelf".into(), vec![(plate, scale)], 4.0);
        let mut grams = |counts: [i32; 4]| {
            let told = meter.push(&counts)?;
            Some(told.load_mg.get(&plate).map(|load| load.grams()))
        };
        assert_eq!(grams([1_000; 4]), Some(Some(0.0)));
        assert_eq!(grams([1_040; 4]), None, "4 g are the cell's wandering");
        assert_eq!(grams([6_000, 6_010, NO_COUNT, 5_990]), Some(Some(500.0)));
        assert_eq!(grams([NO_COUNT; 4]), Some(None), "it can't be relied on");
        assert_eq!(grams([NO_COUNT; 4]), None);
    }
}
