//! The bounds of everything that comes over the wire.
//!
//! They keep the arithmetic behind them from overflowing, the memory of a message bounded and nonsense out. A
//! writer checks them too, before an observation gets its stamp: one that no reader would accept must not take a
//! sequence number.

use std::fmt;

use crate::observation::{
    BodySegment, Committed, GapObservation, GateEvent, GateObservation, GateOrder, ItemLikelihood,
    Loads, NodeClock, NodeStatus, Observation, PlateChange, Pose, ShelfObservation, Sighting,
    Stamp, Stamped, VisionObservation, Watermark,
};
use crate::units::{Milligrams, Timestamp};

/// Longest payload, bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Longest id or other short text, bytes.
pub const TEXT_BYTES_MAX: usize = 128;
/// Longest sentence about a node's trouble, bytes.
pub const TROUBLE_BYTES_MAX: usize = 512;
/// Plates whose faults one state tells.
pub const FAULTS_MAX: usize = 64;
/// Plates of one shelf observation.
pub const PLATES_MAX: usize = 64;
/// Plates of one node.
pub const LOADS_MAX: usize = 1_024;
/// A gate is told what to do for so long at most, milliseconds.
pub const ORDER_MS_MAX: u64 = 60_000;
/// Shelves of one gap.
pub const SHELVES_MAX: usize = 16;
/// Likelihoods of one shelf observation.
pub const LIKELIHOODS_MAX: usize = 32;
/// Different products of one likelihood.
pub const ITEMS_MAX: usize = 3;
/// Units of one product of a likelihood.
pub const QUANTITY_MAX: u32 = 1_000;
/// Evidence ids of one shelf observation.
pub const EVIDENCE_MAX: usize = 32;
/// Poses of one body segment.
pub const POSES_MAX: usize = 64;
/// Hands of one pose.
pub const HANDS_MAX: usize = 2;
/// Open intervals of one watermark.
pub const OPEN_MAX: usize = 1_024;
/// Largest coordinate either way, metres.
pub const COORDINATE_MAX_M: f64 = 10_000.0;
/// Largest mass either way: a tonne.
pub const MASS_MAX_MG: i64 = 1_000_000_000;
/// Largest log-likelihood either way, thousandths.
pub const LOG_LIKELIHOOD_MAX_MILLI: i64 = 1_000_000_000_000;
/// Largest sequence: every JSON reader holds integers up to here exactly.
pub const SEQUENCE_MAX: u64 = (1 << 53) - 1;

/// A bound that a message breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct Bound {
    /// The field as the payload calls it.
    pub field: &'static str,
    /// How it breaks its bound.
    pub problem: String,
}

/// Checks what lies on plates.
pub fn loads(loads: &Loads) -> Checked {
    id("node", loads.node.as_str())?;
    count("load_mg", loads.load_mg.len(), LOADS_MAX)?;
    (loads.load_mg.values())
        .try_for_each(|mass| within("load_mg", mass.0, -MASS_MAX_MG, MASS_MAX_MG))
}

/// Checks a word to a gate.
pub fn order(order: GateOrder) -> Checked {
    match order {
        GateOrder::Hold { for_ms } | GateOrder::Open { for_ms } => {
            within("for_ms", for_ms, 1, ORDER_MS_MAX)
        }
        GateOrder::Release => Ok(()),
    }
}

type Checked = Result<(), Bound>;

fn broken<T>(field: &'static str, problem: impl fmt::Display) -> Result<T, Bound> {
    Err(Bound {
        field,
        problem: problem.to_string(),
    })
}

fn short(field: &'static str, text: &str, bytes_max: usize) -> Checked {
    if text.len() > bytes_max {
        return broken(
            field,
            format_args!("has {} bytes, at most {bytes_max} are allowed", text.len()),
        );
    }
    Ok(())
}

fn id(field: &'static str, text: &str) -> Checked {
    if text.is_empty() {
        return broken(field, "is empty");
    }
    short(field, text, TEXT_BYTES_MAX)
}

