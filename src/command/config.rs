//! `stroll config`: checks, shows and describes store definitions.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Failed, node_service};
use crate::console::api::openapi;
use crate::edge::definition_file::{self, LoadError};
use crate::edge::node::config as node_config;
use crate::store::Offline;
use crate::store::normal_form::NormalForm;
use crate::store::{Definition, Product, SoldBy, Warning, definition};

/// Check, show or describe a store definition
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Check a definition and name every mistake with its line
    Check {
        /// The definition, a TOML file
        file: PathBuf,
    },
    /// Check a node's configuration and name every mistake with its line
    CheckNode {
        /// The configuration, a TOML file
        file: PathBuf,
    },
    /// Show a definition as the store understands it, with every default
    Show {
        /// The definition; without it the built-in NanoStore
        file: Option<PathBuf>,
        /// As JSON, in the normal form that the hash is taken of
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the definition file
    Schema {
        /// Of a node's configuration
        #[arg(long)]
        node: bool,
    },
    /// Print the OpenAPI document of the HTTP API
    Openapi,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::Check { file } => {
            let (definition, warnings) = load(&file)?;
            print_warnings(&warnings);
            print(&format!("ok: {}\n", summary(&definition, warnings.len())))
        }
        Action::CheckNode { file } => print(&node_service::check(&file)?),
        Action::Show { file, json } => {
            let (definition, _) = match &file {
                Some(file) => load(file)?,
                None => definition::parse(definition::NANOSTORE, definition::NANOSTORE_FILE)
                    .context("the built-in definition is broken, which is a bug")?,
            };
            if json {
                let text = serde_json::to_string_pretty(&NormalForm::from(&definition))?;
                print(&format!("{text}\n"))
            } else {
                print(&shown(&definition)?)
            }
        }
        Action::Schema { node } => {
            let schema = match node {
                true => node_config::schema(),
                false => definition::schema(),
            };
            print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))
        }
        Action::Openapi => print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&openapi::document())?
        )),
    }
}

