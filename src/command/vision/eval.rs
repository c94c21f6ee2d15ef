//! `stroll vision eval`: how well products are recognised in labelled pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressIterator};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::edge::models::ModelFile;
use crate::edge::pictures;
use crate::evaluation::recognition::{self, Answer, Classes, Labelled};
use crate::vision::embedding::Embedding;
use crate::vision::model_card::ModelKind;
use crate::vision::prototypes::Prototypes;
use crate::vision::recognition::{Look, Recogniser};
use crate::vision::reliability;

mod told;

/// Measure how well products are recognised in labelled pictures
///
/// DIR has `classes.csv` and lists such as `test.txt` in the form of the Grocery Store Dataset. The answer is the class head's, or,
/// with `--held-out` or `--prototypes`, that of the nearest prototypes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with `classes.csv` and the lists
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The list that is answered
    #[arg(long, value_name = "FILE", default_value = "test.txt")]
    list: String,
    /// Answer by the prototypes that come with the model, not by its class head
    #[arg(long)]
    prototypes: bool,
    /// Classes that the model was not trained on: enrol each from a few pictures of another list, answer among them, and take all
    /// other classes for unknown
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    held_out: Vec<u32>,
    /// The list that they are enrolled from
    #[arg(long, value_name = "FILE", default_value = "train.txt")]
    enrol: String,
    /// Pictures of each class that it is enrolled from
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    shots: u32,
    /// Which pictures those are
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw how often stated probabilities are right
    #[arg(long, value_name = "SVG")]
    reliability: Option<PathBuf>,
    /// Draw which classes are taken for which
    #[arg(long, value_name = "SVG")]
    confusion: Option<PathBuf>,
    /// Overwrite the drawings
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    models: super::models::Args,
}

/// The model and the lists that it is measured on.
struct Bench {
    folder: PathBuf,
    classes: Classes,
    model: ModelFile,
    recogniser: Recogniser,
}

impl Bench {
    fn list(&self, name: &str) -> anyhow::Result<Vec<Labelled>> {
        let path = self.folder.join(name);
        let list = recognition::parse_list(&text(&path)?);
        let list = list.with_context(|| path.display().to_string())?;
        let unknown = list.iter().find(|l| self.classes.get(l.fine).is_none());
        if let Some(line) = unknown {
            bail!("{}: classes.csv has no class {}", path.display(), line.fine);
        }
        if list.is_empty() {
            bail!("{}: the list is empty", path.display());
        }
        Ok(list)
    }

