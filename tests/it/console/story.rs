//! The whole story in a real browser: operators, staff and a shopper at their pages, by clicks and keys.
//!
//! `story.mjs` clicks; behind the console stands a store of a few lines that does what it is told. What the phone shows at
//! the gate is read as the gate would: from the picture, with the key that the phone has shown to the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use stroll::checkout::decision::{Attributed, AttributionVerdict, Decision, Hypothesis, Reached};
use stroll::checkout::entry_code::EntryCode;
use stroll::checkout::receipt::Paid;
use stroll::console::view::{Backlog, ReviewView, StoreView};
use stroll::console::{Action, ConsoleOptions, Operation};
use stroll::coordinator::OpenReview;
use stroll::edge::live::wall_now;
use stroll::edge::office::{Office, Token};
use stroll::edge::store_file::StoreFile;
use stroll::observation::{ChangeKind, DeviceId, Stamp};
use stroll::store::Definition;
use stroll::units::Milligrams;
use tokio::sync::{mpsc, watch};

use super::browser::Served;
use super::fixture::{self, NOON, busy, definition};

/// Reviews that wait at the beginning.
const REVIEWS: usize = 12;

/// What the store has been told.
#[derive(Default)]
struct Told {
    keys: BTreeMap<DeviceId, Vec<u8>>,
    refunds: Vec<(String, i64)>,
    verdicts: Vec<(String, String)>,
}

fn open_review(number: usize) -> (String, OpenReview) {
    let review = format!("r-{number:02}");
    let hypothesis = |session: &str, product: &str, ppm| Hypothesis {
        session: Some(session.into()),
        items: fixture::items(&[(product, 1)]),
        also: Vec::new(),
        probability_ppm: ppm,
    };
    let reached = |session: Option<&str>, log_milli, hand_mm| Reached {
        session: session.map(Into::into),
        staff: false,
        log_milli,
        by_plate_milli: vec![log_milli],
        stood_milli: None,
        middle: Some(NOON),
        hand_mm: Some(hand_mm),
        head_mm: Some(300),
    };
    let reason = "two shoppers reached at once".to_owned();
    let change = Attributed {
        change: Stamp {
            node: "gondola-1".into(),
            outbox: "0123".into(),
            sequence: number as u64 + 1,
        },
        at: NOON.plus_seconds(number as f64 - 600.0),
        shelf: fixture::shelf("1.5"),
        kind: ChangeKind::Take,
        delta_mg: Milligrams(-43_200 - number as i64),
        plates: vec![3],
        verdict: AttributionVerdict::Review {
            review: review.as_str().into(),
            reason: reason.clone(),
        },
        hypotheses: vec![
            hypothesis("s-88-91bd", "4008400402222", 610_000),
            hypothesis("s-87-4f2a", "sku-hostile", 340_000),
        ],
        reached: vec![
            reached(Some("s-88-91bd"), -120, 40),
            reached(Some("s-87-4f2a"), -900, 180),
            reached(None, -4_000, 1_240),
        ],
        clock: None,
        seen: None,
    };
    let open = OpenReview {
        change,
        reason,
        unwatched: false,
    };
    (review, open)
}

fn beginning(definition: &Definition) -> StoreView {
    let mut view = busy();
    view.now = wall_now();
    view.reviews = (0..REVIEWS)
        .map(|number| {
            let (review, open) = open_review(number);
            ReviewView::new(&review.as_str().into(), &open, definition)
        })
        .collect();
    view
}