/// Loads a definition; mistakes are printed as they are, since each already says file and line.
fn load(file: &Path) -> anyhow::Result<(Definition, Vec<Warning>)> {
    match definition_file::load(file) {
        Ok(loaded) => Ok(loaded),
        Err(LoadError::Mistakes(error)) => {
            let count = error.mistakes.len() + error.left_off;
            eprintln!("{error}\n\n{count} {}", plural(count, "mistake"));
            Err(Failed.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn print_warnings(warnings: &[Warning]) {
    for warning in warnings {
        eprintln!("warning: {warning}\n");
    }
}

fn summary(definition: &Definition, warnings: usize) -> String {
    let counted = |count: usize, word| format!("{count} {}", plural(count, word));
    let mut text = format!(
        "{}, {}, {} on {}",
        counted(definition.catalogue.products().len(), "product"),
        counted(definition.planogram.facings().len(), "facing"),
        counted(definition.layout.plate_count(), "plate"),
        counted(definition.layout.nodes.len(), "node"),
    );
    if warnings > 0 {
        let _ = write!(text, " ({})", counted(warnings, "warning")); // writing to a String cannot fail
    }
    text
}

fn plural(count: usize, word: &str) -> String {
    format!("{word}{}", if count == 1 { "" } else { "s" })
}

/// The whole definition for people.
fn shown(definition: &Definition) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let policy = &definition.policy;
    writeln!(
        out,
        "{} ({}), {}",
        definition.name,
        definition.id,
        summary(definition, 0)
    )?;
    writeln!(out, "definition {}\n", definition.hash)?;
    writeln!(out, "policy")?;
    writeln!(out, "  hold at entry      {}", policy.hold)?;
    writeln!(
        out,
        "  charge from        {} confidence",
        policy.confidence_min
    )?;
    writeln!(out, "  review deadline    {} s", policy.review_deadline_s)?;
    writeln!(out, "  node silent after  {} s", policy.node_silent_s)?;
    writeln!(out, "  track lost after   {} s", policy.track_lost_s)?;
    writeln!(out, "  reach              {} m", policy.reach_m)?;
    writeln!(
        out,
        "  provider away      {}",
        provider_away(&policy.offline)
    )?;
    let limits = &policy.limits;
    writeln!(out, "  visit lost after   {} s", limits.visit_lost_s)?;
    writeln!(out, "  admitted for       {} s", limits.admission_s)?;
    writeln!(
        out,
        "  cleared within     {} s of closing",
        limits.closing_s
    )?;
    writeln!(out, "  clock error up to  {} s", limits.clock_error_max_s)?;
    match definition.layout.gate {
        Some(gate) => writeln!(out, "\ngate at x {} m, y {} m", gate.place.x, gate.place.y)?,
        None => writeln!(out, "\nno gate")?,
    }
    show_nodes(definition, &mut out)?;
    show_facings(definition, &mut out)?;
    show_rest(definition, &mut out)?;
    Ok(out)
}

fn show_nodes(definition: &Definition, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nnodes")?;
    for node in &definition.layout.nodes {
        let mut roles = Vec::new();
        if !node.shelves.is_empty() {
            let shelves: Vec<String> = node.shelves.iter().map(ToString::to_string).collect();
            roles.push(format!("shelves {}", shelves.join(" ")));
        }
        if node.tracks_bodies {
            roles.push("tracks bodies".to_owned());
        }
        if node.watches_gate {
            roles.push("watches the gate".to_owned());
        }
        writeln!(out, "  {:<16} {}", node.name.as_str(), roles.join(", "))?;
    }
    Ok(())
}

/// Every shelf with its facings, left to right.
fn show_facings(definition: &Definition, out: &mut String) -> std::fmt::Result {
    for shelf in definition.layout.shelves.values() {
        if let (Some(first), Some(last)) = (shelf.plates.first(), shelf.plates.last()) {
            writeln!(
                out,
                "\nshelf {}: {} {}, x {:.3} to {:.3} m, {:.3} m high",
                shelf.id,
                shelf.plates.len(),
                plural(shelf.plates.len(), "plate"),
                first.front.x - first.width_m / 2.0,
                last.front.x + last.width_m / 2.0,
                first.front.z,
            )?;
        }
        for facing in definition.planogram.facings() {
            let (Some(first), Some(last)) = (facing.plates.first(), facing.plates.last()) else {
                continue;
            };
            if first.shelf != shelf.id {
                continue;
            }
            let plates = if first == last {
                first.plate.to_string()
            } else {
                format!("{}-{}", first.plate, last.plate)
            };
            if let Some(product) = definition.catalogue.get(facing.product.as_str()) {
                writeln!(out, "  {plates:>5}  {}", row(product))?;
            }
        }
    }
    Ok(())
}

/// The products that stand nowhere.
fn show_rest(definition: &Definition, out: &mut String) -> std::fmt::Result {
    let mut stands = vec![false; definition.catalogue.products().len()];
    for facing in definition.planogram.facings() {
        if let Some(flag) = stands.get_mut(facing.product_index) {
            *flag = true;
        }
    }
    let rest: Vec<&Product> = (definition.catalogue.products().iter().zip(stands))
        .filter_map(|(product, stands)| (!stands).then_some(product))
        .collect();
    if !rest.is_empty() {
        writeln!(out, "\nwithout a facing")?;
    }
    for product in rest {
        writeln!(out, "         {}", row(product))?;
    }
    Ok(())
}

/// One product on one line.
fn row(product: &Product) -> String {
    let per = match product.sold_by {
        SoldBy::Unit => "",
        SoldBy::Weight => " a kg",
    };
    let age = match product.age_min_years {
        0 => String::new(),
        years => format!(", from {years} years"),
    };
    format!(
        "{:<14} {:>9} {:>11}{per:<5} {:>5} %  {}{age}",
        product.id.as_str(),
        product.weight.to_string(),
        product.price.to_string(),
        f64::from(product.tax_basis_points) / 100.0,
        product.name,
    )
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to the standard output")
        }
        _ => Ok(()),
    }
}

/// Who may enter while the payment provider is away.
fn provider_away(offline: &Offline) -> String {
    let Offline::Capped {
        shoppers_max,
        amount_max,
    } = offline
    else {
        return "nobody enters".to_owned();
    };
    let shoppers = shoppers_max.map(|max| format!("{max} shoppers"));
    let amount = amount_max.map(|max| max.to_string());
    let caps: Vec<String> = shoppers.into_iter().chain(amount).collect();
    format!("entry without a hold up to {}", caps.join(" and "))
}