    fn look(&mut self, labelled: &Labelled) -> anyhow::Result<Look> {
        let path = self.folder.join(&labelled.path);
        let picture = pictures::read(&path).with_context(|| path.display().to_string())?;
        let look = self.recogniser.look(&picture);
        Ok(look.map_err(|error| self.model.engine_error(error))?)
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let path = args.folder.join("classes.csv");
    let classes = Classes::parse(&text(&path)?).with_context(|| path.display().to_string())?;
    let model = args.models.open(ModelKind::Products)?;
    let recogniser = model.recogniser(&args.models.engine())?;
    let mut bench = Bench {
        folder: args.folder.clone(),
        classes,
        model,
        recogniser,
    };
    let (answers, unknown) = if args.held_out.is_empty() {
        (answer_all(&mut bench, &args)?, None)
    } else {
        held_out(&mut bench, &args)?
    };
    let report = recognition::report(&answers, &bench.classes);
    if args.json {
        println!("{}", told::json(&report, unknown.as_ref()));
    } else {
        print!("{}", told::table(&report, unknown.as_ref(), &bench.classes));
    }
    if let Some(path) = &args.reliability {
        told::draw_reliability(&report, path, args.force)?;
    }
    if let Some(path) = &args.confusion {
        told::draw_confusion(&answers, &bench.classes, path, args.force)?;
    }
    Ok(())
}

/// Answers a list by the class head or the prototypes that come with the model.
fn answer_all(bench: &mut Bench, args: &Args) -> anyhow::Result<Vec<Answer>> {
    let with_model = bench.model.prototypes()?;
    let form = bench.recogniser.form().clone();
    let by_prototypes = args.prototypes || form.logits.is_none();
    let known = match with_model {
        Some(known) => known,
        None if by_prototypes => bail!(
            "{}: no prototypes come with the model",
            bench.model.card_path.display()
        ),
        None => Prototypes::default(),
    };
    let list = bench.list(&args.list)?;
    let mut answers = Vec::with_capacity(list.len());
    for labelled in list.iter().progress_with(progress(list.len())) {
        let look = bench.look(labelled)?;
        let shares: Vec<(u32, f64)> = if by_prototypes {
            known.probabilities(&look.embedding, form.prototype_scale)
        } else {
            (0..).zip(look.classes).collect()
        };
        let answer = recognition::answer(labelled.fine, &shares, &bench.classes);
        answers.push(answer.context("the model answers with classes that classes.csv has not")?);
    }
    Ok(answers)
}

fn progress(pictures: usize) -> ProgressBar {
    ProgressBar::new(pictures as u64)
}

/// Whether what was never enrolled is told from what was.
struct Unknown {
    pictures: usize,
    auroc: Option<f64>,
    /// Shares that the card's threshold calls unknown: of what was enrolled, and of what was not.
    known_refused: f64,
    unknown_refused: f64,
    threshold: f64,
}

/// Enrols the classes that were held out, answers their pictures, and sees whether the rest is unknown.
fn held_out(bench: &mut Bench, args: &Args) -> anyhow::Result<(Vec<Answer>, Option<Unknown>)> {
    let known = enrol(bench, args)?;
    let form = bench.recogniser.form().clone();
    let list = bench.list(&args.list)?;
    let (mut answers, mut inside, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for labelled in list.iter().progress_with(progress(list.len())) {
        let look = bench.look(labelled)?;
        let shares = known.probabilities(&look.embedding, form.prototype_scale);
        let best = shares
            .first()
            .and_then(|(id, _)| known.cosine(id, &look.embedding));
        let best = best.unwrap_or(-1.0);
        if args.held_out.contains(&labelled.fine) {
            inside.push(best);
            let answer = recognition::answer(labelled.fine, &shares, &bench.classes);
            answers.push(answer.context("a class was enrolled that classes.csv has not")?);
        } else {
            outside.push(best);
        }
    }
    let below = |cosines: &[f64]| {
        let refused = cosines.iter().filter(|c| **c < form.unknown_below).count();
        refused as f64 / cosines.len().max(1) as f64
    };
    let unknown = Unknown {
        pictures: outside.len(),
        auroc: reliability::auroc(&inside, &outside),
        known_refused: below(&inside),
        unknown_refused: below(&outside),
        threshold: form.unknown_below,
    };
    Ok((answers, Some(unknown)))
}

fn enrol(bench: &mut Bench, args: &Args) -> anyhow::Result<Prototypes<u32>> {
    let mut by_class: BTreeMap<u32, Vec<Labelled>> = BTreeMap::new();
    for labelled in bench.list(&args.enrol)? {
        by_class.entry(labelled.fine).or_default().push(labelled);
    }
    let mut random = ChaCha8Rng::seed_from_u64(args.seed);
    let mut known = Prototypes::default();
    for class in &args.held_out {
        let Some(pictures) = by_class.get_mut(class) else {
            bail!("{} has no picture of class {class}", args.enrol);
        };
        pictures.shuffle(&mut random);
        let shots = pictures.iter().take(args.shots as usize);
        let shots: anyhow::Result<Vec<Embedding>> =
            shots.map(|l| Ok(bench.look(l)?.embedding)).collect();
        known.enrol(*class, shots?);
    }
    Ok(known)
}