/// Does what operators want, and shows it.
async fn obey(
    mut operated: mpsc::Receiver<Operation>,
    views: watch::Sender<Arc<StoreView>>,
    told: Arc<Mutex<Told>>,
    office: Arc<Office>,
) {
    let definition = definition();
    let mut backlog = Backlog::default();
    while let Some(Operation { action, by, answer }) = operated.recv().await {
        let mut done = Ok(());
        let mut view = views.borrow().as_ref().clone();
        match action {
            Action::Enrol { device, key, .. } => {
                told.lock().unwrap().keys.insert(device.clone(), key);
                // A visit of this phone is under way, and an earlier one is over.
                view.sessions[2].device = Some(device.clone());
                let (office, definition) = (office.clone(), definition.clone());
                tokio::task::spawn_blocking(move || {
                    // Filed as soon as the phone is its account's.
                    let held = [("5449000000996", 2), ("sku-hostile", 1)];
                    let receipt = fixture::receipt(&definition, "s-60-aaaa", &held, Paid::Captured);
                    for _ in 0..100 {
                        office.keep_receipt(&device, &receipt).expect("filed");
                        std::thread::sleep(std::time::Duration::from_millis(20));
                    }
                });
            }
            Action::Verdict {
                review,
                session,
                items,
            } => match view.reviews.iter().position(|r| r.review == review) {
                None => done = Err(format!("there is no open review {review}")),
                Some(index) => {
                    view.reviews.remove(index);
                    let at = NOON;
                    let (review, by) = (review.clone(), by.clone());
                    told.lock()
                        .unwrap()
                        .verdicts
                        .push((review.to_string(), by.clone()));
                    let closed = Decision::ReviewClosed {
                        review,
                        at,
                        by,
                        session,
                        items,
                    };
                    backlog.push(&closed, &definition);
                    view.decided = backlog.decided();
                }
            },
            Action::Refund { session, minor } => {
                told.lock()
                    .unwrap()
                    .refunds
                    .push((session.to_string(), minor));
            }
            Action::Close => {
                view.is_closed = true;
                view.bars = vec![format!("the store was closed by {by}")];
            }
            Action::Open => {
                view.is_closed = false;
                view.bars.clear();
            }
            Action::Emergency | Action::AllClear | Action::Revoke { .. } => {}
        }
        view.counters.open_reviews = view.reviews.len() as u64;
        views.send_replace(Arc::new(view));
        let _ = answer.send(done);
    }
}

/// Where the browser's packages are: `tests/run.sh` installs them.
fn packages() -> Option<PathBuf> {
    let named = std::env::var_os("STROLL_BROWSER").map(PathBuf::from);
    let there = named.filter(|path| path.join("node_modules/playwright-core").is_dir());
    let chromium = Path::new("/usr/bin/chromium").exists();
    there.filter(|_| chromium)
}

#[test]
fn operators_and_a_shopper_in_a_browser() {
    let Some(packages) = packages() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no browser: tests/run.sh installs one"
        );
        println!("skipped: tests/run.sh installs Chromium and what drives it");
        return;
    };
    let office = Arc::new(Office::in_memory().expect("an office"));
    let definition = Arc::new(definition());
    let mut options = ConsoleOptions::new(office.clone(), definition.clone());
    let opening = Token::random().expect("randomness");
    options.opening = Some(opening.clone());
    options.payment_words = "Test card •••• 4242.".to_owned();
    let (operations, operated) = mpsc::channel(16);
    options.operations = Some(operations);
    let folder = tempfile::tempdir().expect("a folder");
    let store_file = folder.path().join("corner.toml");
    let corner = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/corner.toml");
    let corner = std::fs::read_to_string(corner).expect("a definition");
    std::fs::write(&store_file, &corner).expect("a copy");
    options.store_file = Some(StoreFile::at(&store_file));
    let served = Served::with(beginning(&definition), options);
    let told = Arc::<Mutex<Told>>::default();
    served.spawn(obey(
        operated,
        served.views.clone(),
        told.clone(),
        office.clone(),
    ));

    let shots = packages.join("shots");
    std::fs::create_dir_all(&shots).expect("a folder for pictures");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/console/story.mjs");
    // Modules are looked for beside the script that asks for them.
    let copy = packages.join("story.mjs");
    std::fs::copy(&script, &copy).expect("copied");
    let output = Command::new("node")
        .arg(&copy)
        .arg(format!("http://localhost:{}", served.address.port()))
        .arg(opening.reveal())
        .arg(&shots)
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    println!("{said}");

    let edited = std::fs::read_to_string(&store_file).expect("a definition");
    let expected = corner.replacen("hold_minor = 3000 ", "hold_minor = 2500 ", 1);
    assert_eq!(
        edited, expected,
        "one rule was changed, and a facing put back"
    );
    let told = told.lock().unwrap();
    assert_eq!(told.refunds, [("s-60-aaaa".to_owned(), 100)]);
    assert_eq!(told.verdicts.len(), 11);
    assert!(
        told.verdicts
            .iter()
            .all(|(_, by)| ["anna", "ben"].contains(&by.as_str()))
    );
    read_code(&shots.join("code.png"), &told, &definition);
}

/// The code on the phone's picture is one that opens the gate.
fn read_code(picture: &Path, told: &Told, definition: &Definition) {
    let image = image::open(picture).expect("a picture").to_luma8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        image.get_pixel(x as u32, y as u32)[0]
    });
    let grids = prepared.detect_grids();
    let (_, text) = grids
        .first()
        .expect("a code")
        .decode()
        .expect("it can be read");
    let code = EntryCode::parse(&text).expect("an entry code");
    let key = told.keys.get(&code.device).expect("the phone is enrolled");
    code.verify(&definition.id, key, wall_now())
        .expect("it opens the gate");
}
