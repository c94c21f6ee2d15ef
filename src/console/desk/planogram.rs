//! Which product stands where: the planogram, edited shelf by shelf.

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::answered;
use super::editing::{self, Undone, open};
use crate::console::access::Caller;
use crate::console::view::product_name;
use crate::console::{Asking, Console, page};
use crate::edge::store_file::StoreFileError;
use crate::store::Definition;

const HERE: &str = "/planogram";
/// The list of the file that says where things stand.
const FACING: &str = "facing";

/// A facing as the file has it.
struct Row {
    /// Its place in the file, from 0.
    number: usize,
    product: String,
    plates: String,
}

/// `GET /planogram`
pub async fn show(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, None)
}

fn answer(console: &Console, caller: &Caller, undone: Option<&Undone>) -> Response {
    let open = match open(console) {
        Ok(open) => open,
        Err(why) => {
            let content = html! { h1 { "Planogram" } (editing::wrong(&why)) };
            return answered(
                console,
                caller,
                (StatusCode::OK, HERE, "Planogram"),
                &content,
            );
        }
    };
    let status = match undone {
        None => StatusCode::OK,
        Some(Undone::Wrong(_)) => StatusCode::BAD_REQUEST,
        Some(Undone::Why(_)) => StatusCode::CONFLICT,
    };
    // What the file says now, which may be more than the store works by; unless it is broken.
    let known = open.file.check(&open.written.text).ok();
    let known = known.as_ref().unwrap_or(&console.definition);
    let catalogue = known.catalogue.products();
    let content = html! {
        h1 { "Planogram" }
        @if let Some(undone) = undone { (editing::wrong(undone)) }
        (open.state(console, caller, HERE))
        p .meta { "Which product stands on which plates. A plate holds one product; a product may stand in several places." }
        datalist id="products" { @for product in catalogue { option value=(product.id) { (product.name) } } }
        @for (shelf, plates) in shelves(known) {
            @let rows = rows(&open.document, &shelf);
            details .shelf open[known.layout.shelves.len() <= 4] {
                summary { h2 { "Shelf " (shelf) span .count { (rows.len()) } } span .meta { "plates " (plates) } }
                ul .rows {
                    @for row in &rows { li { (facing_form(known, caller, &open.written.version, &shelf, Some(row))) } }
                    li { (facing_form(known, caller, &open.written.version, &shelf, None)) }
                }
            }
        }
    };
    answered(console, caller, (status, HERE, "Planogram"), &content)
}

/// Every shelf with its plates, in a few words.
fn shelves(known: &Definition) -> Vec<(String, String)> {
    let all = known.layout.shelves.iter();
    all.map(|(id, shelf)| {
        let plates: Vec<String> = (shelf.plates.iter())
            .map(|p| p.id.plate.to_string())
            .collect();
        let words = match plates.as_slice() {
            [first, .., last] if plates.len() > 8 => format!("{first} to {last}"),
            some => some.join(", "),
        };
        (id.to_string(), words)
    })
    .collect()
}

fn rows(document: &DocumentMut, shelf: &str) -> Vec<Row> {
    let text = |table: &Table, key: &str| {
        let value = table.get(key).and_then(Item::as_str);
        value.unwrap_or_default().to_owned()
    };
    let facings = document.get(FACING).and_then(Item::as_array_of_tables);
    let all = facings
        .into_iter()
        .flat_map(ArrayOfTables::iter)
        .enumerate();
    all.filter(|(_, facing)| facing.get("shelf").and_then(Item::as_str) == Some(shelf))
        .map(|(number, facing)| Row {
            number,
            product: text(facing, "product"),
            plates: written_plates(facing),
        })
        .collect()
}

