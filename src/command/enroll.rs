//! `stroll enroll`: a product is shown to the camera a few times, and known from then on.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::command::vision::models;
use crate::edge::camera;
use crate::edge::gallery::Gallery;
use crate::store::ProductId;
use crate::store::gtin::{self, Code};
use crate::vision::embedding::Embedding;
use crate::vision::model_card::ModelKind;

/// Enrol a product by 5 to 10 pictures of it
///
/// Nothing is trained: the product is known in the second after. The gallery holds no pictures, only where they lie in the space of
/// the network, and is read by `stroll node --gallery`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The product: its GTIN, or the store's own code
    #[arg(long, value_name = "CODE")]
    gtin: String,
    /// Pictures of the product, or folders of them
    #[arg(value_name = "FILE", required_unless_present_any = ["camera", "remove"])]
    files: Vec<String>,
    /// Take the pictures from a camera: its number, a device, a stream
    #[arg(long, value_name = "CAMERA", conflicts_with = "files")]
    camera: Option<String>,
    /// Pictures that are taken from the camera
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    shots: u32,
    /// Frames of the camera between two pictures: time to turn the product
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    every: u32,
    /// The file of the products that are enrolled
    #[arg(long, value_name = "FILE", default_value = "gallery.json")]
    gallery: PathBuf,
    /// Forget the product
    #[arg(long, conflicts_with_all = ["files", "camera"])]
    remove: bool,
    #[command(flatten)]
    models: models::Args,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if let Code::WrongCheckDigit { expected } = gtin::classify(&args.gtin) {
        bail!(
            "{} is no GTIN: its last digit should be {expected}",
            args.gtin
        );
    }
    let product = ProductId::from(args.gtin.as_str());
    let model = args.models.open(ModelKind::Products)?;
    let sum = &model.card.sha256;
    let mut gallery = Gallery::read(&args.gallery, sum)?.unwrap_or_else(|| Gallery::new(sum));
    if args.remove {
        gallery.products.enrol(product, Vec::new());
        gallery.write(&args.gallery)?;
        println!(
            "{} is forgotten; {}",
            args.gtin,
            count(&gallery, &args.gallery)
        );
        return Ok(());
    }
    let mut recogniser = model.recogniser(&args.models.engine())?;
    let mut shots: Vec<Embedding> = Vec::new();
    let mut take = |frame: &camera::Frame| -> anyhow::Result<()> {
        let look = recogniser.look(&frame.picture()?);
        shots.push(look.map_err(|error| model.engine_error(error))?.embedding);
        Ok(())
    };
    match &args.camera {
        Some(name) => {
            let mut frames = camera::open(name)?;
            let every = u64::from(args.every);
            let last = u64::from(args.shots - 1) * every;
            while let Some(frame) = frames.next_frame()? {
                if frame.number % every == 0 {
                    take(&frame)?;
                    eprintln!("picture {} of {}", frame.number / every + 1, args.shots);
                }
                if frame.number >= last {
                    break;
                }
            }
        }
        None => {
            for name in &args.files {
                let mut frames = camera::open(name)?;
                while let Some(frame) = frames.next_frame()? {
                    take(&frame)?;
                }
            }
        }
    }
    if shots.is_empty() {
        bail!("there was no picture to enrol {} from", args.gtin);
    }
    let (pictures, agree) = (shots.len(), agreement(&shots));
    let alike = closest(&gallery, &product, &shots);
    gallery.products.enrol(product, shots);
    gallery
        .write(&args.gallery)
        .context("the product was not enrolled")?;
    println!(
        "{} is enrolled by {pictures} pictures, {agree:.2} alike; {}",
        args.gtin,
        count(&gallery, &args.gallery)
    );
    if let Some((other, cosine)) = alike.filter(|(_, cosine)| *cosine > agree) {
        println!(
            "it looks much like {other} ({cosine:.2}): show it from more sides, and weigh the two well"
        );
    }
    Ok(())
}

fn count(gallery: &Gallery, path: &Path) -> String {
    format!(
        "{} holds {} products",
        path.display(),
        gallery.products.len()
    )
}

/// The mean cosine of the pictures among themselves; 1 for one.
fn agreement(shots: &[Embedding]) -> f64 {
    let pairs = (0..shots.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let cosines: Vec<f64> = pairs.map(|(a, b)| shots[a].cosine(&shots[b])).collect();
    if cosines.is_empty() {
        return 1.0;
    }
    cosines.iter().sum::<f64>() / cosines.len() as f64
}

/// The other product that looks most like these pictures, and how much.
fn closest(
    gallery: &Gallery,
    product: &ProductId,
    shots: &[Embedding],
) -> Option<(ProductId, f64)> {
    let mean = Embedding::mean(shots)?;
    let others = gallery.products.iter().filter(|(id, _)| *id != product);
    others
        .filter_map(|(id, _)| Some((id.clone(), gallery.products.cosine(id, &mean)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}