fn count(field: &'static str, count: usize, max: usize) -> Checked {
    if count > max {
        return broken(
            field,
            format_args!("has {count} entries, at most {max} are allowed"),
        );
    }
    Ok(())
}

fn within<T: PartialOrd + fmt::Display>(field: &'static str, value: T, min: T, max: T) -> Checked {
    // Written so that NaN, which compares with nothing, is outside.
    if value >= min && value <= max {
        return Ok(());
    }
    broken(field, format_args!("is {value}, not within {min} to {max}"))
}

fn time(field: &'static str, at: Timestamp) -> Checked {
    within(field, at.0, Timestamp::MIN.0, Timestamp::MAX.0)
}

fn span(start: Timestamp, end: Timestamp) -> Checked {
    time("start", start)?;
    time("end", end)?;
    if end < start {
        return broken("end", format_args!("({end}) is before `start` ({start})"));
    }
    Ok(())
}

/// Checks a stamped observation.
pub fn stamped(stamped: &Stamped) -> Checked {
    stamp(&stamped.stamp)?;
    clock(&stamped.clock)?;
    observation(&stamped.observation)
}

/// Checks a stamp.
pub fn stamp(stamp: &Stamp) -> Checked {
    id("stamp.node", stamp.node.as_str())?;
    id("stamp.outbox", stamp.outbox.as_str())?;
    within("stamp.sequence", stamp.sequence, 1, SEQUENCE_MAX)
}

/// Checks a node's clocks.
pub fn clock(clock: &NodeClock) -> Checked {
    short("clock.boot", &clock.boot, TEXT_BYTES_MAX)?;
    within("clock.monotonic_us", clock.monotonic_us, 0, SEQUENCE_MAX)?;
    time("clock.wall_us", clock.wall_us)?;
    within("clock.error_us", clock.error_us, 0, SEQUENCE_MAX)
}

/// Checks an observation.
pub fn observation(observation: &Observation) -> Checked {
    match observation {
        Observation::Shelf(shelf) => shelf_observation(shelf),
        Observation::Vision(look) => vision_observation(look),
        Observation::Body(segment) => body_segment(segment),
        Observation::Gate(gate) => gate_observation(gate),
        Observation::Gap(gap) => gap_observation(gap),
    }
}

fn shelf_observation(shelf: &ShelfObservation) -> Checked {
    span(shelf.start, shelf.end)?;
    time("peak", shelf.peak)?;
    within("peak_error_us", shelf.peak_error_us, 0, SEQUENCE_MAX)?;
    if let Some(stood) = &shelf.stood {
        span(stood.from, stood.until)?;
        if stood.from < shelf.start || stood.until > shelf.end {
            return broken("stood", "is not within the change");
        }
        plates(&stood.plates)?;
    }
    plates(&shelf.plates)?;
    count("likelihoods", shelf.likelihoods.len(), LIKELIHOODS_MAX)?;
    for likelihood in &shelf.likelihoods {
        item_likelihood(likelihood)?;
    }
    count("evidence", shelf.evidence.len(), EVIDENCE_MAX)?;
    for evidence in &shelf.evidence {
        id("evidence", evidence)?;
    }
    Ok(())
}

fn vision_observation(look: &VisionObservation) -> Checked {
    span(look.start, look.end)?;
    count("likelihoods", look.likelihoods.len(), LIKELIHOODS_MAX)?;
    for likelihood in &look.likelihoods {
        id("product", likelihood.product.as_str())?;
        log_likelihood("log_likelihood_milli", likelihood.log_likelihood_milli)?;
    }
    log_likelihood("others_milli", look.others_milli)?;
    short("model", &look.model, TEXT_BYTES_MAX)?;
    count("evidence", look.evidence.len(), EVIDENCE_MAX)?;
    look.evidence.iter().try_for_each(|e| id("evidence", e))
}

fn log_likelihood(field: &'static str, milli: i64) -> Checked {
    within(
        field,
        milli,
        -LOG_LIKELIHOOD_MAX_MILLI,
        LOG_LIKELIHOOD_MAX_MILLI,
    )
}

