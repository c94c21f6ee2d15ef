//! A node's sensing: records in, observations and promises out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body_track::Segmenter;
use super::cell::Place;
use super::history::History;
use super::item_match;
use super::shelf::{Change, NOTICE_S, ShelfSensor};
use crate::observation::{ChangeKind, Observation, OpenInterval, ShelfObservation};
use crate::recording::{NO_COUNT, Record, ScaleBatch, ScaleGroup};
use crate::store::{Definition, PlateId, ShelfId};
use crate::units::{Milligrams, Timestamp};

/// Length of a block of samples, seconds.
const BLOCK_S: f64 = 0.05;
/// Promises about scales stay this far behind the samples, seconds: longer than what is noticed late.
const BEHIND_S: f64 = NOTICE_S + 0.05;

/// A level is known after so many blocks: two seconds.
const LOOKED_AT_BLOCKS: u64 = 40;

/// Samples that are missing for longer than this leave a gap, seconds.
const GAP_S: f64 = 0.04;

/// What one node makes of its sensors.
#[derive(Debug)]
pub struct NodeSensor {
    definition: Arc<Definition>,
    groups: Vec<GroupSensor>,
    bodies: Segmenter,
}

impl NodeSensor {
    /// A node promises at least this often, seconds.
    pub const PROMISE_S: f64 = 0.2;

    /// Sensing for a node of that store. Its scale groups are learned from the records.
    pub fn new(definition: Arc<Definition>) -> Self {
        NodeSensor {
            definition,
            groups: Vec::new(),
            bodies: Segmenter::default(),
        }
    }

    /// Bodies are watched after this moment, though no frame has come yet.
    pub fn watch_bodies(&mut self, from: Timestamp) {
        self.bodies.begin(from);
    }

    /// Takes one record; finished observations go to `out`.
    pub fn push(&mut self, record: &Record, out: &mut Vec<Observation>) {
        match record {
            Record::Scale(batch) => {
                let definition = &self.definition;
                let known = self
                    .groups
                    .iter()
                    .position(|g| Arc::ptr_eq(&g.group, &batch.group) || g.group == batch.group);
                let index = known.unwrap_or_else(|| {
                    self.groups
                        .push(GroupSensor::new(batch.group.clone(), definition));
                    self.groups.len() - 1
                });
                self.groups[index].push(batch, |shelf, change| {
                    out.push(observation(definition, shelf, change))
                });
            }
            Record::Body(frame) => {
                let mut segments = Vec::new();
                self.bodies.push(frame.at, &frame.bodies, &mut segments);
                out.extend(segments.into_iter().map(Observation::Body));
            }
            Record::Gate(gate) => {
                out.push(Observation::Gate(gate.observation.clone()));
            }
        }
    }

    /// Finishes everything that is open: the records are over.
    pub fn finish(&mut self, out: &mut Vec<Observation>) {
        let definition = &self.definition;
        for group in &mut self.groups {
            group.finish(|shelf, change| out.push(observation(definition, shelf, change)));
        }
        let mut segments = Vec::new();
        self.bodies.finish(&mut segments);
        out.extend(segments.into_iter().map(Observation::Body));
    }

    /// What the plates read that nothing moves on, once they have been looked at for two seconds; and whether that is all
    /// plates of the groups that were heard of.
    pub fn levels(&self) -> (BTreeMap<PlateId, Milligrams>, bool) {
        let mut levels = BTreeMap::new();
        let mut all = !self.groups.is_empty();
        for group in &self.groups {
            let is_known = group.history.count() >= LOOKED_AT_BLOCKS;
            for shelf in &group.shelves {
                let Some(plates) = shelf.at_rest().filter(|_| is_known) else {
                    all = false;
                    continue;
                };
                let at = |plate| PlateId {
                    shelf: shelf.id,
                    plate,
                };
                let finite = plates.filter(|(_, grams)| grams.is_finite());
                levels.extend(finite.map(|(p, grams)| (at(p), Milligrams::from_grams(grams))));
            }
        }
        (levels, all)
    }

    /// The store that it senses for.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// What this node can promise when its records have been seen up to `now`: no later observation starts at or
    /// before the time, but on the shelves that are still open; and whatever comes later ends after it, so that it
    /// can be decided in the order of event time.
    pub fn promise(&self, now: Timestamp) -> (Timestamp, Vec<OpenInterval>) {
        let scales = self
            .groups
            .iter()
            .filter_map(|g| g.last_at)
            .map(|at| at.plus_seconds(-BEHIND_S));
        let at = scales.chain(self.bodies.promise()).min().unwrap_or(now);
        let open = self
            .groups
            .iter()
            .flat_map(|g| g.shelves.iter().filter_map(|s| s.open(&g.history)))
            .collect();
        // Something more may come of this very moment.
        (at.min(Timestamp(now.0 - 1)), open)
    }
}

