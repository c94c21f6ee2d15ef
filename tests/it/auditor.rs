//! Whole days in the NanoStore, in hard situations, and an auditor who knows what everybody really took.

use std::collections::BTreeMap;
use std::sync::Arc;

use stroll::checkout::Receipt;
use stroll::checkout::session::Role;
use stroll::coordinator::{Coordinator, Input};
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::Journal;
use stroll::edge::playback::{self, Playback};
use stroll::edge::shell::Shell;
use stroll::recording::{Record, Recording, TrueEvent, Truth};
use stroll::simulate::{Options, Situation, Store};
use stroll::store::ProductId;
use stroll::store::definition::{NANOSTORE, NANOSTORE_FILE, parse};

/// A day that a store has played.
struct Day {
    truth: Truth,
    receipts: Vec<Receipt>,
    shell: Shell<Coordinator>,
    _folder: tempfile::TempDir,
}

impl Day {
    fn new(situation: Option<Situation>, seed: u64) -> Self {
        let (definition, _) = parse(NANOSTORE, NANOSTORE_FILE).expect("it is right");
        let definition = Arc::new(definition);
        let options = Options {
            shoppers: Some(4),
            situations: situation.into_iter().collect(),
            ..Options::default()
        };
        let mut store = Store::new(&definition, seed, options);
        let records: Vec<Record> = store.by_ref().flatten().collect();
        let recording = Recording {
            definition: definition.clone(),
            nodes: store.nodes(),
            records,
            truth: Some(store.truth().clone()),
            damage: None,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let journal = folder.path().join("journal.sqlite");
        let journal = Journal::open(&journal, &definition).expect("a journal");
        let gateway = Box::new(Sandbox::in_memory().expect("a gateway"));
        let (mut shell, _) =
            Shell::open(journal, &definition, &recording.nodes, gateway).expect("a store");
        let phones = |phones: &[(_, Vec<u8>)], role| -> Vec<Input> {
            let phones = phones.iter().cloned();
            phones
                .map(|(device, key)| Input::DeviceEnrolled { device, key, role })
                .collect()
        };
        let mut enrolled = phones(store.devices(), Role::Shopper);
        enrolled.extend(phones(store.staff_devices(), Role::Staff));
        let opened_at = recording.records[0].at();
        shell
            .batch(enrolled, opened_at)
            .expect("phones are enrolled");
        Playback::new(&recording).run(&mut shell).expect("a day");
        let receipts = playback::receipts(shell.core());
        Day {
            truth: store.truth().clone(),
            receipts,
            shell,
            _folder: folder,
        }
    }

    /// How many units were charged, and what was charged to somebody who did not take as many, by product.
    fn audit(&self) -> (u32, Vec<(ProductId, String)>) {
        let mut charged = 0;
        let mut wrong = Vec::new();
        for receipt in &self.receipts {
            let taken: BTreeMap<_, u32> = (self.truth.receipts.iter())
                .filter(|one| Some(&one.target_id) == receipt.track.as_ref())
                .flat_map(|one| &one.products)
                .map(|line| (&line.barcode, line.quantity))
                .collect();
            for line in &receipt.lines {
                charged += line.quantity;
                let taken = taken.get(&line.product).copied().unwrap_or(0);
                if line.quantity > taken {
                    let (track, product) = (receipt.track.as_ref(), &line.product);
                    let what = format!("{track:?}: {} x {product}, took {taken}", line.quantity);
                    wrong.push((product.clone(), what));
                }
            }
        }
        (charged, wrong)
    }
}

/// Whether a wrong charge of a product on a day is what a test is about; the seed is given, too.
type Concerns = fn(&ProductId, &Day, u64) -> bool;

/// Somebody without a receipt moved that product, more units of it were charged than all who pay have taken, and
/// without them the same day has nothing wrong with it.
fn others_moved_it(product: &ProductId, day: &Day, seed: u64) -> bool {
    let truth = &day.truth;
    let pays = |event: &TrueEvent| {
        let mut receipts = truth.receipts.iter();
        receipts.any(|receipt| receipt.target_id == event.target_id)
    };
    let mut by_others = truth.events.iter().filter(|event| !pays(event));
    let moved = by_others.any(|event| event.barcode.as_ref() == Some(product));
    let charged = day.receipts.iter().flat_map(|receipt| &receipt.lines);
    let charged = charged
        .filter(|line| line.product == *product)
        .map(|line| line.quantity);
    let taken = truth.receipts.iter().flat_map(|receipt| &receipt.products);
    let taken = taken
        .filter(|line| line.barcode == *product)
        .map(|line| line.quantity);
    moved && charged.sum::<u32>() > taken.sum() && {
        let (_, wrong) = Day::new(None, seed).audit();
        wrong.iter().all(|(other, _)| other != product)
    }
}

/// Plays some days, and lets the auditor look at all receipts.
fn audited(
    situation: Situation,
    seeds: std::ops::RangeInclusive<u64>,
    concerns: Concerns,
) -> Vec<Day> {
    let mut days = Vec::new();
    let (mut all, mut all_wrong) = (0, Vec::new());
    for seed in seeds {
        let day = Day::new(Some(situation), seed);
        let (charged, wrong) = day.audit();
        all += charged;
        let wrong = (wrong.into_iter()).filter(|(product, _)| concerns(product, &day, seed));
        all_wrong.extend(wrong.map(|(_, what)| format!("seed {seed}, {what}")));
        days.push(day);
    }
    assert!(all > 5, "{situation}: only {all} units were charged");
    assert!(
        all_wrong.is_empty(),
        "{situation}: of {all} units {all_wrong:#?}"
    );
    days
}

#[test]
fn what_a_tailgater_takes_is_on_nobodys_receipt() {
    for day in audited(Situation::Tailgater, 1..=5, others_moved_it) {
        assert_eq!(day.receipts.len(), 4);
    }
}

#[test]
fn what_staff_put_and_take_is_on_nobodys_receipt() {
    for day in audited(Situation::Staff, 1..=5, others_moved_it) {
        let sessions = day.shell.core().state().sessions.values();
        let staff: Vec<_> = sessions.filter(|s| s.role == Role::Staff).collect();
        assert_eq!(staff.len(), 1);
        let receipt = staff[0].receipt.as_ref().expect("staff have left, too");
        assert_eq!((receipt.lines.len(), receipt.total.minor), (0, 0));
    }
}

#[test]
fn bags_are_on_nobodys_receipt() {
    audited(Situation::Bag, 1..=3, |_, _, _| true);
}
