//! Nodes, shelves, plates and the gate.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{number, short, topic_level};
use crate::store::layout::{Gate, Node, NodeName, Plate, PlateId, Shelf, ShelfId};
use crate::store::raw::{At, Entries, RawDefinition, RawPlates, RawShelf};
use crate::store::remark::Remarks;
use crate::units::Point;

/// Plates of one store.
const PLATES_MAX: usize = 4_096;
/// Nodes of one store.
const NODES_MAX: usize = 256;
/// No store reaches further than this from its origin, metres.
const METRES_MAX: f64 = 1_000.0;

/// A shelf that the file names.
pub struct Place {
    /// Its id in the file.
    span: Range<usize>,
    /// Left to right; none where the shelf has a mistake.
    pub plates: Option<Vec<Plate>>,
}

/// Every shelf that the file names.
pub struct Places {
    pub by_id: BTreeMap<ShelfId, Place>,
    /// Whether each shelf of the file is among them: what refers to an unknown one may mean one that is not.
    pub complete: bool,
}

/// Checks every shelf.
pub fn check_shelves(raw: &Entries<RawShelf>, remarks: &mut Remarks<'_>) -> Places {
    let mut places = Places {
        by_id: BTreeMap::new(),
        complete: raw.complete,
    };
    let mut plates = 0;
    for entry in &raw.list {
        let shelf = entry.get_ref();
        let id = shelf_id(&shelf.id, remarks);
        let resolved = check_plates(shelf, id, remarks);
        plates += resolved.as_ref().map_or(0, Vec::len);
        if plates > PLATES_MAX {
            remarks.mistake(
                shelf.plates.span(),
                format!("with this shelf there are {plates} plates"),
                format!("a store has at most {PLATES_MAX}: remove some"),
            );
            places.complete = false;
            break;
        }
        let Some(id) = id else {
            places.complete = false;
            continue;
        };
        if let Some(first) = places.by_id.get(&id) {
            let line = remarks.line(first.span.start);
            remarks.mistake(
                shelf.id.span(),
                format!("shelf {id} is given twice, first on line {line}"),
                "give one of the two another id, or remove it",
            );
            continue;
        }
        let span = shelf.id.span();
        places.by_id.insert(
            id,
            Place {
                span,
                plates: resolved,
            },
        );
    }
    places
}

/// A shelf's id in its one spelling.
pub fn shelf_id(value: &At<String>, remarks: &mut Remarks<'_>) -> Option<ShelfId> {
    let id: Option<ShelfId> = value.get().parse().ok();
    // Parsing is lenient with `+1.05`, and one shelf must have one spelling.
    if let Some(id) =
        id.filter(|id| id.gondola > 0 && id.shelf > 0 && id.to_string() == *value.get())
    {
        return Some(id);
    }
    remarks.mistake(
        value.span(),
        format!("`{}` is no shelf", short(value.get())),
        "write gondola.shelf, both from 1, such as \"1.5\"",
    );
    None
}

fn check_plates(
    raw: &RawShelf,
    id: Option<ShelfId>,
    remarks: &mut Remarks<'_>,
) -> Option<Vec<Plate>> {
    let metres = -METRES_MAX..=METRES_MAX;
    let x = number("x_m", &raw.x_m, metres.clone(), remarks);
    let y = number("y_m", &raw.y_m, metres, remarks);
    let z = number("z_m", &raw.z_m, 0.0..=METRES_MAX, remarks);
    let width_m = number("plate_width_m", &raw.plate_width_m, 0.001..=10.0, remarks);
    let indices = match raw.plates.get() {
        RawPlates::Count(count) if (1..=PLATES_MAX as i64).contains(count) => {
            Some((1..=*count as u16).collect())
        }
        RawPlates::Count(count) => {
            remarks.mistake(
                raw.plates.span(),
                format!("a shelf has {count} plates"),
                format!("write a number from 1 to {PLATES_MAX}"),
            );
            None
        }
        RawPlates::Indices(list) => plate_indices(&raw.plates.span(), list, remarks),
    };
    let (shelf, x, y, z, width_m) = (id?, x?, y?, z?, width_m?);
    let plate = |plate: u16| Plate {
        id: PlateId { shelf, plate },
        front: Point {
            // On the micrometre grid, so that the sum of two decimals stays a decimal.
            x: ((x + (f64::from(plate) - 0.5) * width_m) * 1e6).round() / 1e6,
            y,
            z,
        },
        width_m,
    };
    Some(indices?.into_iter().map(plate).collect())
}

/// Indices of plates, ascending, each once, at least one.
pub fn plate_indices(
    list_span: &Range<usize>,
    list: &[At<i64>],
    remarks: &mut Remarks<'_>,
) -> Option<Vec<u16>> {
    if list.is_empty() {
        remarks.mistake(
            list_span.clone(),
            "there is no plate",
            "write at least one, such as [1]",
        );
        return None;
    }
    let mut indices = BTreeSet::new();
    for index in list {
        let in_range = (u16::try_from(*index.get()).ok())
            .filter(|index| (1..=PLATES_MAX).contains(&usize::from(*index)));
        match in_range {
            None => remarks.mistake(
                index.span(),
                format!("there is no plate {}", index.get()),
                format!("write a number from 1 to {PLATES_MAX}"),
            ),
            Some(number) => {
                if !indices.insert(number) {
                    remarks.mistake(
                        index.span(),
                        format!("plate {number} is given twice"),
                        "remove one of the two",
                    );
                }
            }
        }
    }
    // Fewer than were written means that one was refused.
    (indices.len() == list.len()).then(|| indices.into_iter().collect())
}

