//! `--situation`: what is to happen in a simulated store.

use std::collections::BTreeSet;

use crate::simulate::{Impossible, Situation};
use crate::store::Definition;

/// What is to happen in a simulated store.
#[derive(Clone, Debug, clap::Args)]
pub struct SituationArgs {
    /// Let something hard happen, over and over; `--situation list` names what there is
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = asked, long_help = long_help())]
    situation: Vec<Asked>,
}

/// One of the names.
#[derive(Clone, Copy, Debug)]
enum Asked {
    List,
    One(Situation),
}

impl SituationArgs {
    /// Whether the names are asked for.
    pub fn lists(&self) -> bool {
        self.situation.iter().any(|one| matches!(one, Asked::List))
    }

    /// The situations that are asked for. All must be possible in a store that so many shoppers visit.
    pub fn resolve(
        &self,
        definition: &Definition,
        shoppers: Option<u32>,
    ) -> Result<BTreeSet<Situation>, Impossible> {
        let asked = self.situation.iter().filter_map(|one| match one {
            Asked::List => None,
            Asked::One(situation) => Some(*situation),
        });
        asked
            .map(|one| one.possible(definition, shoppers).map(|()| one))
            .collect()
    }
}

/// Every situation with what happens, a line each.
pub fn list() -> String {
    let lines = Situation::ALL.map(|one| format!("{:15} {}\n", one.name(), one.about()));
    lines.concat()
}

fn asked(name: &str) -> Result<Asked, String> {
    match name {
        "list" => Ok(Asked::List),
        name => (name.parse().map(Asked::One))
            .map_err(|unknown| format!("{unknown} (`--situation list` names all)")),
    }
}

fn long_help() -> String {
    format!(
        "Let something hard happen, over and over; several names may be given, with commas or one by one:\n\n{}",
        list()
    )
}
