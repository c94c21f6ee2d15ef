//! The folders of the AutoCheckout competition (CPS-IoT Week 2020), recorded in AiFi's NanoStore.
//!
//! One JSON document a line in each of `plate_data.json` (load cells, grams), `full_targets.json` (bodies, inches),
//! `planogram.json` and `products.json`; a `truth.json` may say what really happened. Each gondola that occurs in
//! the samples is a node `gondola-N`, and the node `ceiling` tracks the bodies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::{Damage, Flaw, OpenOptions, RecordingError, cannot_read, join_sentences, sort_records};
use crate::recording::{BodyFrame, Record, Recording, ScaleGroup, Truth};
use crate::store::{Definition, NodeName, PlateId, ShelfId};

mod bodies;
mod lines;
mod places;
mod plates;
mod store;

use plates::{COUNTS_PER_GRAM, GondolaShape, GroupColumns, PlateData};
use store::StoreFiles;

const PLATES: &str = "plate_data.json";
const BODIES: &str = "full_targets.json";
const PRODUCTS: &str = "products.json";
const PLANOGRAM: &str = "planogram.json";
const TRUTH: &str = "truth.json";
/// The node that tracks bodies.
const CEILING: &str = "ceiling";

fn gondola_node(gondola: u16) -> NodeName {
    NodeName::from(format!("gondola-{gondola}"))
}

/// The store that a folder was recorded in: its catalogue and planogram, and the plates of the gondolas that
/// its samples name. Prices are placeholders, without tax.
pub fn read_definition(dir: &Path) -> Result<Definition, RecordingError> {
    check_folder(dir)?;
    let store = read_store(dir)?;
    let data = read_plates(dir)?;
    match &data.damage {
        None => store.definition(&data.shapes()),
        Some(damage) => Err(RecordingError::Damaged(damage.clone())),
    }
}

/// Reads a folder. With a definition in `options`, the folder's own planogram and products are not looked at, and
/// plates that are not in its layout are left out.
pub fn read(dir: &Path, options: &OpenOptions) -> Result<Recording, RecordingError> {
    check_folder(dir)?;
    let (store, data, bodies) = thread::scope(|scope| {
        let store = scope.spawn(|| match &options.definition {
            Some(definition) => Ok(Store::Given(Arc::clone(definition))),
            None => read_store(dir).map(Store::OfFolder),
        });
        let bodies = scope.spawn(|| {
            let (file, bytes) = read_file(dir, BODIES)?;
            Ok::<_, RecordingError>(bodies::read(&file, &bytes))
        });
        let data = read_plates(dir);
        (join(store), data, join(bodies))
    });
    let (store, data, bodies) = (store?, data?, bodies?);
    let mut damage = None;
    for found in [&data.damage, &bodies.damage].into_iter().flatten() {
        if !options.partial {
            return Err(RecordingError::Damaged(found.clone()));
        }
        damage = join_sentences(damage, Some(found.to_string()));
    }
    let truth = match read_truth(dir) {
        Err(RecordingError::Damaged(found)) if options.partial => {
            damage = join_sentences(damage, Some(found.to_string()));
            None
        }
        truth => truth?,
    };
    let definition = match store {
        Store::Given(definition) => definition,
        Store::OfFolder(files) => Arc::new(files.definition(&data.shapes())?),
    };
    let ceiling = definition
        .layout
        .nodes
        .iter()
        .find(|node| node.tracks_bodies)
        .map_or_else(|| CEILING.into(), |node| node.name.clone());
    let (mut nodes, mut records) = scale_records(data.gondolas, &definition);
    nodes.push(ceiling.clone());
    nodes.sort();
    nodes.dedup();
    records.extend(bodies.values.into_iter().map(|line| {
        Record::Body(BodyFrame {
            node: ceiling.clone(),
            at: line.value.at,
            bodies: line.value.bodies,
        })
    }));
    sort_records(&mut records);
    Ok(Recording {
        definition,
        nodes,
        records,
        truth,
        damage,
    })
}