/// Checks every node, and that each shelf is on exactly one.
pub fn check_nodes(raw: &RawDefinition, places: &Places, remarks: &mut Remarks<'_>) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut names: BTreeMap<NodeName, usize> = BTreeMap::new();
    let mut owners: BTreeMap<ShelfId, (String, usize)> = BTreeMap::new();
    for (index, entry) in raw.node.list.iter().enumerate() {
        if index == NODES_MAX {
            let message = format!("there are {} nodes", raw.node.list.len());
            remarks.mistake(
                entry.span(),
                message,
                format!("a store has at most {NODES_MAX}: remove some"),
            );
            break;
        }
        let node = entry.get_ref();
        let name = topic_level(&node.name, remarks).map(NodeName::from);
        if let Some(name) = &name {
            let line = remarks.line(node.name.span().start);
            if let Some(first) = names.insert(name.clone(), line) {
                remarks.mistake(
                    node.name.span(),
                    format!("node `{name}` is given twice, first on line {first}"),
                    "give one of the two another name",
                );
            }
        }
        let mut shelves: Vec<ShelfId> = (node.shelves.iter())
            .filter_map(|shelf| {
                let id = shelf_id(shelf, remarks)?;
                own(id, shelf, node.name.get(), places, &mut owners, remarks)
            })
            .collect();
        shelves.sort_unstable();
        nodes.extend(name.map(|name| Node {
            name,
            shelves,
            tracks_bodies: node.tracks_bodies,
            watches_gate: node.watches_gate.as_ref().is_some_and(|w| *w.get()),
        }));
    }
    if raw.node.complete {
        for (id, place) in places
            .by_id
            .iter()
            .filter(|(id, _)| !owners.contains_key(id))
        {
            remarks.mistake(
                place.span.clone(),
                format!("shelf {id} is on no node"),
                format!("add \"{id}\" to the `shelves` of the node that reads its plates"),
            );
        }
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes
}

/// Gives a shelf to a node, if it exists and is nobody's yet.
fn own(
    id: ShelfId,
    shelf: &At<String>,
    node: &str,
    places: &Places,
    owners: &mut BTreeMap<ShelfId, (String, usize)>,
    remarks: &mut Remarks<'_>,
) -> Option<ShelfId> {
    let line = remarks.line(shelf.span().start);
    if !places.by_id.contains_key(&id) {
        if places.complete {
            remarks.mistake(
                shelf.span(),
                format!("there is no shelf {id}"),
                format!("add [[shelf]] with id = \"{id}\", or remove it here"),
            );
        }
        return None;
    }
    if let Some((first, first_line)) = owners.get(&id) {
        remarks.mistake(
            shelf.span(),
            format!(
                "shelf {id} is already on node `{}`, line {first_line}",
                short(first)
            ),
            "a shelf is read by one node: remove it from one of the two",
        );
        return None;
    }
    owners.insert(id, (node.to_owned(), line));
    Some(id)
}

/// Checks the gate, and that a node watches it. `gate_is_told` is false where the file's gate may have been left
/// out for its shape.
pub fn check_gate(
    raw: &RawDefinition,
    gate_is_told: bool,
    remarks: &mut Remarks<'_>,
) -> Option<Gate> {
    let mut watchers = (raw.node.list.iter())
        .filter_map(|node| node.get_ref().watches_gate.as_ref())
        .filter(|watches| *watches.get());
    let Some(entry) = &raw.gate else {
        if let Some(watches) = watchers.next()
            && gate_is_told
        {
            remarks.mistake(
                watches.span(),
                "a node watches the gate, and there is no gate",
                "add [gate] with x_m and y_m, or remove this",
            );
        }
        return None;
    };
    if raw.node.complete && watchers.next().is_none() {
        remarks.mistake(
            entry.span(),
            "no node watches the gate",
            "add `watches_gate = true` to the node that does, or remove the gate",
        );
    }
    let gate = entry.get_ref();
    let metres = -METRES_MAX..=METRES_MAX;
    let x = number("x_m", &gate.x_m, metres.clone(), remarks);
    let y = number("y_m", &gate.y_m, metres, remarks);
    Some(Gate {
        place: Point {
            x: x?,
            y: y?,
            z: 0.0,
        },
    })
}

/// The shelves with the nodes that own them.
pub fn shelves_on_nodes(mut places: Places, nodes: &[Node]) -> BTreeMap<ShelfId, Shelf> {
    let mut shelves = BTreeMap::new();
    for node in nodes {
        for id in &node.shelves {
            if let Some(plates) = places.by_id.remove(id).and_then(|place| place.plates) {
                let node = node.name.clone();
                shelves.insert(
                    *id,
                    Shelf {
                        id: *id,
                        node,
                        plates,
                    },
                );
            }
        }
    }
    shelves
}