fn observation(definition: &Definition, shelf: ShelfId, change: Change) -> Observation {
    let likelihoods = match change.kind {
        ChangeKind::Touch => Vec::new(),
        ChangeKind::Take | ChangeKind::Put | ChangeKind::Foreign | ChangeKind::Unsure => {
            item_match::likelihoods(definition, shelf, &change.plates)
        }
    };
    Observation::Shelf(ShelfObservation {
        shelf,
        start: change.start,
        peak: change.peak,
        peak_error_us: (change.peak_error_s * 1e6).round() as u64,
        end: change.end,
        kind: change.kind,
        plates: change.plates,
        stood: change.stood,
        likelihoods,
        evidence: Vec::new(),
    })
}

/// The weights of the products that stand on a plate, grams.
fn units_on(definition: &Definition, plate: PlateId) -> Vec<f64> {
    let products = definition.catalogue.products();
    let mut units: Vec<f64> = (definition.planogram.on_plate(plate))
        .filter_map(|facing| products.get(facing.product_index))
        .map(|product| product.weight.grams())
        .collect();
    units.sort_by(f64::total_cmp);
    units.dedup();
    units
}

/// The plates that are sampled together: averages samples to blocks and hands them to the shelves.
#[derive(Debug)]
struct GroupSensor {
    group: Arc<ScaleGroup>,
    shelves: Vec<ShelfSensor>,
    history: History,
    grams_per_count: Vec<f64>,
    block_samples: u32,
    sums: Vec<i64>,
    valid: Vec<u32>,
    samples: u32,
    last_at: Option<Timestamp>,
}

impl GroupSensor {
    fn new(group: Arc<ScaleGroup>, definition: &Definition) -> Self {
        let columns = group.plates.len();
        let mut by_shelf: BTreeMap<ShelfId, Vec<Place>> = BTreeMap::new();
        for (column, &id) in group.plates.iter().enumerate() {
            let place = Place {
                plate: id.plate,
                column,
                units: units_on(definition, id),
            };
            by_shelf.entry(id.shelf).or_default().push(place);
        }
        let shelves = (by_shelf.into_iter())
            .map(|(id, mut places)| {
                places.sort_unstable_by_key(|place| place.plate);
                ShelfSensor::new(id, places)
            })
            .collect();
        let block_samples = (group.rate_hz * BLOCK_S).round().max(1.0) as u32;
        GroupSensor {
            shelves,
            history: History::new(columns, block_samples, group.rate_hz),
            grams_per_count: group.counts_per_gram.iter().map(|c| 1.0 / c).collect(),
            block_samples,
            sums: vec![0; columns],
            valid: vec![0; columns],
            samples: 0,
            last_at: None,
            group,
        }
    }

    fn push(&mut self, batch: &ScaleBatch, mut found: impl FnMut(ShelfId, Change)) {
        self.bridge(batch.first_at);
        let columns = self.sums.len();
        for (index, sample) in batch.counts.chunks_exact(columns.max(1)).enumerate() {
            for ((sum, valid), &count) in self.sums.iter_mut().zip(&mut self.valid).zip(sample) {
                let there = count != NO_COUNT;
                *sum += if there { i64::from(count) } else { 0 };
                *valid += u32::from(there);
            }
            self.samples += 1;
            if self.samples == self.block_samples {
                self.end_block(batch.sample_at(index), &mut found);
            }
        }
        self.last_at = Some(batch.last_at());
    }

    /// Where samples are missing before `first_at`, time goes on without them.
    fn bridge(&mut self, first_at: Timestamp) {
        let Some(last_at) = self.last_at else { return };
        let missing_s = first_at.seconds_since(last_at) - 1.0 / self.group.rate_hz;
        if missing_s <= GAP_S {
            return;
        }
        // What a block has of samples from before the gap is too little for a mean of its own.
        self.sums.fill(0);
        self.valid.fill(0);
        self.samples = 0;
        let before = first_at.plus_seconds(-1.0 / self.group.rate_hz);
        self.history.skip_to(before);
    }

    fn end_block(&mut self, at: Timestamp, found: &mut impl FnMut(ShelfId, Change)) {
        let (sums, valid, factor) = (&self.sums, &self.valid, &self.grams_per_count);
        self.history.push(at, |c| {
            (valid[c] > 0).then(|| sums[c] as f64 / f64::from(valid[c]) * factor[c])
        });
        self.sums.fill(0);
        self.valid.fill(0);
        self.samples = 0;
        let mut changes = Vec::new();
        for shelf in &mut self.shelves {
            shelf.push(&mut self.history, &mut changes);
            changes.drain(..).for_each(|change| found(shelf.id, change));
        }
    }

    fn finish(&mut self, mut found: impl FnMut(ShelfId, Change)) {
        let mut changes = Vec::new();
        for shelf in &mut self.shelves {
            shelf.finish(&self.history, &mut changes);
            changes.drain(..).for_each(|change| found(shelf.id, change));
        }
    }
}

#[cfg(test)]
mod tests;