fn plates(plates: &[PlateChange]) -> Checked {
    count("plates", plates.len(), PLATES_MAX)?;
    plates.iter().try_for_each(|plate| {
        mass("delta_mg", plate.delta_mg, -MASS_MAX_MG)?;
        mass("sigma_mg", plate.sigma_mg, 0)
    })
}

fn mass(field: &'static str, mass: Milligrams, min: i64) -> Checked {
    within(field, mass.0, min, MASS_MAX_MG)
}

fn item_likelihood(likelihood: &ItemLikelihood) -> Checked {
    if likelihood.items.is_empty() {
        return broken("items", "is empty");
    }
    count("items", likelihood.items.len(), ITEMS_MAX)?;
    for item in &likelihood.items {
        id("product", item.product.as_str())?;
        within("quantity", item.quantity, 1, QUANTITY_MAX)?;
    }
    log_likelihood("log_likelihood_milli", likelihood.log_likelihood_milli)
}

fn body_segment(segment: &BodySegment) -> Checked {
    id("track", segment.track.as_str())?;
    span(segment.start, segment.end)?;
    if segment.poses.is_empty() {
        return broken("poses", "is empty");
    }
    count("poses", segment.poses.len(), POSES_MAX)?;
    segment.poses.iter().try_for_each(pose)
}

fn pose(pose: &Pose) -> Checked {
    time("at", pose.at)?;
    count("hands", pose.hands.len(), HANDS_MAX)?;
    pose.head.iter().chain(&pose.hands).try_for_each(sighting)
}

fn sighting(sighting: &Sighting) -> Checked {
    let place = sighting.place;
    for (field, value) in [("x", place.x), ("y", place.y), ("z", place.z)] {
        within(field, value, -COORDINATE_MAX_M, COORDINATE_MAX_M)?;
    }
    within("confidence", sighting.confidence, 0.0, 1.0)
}

fn gate_observation(gate: &GateObservation) -> Checked {
    time("at", gate.at)?;
    match &gate.event {
        GateEvent::CodeShown { code } => id("code", code),
        GateEvent::PassedIn | GateEvent::PassedOut => Ok(()),
    }
}

fn gap_observation(gap: &GapObservation) -> Checked {
    span(gap.start, gap.end)?;
    within("dropped", gap.dropped, 0, SEQUENCE_MAX)?;
    if let Some(outbox) = &gap.replaces {
        id("replaces", outbox.as_str())?;
    }
    count("shelves", gap.shelves.len(), SHELVES_MAX)?;
    gap.shelves
        .iter()
        .try_for_each(|shelf| plates(&shelf.plates))
}

/// Checks a watermark.
pub fn watermark(watermark: &Watermark) -> Checked {
    id("node", watermark.node.as_str())?;
    id("outbox", watermark.outbox.as_str())?;
    within("sequence", watermark.sequence, 0, SEQUENCE_MAX)?;
    time("at", watermark.at)?;
    count("open", watermark.open.len(), OPEN_MAX)?;
    for interval in &watermark.open {
        time("since", interval.since)?;
    }
    Ok(())
}

/// Checks a node's state.
pub fn status(status: &NodeStatus) -> Checked {
    id("node", status.node.as_str())?;
    short("version", &status.version, TEXT_BYTES_MAX)?;
    short("trouble", &status.trouble, TROUBLE_BYTES_MAX)?;
    count("faults", status.faults.len(), FAULTS_MAX)?;
    for fault in &status.faults {
        short("what", &fault.what, TROUBLE_BYTES_MAX)?;
    }
    short("notice", &status.notice, TROUBLE_BYTES_MAX)?;
    (status.outbox.as_ref()).map_or(Ok(()), |outbox| id("outbox", outbox.as_str()))
}

/// Checks the coordinator's answer.
pub fn committed(committed: &Committed) -> Checked {
    id("outbox", committed.outbox.as_str())?;
    within("sequence", committed.sequence, 0, SEQUENCE_MAX)
}