/// `1, 2`; other ways to write plates are shown as they are.
fn written_plates(facing: &Table) -> String {
    match facing.get("plates").and_then(Item::as_value) {
        Some(toml_edit::Value::Array(plates)) => {
            let plates = plates
                .iter()
                .map(|plate| plate.clone().decorated("", "").to_string());
            plates.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.clone().decorated("", "").to_string(),
        None => String::new(),
    }
}

fn facing_form(
    known: &Definition,
    caller: &Caller,
    version: &str,
    shelf: &str,
    row: Option<&Row>,
) -> Markup {
    let name = row.map(|row| product_name(&row.product.as_str().into(), known));
    let number = row.map_or(String::new(), |row| row.number.to_string());
    html! {
        form .row.facing method="post" action=(HERE) {
            (page::form_key(caller))
            input type="hidden" name="version" value=(version);
            input type="hidden" name="shelf" value=(shelf);
            input type="hidden" name="number" value=(number);
            label .grow {
                span .meta { @if let Some(name) = &name { (name) } @else { "Put something here" } }
                input name="product" list="products" required autocomplete="off" placeholder="product" value=[row.map(|row| &row.product)];
            }
            label { span .meta { "plates" } input .short name="plates" required autocomplete="off" placeholder="1, 2" value=[row.map(|row| &row.plates)]; }
            @if row.is_some() {
                button name="what" value="keep" { "Keep" }
                button .danger name="what" value="remove" { "Remove" }
            } @else { button name="what" value="add" { "Add" } }
        }
    }
}

#[derive(Deserialize)]
pub struct Edit {
    version: String,
    shelf: String,
    number: String,
    product: String,
    plates: String,
    #[serde(default)]
    what: String,
}

/// `POST /planogram`
pub async fn edit(
    State(console): State<Console>,
    Asking(caller): Asking,
    Form(said): Form<Edit>,
) -> Response {
    let kept = open(&console).and_then(|mut open| {
        if said.version != open.written.version {
            let path = open.file.path().to_owned();
            return Err(StoreFileError::Changed { path }.into());
        }
        let did = change(&mut open.document, &said).map_err(Undone::Why)?;
        open.keep(&console, &caller.name, &did)
    });
    match kept {
        Ok(()) => page::see(HERE),
        Err(undone) => answer(&console, &caller, Some(&undone)),
    }
}

/// Has the document say it; what was changed, in a few words.
fn change(document: &mut DocumentMut, said: &Edit) -> Result<String, String> {
    let plates = plates(&said.plates)?;
    let product = said.product.trim();
    let facings = document
        .entry(FACING)
        .or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(facings) = facings.as_array_of_tables_mut() else {
        return Err(
            "The file writes its facings in another way than [[facing]]: change them there."
                .to_owned(),
        );
    };
    let shelf = &said.shelf;
    let place = format!("shelf {shelf}, plates {}", said.plates.trim());
    if said.what == "add" {
        let mut facing = Table::new();
        facing.insert("product", value(product));
        facing.insert("shelf", value(shelf));
        facing.insert("plates", value(plates));
        facings.push(facing);
        return Ok(format!("put {product} on {place}"));
    }
    let number: usize = said.number.parse().unwrap_or(usize::MAX);
    let Some(facing) = facings.get_mut(number) else {
        return Err("There is no such facing any more.".to_owned());
    };
    let before = facing
        .get("product")
        .and_then(Item::as_str)
        .unwrap_or_default()
        .to_owned();
    if said.what == "remove" {
        facings.remove(number);
        return Ok(format!("took {before} off {place}"));
    }
    if before != product {
        facing.insert("product", value(product));
    }
    facing.insert("plates", value(plates));
    Ok(format!("{place}: {product} instead of {before}"))
}

/// `1, 2`
fn plates(text: &str) -> Result<Array, String> {
    let plates: Result<Array, _> = text
        .split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(str::parse::<i64>)
        .collect();
    match plates {
        Ok(plates) if !plates.is_empty() => Ok(plates),
        Ok(_) | Err(_) => Err("Plates are numbers from the left: 1, 2.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facings_are_put_changed_and_removed_where_they_stand() {
        let text = "[[facing]]\nproduct = \"a\"\nshelf = \"1.1\"\nplates = [1]\n\n[[facing]]\nproduct = \"b\"\nshelf = \"1.2\"\nplates = [1, 2]\n";
        let mut document: DocumentMut = text.parse().unwrap();
        let edit = |shelf: &str, number: &str, product: &str, plates: &str, what: &str| Edit {
            version: String::new(),
            shelf: shelf.to_owned(),
            number: number.to_owned(),
            product: product.to_owned(),
            plates: plates.to_owned(),
            what: what.to_owned(),
        };
        let shown = |document: &DocumentMut, shelf: &str| -> Vec<String> {
            let rows = rows(document, shelf);
            rows.iter()
                .map(|row| format!("{} {} {}", row.number, row.product, row.plates))
                .collect()
        };
        assert_eq!(shown(&document, "1.2"), ["1 b 1, 2"]);
        change(&mut document, &edit("1.2", "1", "c", "2 3", "keep")).unwrap();
        change(&mut document, &edit("1.2", "", "d", "4", "add")).unwrap();
        assert_eq!(shown(&document, "1.2"), ["1 c 2, 3", "2 d 4"]);
        change(&mut document, &edit("1.1", "0", "a", "1", "remove")).unwrap();
        assert_eq!(shown(&document, "1.1"), [""; 0]);
        assert_eq!(shown(&document, "1.2"), ["0 c 2, 3", "1 d 4"]);
        for (number, plates) in [("9", "1"), ("0", "left"), ("0", "")] {
            assert!(change(&mut document, &edit("1.2", number, "c", plates, "keep")).is_err());
        }
    }
}