/// Where the definition comes from.
enum Store {
    Given(Arc<Definition>),
    OfFolder(StoreFiles),
}

/// The samples as records, and the nodes that took them.
fn scale_records(
    gondolas: BTreeMap<u16, plates::Gondola>,
    definition: &Definition,
) -> (Vec<NodeName>, Vec<Record>) {
    let mut nodes = Vec::new();
    let mut records = Vec::new();
    for (number, gondola) in gondolas {
        let groups = groups(number, gondola.shape, definition);
        nodes.extend(groups.iter().map(|group| group.group.node.clone()));
        gondola.records(&groups, &mut records);
    }
    (nodes, records)
}

/// Which node reads which of a gondola's plates, by the layout.
fn groups(gondola: u16, shape: GondolaShape, definition: &Definition) -> Vec<GroupColumns> {
    let ids = (1..=shape.shelves).flat_map(|shelf| {
        (1..=shape.plates).map(move |plate| PlateId {
            shelf: ShelfId { gondola, shelf },
            plate,
        })
    });
    let mut by_node: BTreeMap<NodeName, (Vec<PlateId>, Vec<usize>)> = BTreeMap::new();
    for (column, id) in ids.enumerate() {
        if let Some(shelf) = definition.layout.shelves.get(&id.shelf)
            && shelf.plates.iter().any(|plate| plate.id == id)
        {
            let (plates, columns) = by_node.entry(shelf.node.clone()).or_default();
            plates.push(id);
            columns.push(column);
        }
    }
    by_node
        .into_iter()
        .map(|(node, (plates, columns))| GroupColumns {
            group: Arc::new(ScaleGroup {
                node,
                counts_per_gram: vec![COUNTS_PER_GRAM; plates.len()],
                plates,
                rate_hz: shape.rate_hz,
            }),
            columns,
        })
        .collect()
}

fn check_folder(dir: &Path) -> Result<(), RecordingError> {
    std::fs::metadata(dir)
        .map(|_| ())
        .map_err(|source| cannot_read(dir, source))
}

fn read_file(dir: &Path, name: &'static str) -> Result<(PathBuf, Vec<u8>), RecordingError> {
    let path = dir.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = dir.to_owned();
            Err(RecordingError::MissingFile { folder, name })
        }
        Err(source) => Err(RecordingError::Unreadable { path, source }),
    }
}

fn read_plates(dir: &Path) -> Result<PlateData, RecordingError> {
    let (file, bytes) = read_file(dir, PLATES)?;
    Ok(plates::read(&file, &bytes))
}

fn read_store(dir: &Path) -> Result<StoreFiles, RecordingError> {
    let products = read_file(dir, PRODUCTS)?;
    let planogram = read_file(dir, PLANOGRAM)?;
    StoreFiles::read((&products.0, &products.1), (&planogram.0, &planogram.1))
}

/// What really happened, if the folder says it.
fn read_truth(dir: &Path) -> Result<Option<Truth>, RecordingError> {
    let (file, bytes) = match read_file(dir, TRUTH) {
        Err(RecordingError::MissingFile { .. }) => return Ok(None),
        read => read?,
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        // Every line before the error's, with its line end.
        let before: usize = bytes
            .split_inclusive(|&byte| byte == b'\n')
            .take(error.line().saturating_sub(1))
            .map(<[u8]>::len)
            .sum();
        RecordingError::Damaged(Damage {
            file,
            line: Some(error.line() as u64),
            offset: (before + error.column().saturating_sub(1)) as u64,
            flaw: if error.is_eof() {
                Flaw::CutFile
            } else {
                Flaw::NotJson(error.to_string())
            },
        })
    })
}

/// The result of a helper thread; a panic there is a bug of ours and goes on here.
fn join<T>(helper: thread::ScopedJoinHandle<'_, T>) -> T {
    helper
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
