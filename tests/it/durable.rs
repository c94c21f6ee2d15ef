//! A store and a node over a broker: what outlives memory cards that are put back, outboxes that are full and journals
//! of last night.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stroll::checkout::Decision;
use stroll::edge::broker::{BrokerOptions, EmbeddedBroker};
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::Journal;
use stroll::edge::live::{Clock, LiveNode, LiveStore, Sensed, StoreParts};
use stroll::edge::mqtt::{BrokerUrl, CoordinatorLink, CoordinatorOptions, NodeLink, NodeOptions};
use stroll::edge::outbox::{Outbox, OutboxOptions};
use stroll::edge::shell::{Asker, Shell};
use stroll::observation::{
    ChangeKind, GapCause, GapObservation, GateEvent, GateObservation, NodeClock, Observation,
};
use stroll::recording::Record;
use stroll::sensing::node::NodeSensor;
use stroll::simulate;
use stroll::store::{Definition, NodeName};
use stroll::units::Timestamp;

use crate::corner;

const LIMIT: Duration = Duration::from_secs(30);
const NODE: &str = "gate";

/// A store in a folder, and a broker.
struct Shop {
    folder: tempfile::TempDir,
    definition: Arc<Definition>,
    broker: EmbeddedBroker,
}

impl Shop {
    fn new() -> Self {
        let listen = crate::port::free();
        Shop {
            folder: tempfile::tempdir().expect("a folder"),
            definition: corner::definition(&corner::gated()),
            broker: EmbeddedBroker::start(BrokerOptions::at(listen)).expect("a broker"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn journal(&self) -> PathBuf {
        self.path("journal.sqlite")
    }

    async fn open(&self) -> (LiveStore, Arc<CoordinatorLink>) {
        let nodes: Vec<NodeName> = (self.definition.layout.nodes.iter())
            .map(|node| node.name.clone())
            .collect();
        let journal = Journal::open(&self.journal(), &self.definition).expect("a journal");
        let gateway = Box::new(Sandbox::in_memory().expect("a sandbox"));
        let (shell, owed) =
            Shell::open(journal, &self.definition, &nodes, gateway).expect("it opens");
        let url = BrokerUrl::local(self.broker.addr());
        let options = CoordinatorOptions::new(url, self.definition.id.as_str());
        let (link, deliveries) = CoordinatorLink::connect(options).await.expect("connected");
        let link = Arc::new(link);
        let parts = StoreParts {
            shell,
            link: link.clone(),
            deliveries,
            answers: Asker::no_answers(),
            owed,
            ticks: true,
            alarm: Box::new(|_| {}),
            watcher: Box::new(|_, _, _| {}),
        };
        let runtime = tokio::runtime::Handle::current();
        (LiveStore::start(runtime, parts).expect("a thread"), link)
    }

    /// A night and a morning, after which the journal of the night is put back: the node knows of five observations, the
    /// store of two.
    async fn goes_back_to_last_night(&self) -> NodeLink {
        let night = self.path("night.sqlite");
        let store = self.open().await;
        let link = self.node(&self.path("gate.sqlite"), 1_000).await;
        see(&link, &[1, 2]).await;
        link.drained(LIMIT).await.expect("all committed");
        Shop::close(store).await;
        put(&self.journal(), &night);
        let store = self.open().await;
        see(&link, &[3, 4, 5]).await;
        link.drained(LIMIT).await.expect("all committed");
        Shop::close(store).await;
        put(&night, &self.journal());
        link
    }

    async fn close(store: (LiveStore, Arc<CoordinatorLink>)) {
        let (live, link) = store;
        let stopped = tokio::task::spawn_blocking(move || live.stop()).await;
        let shell = stopped.expect("no panic").expect("no journal error");
        drop(link);
        shell.into_parts().1.close().expect("one file");
    }

    async fn node(&self, outbox: &Path, rows_max: u64) -> NodeLink {
        self.link(NODE, outbox, rows_max).await
    }

    async fn link(&self, name: &str, outbox: &Path, rows_max: u64) -> NodeLink {
        let options = OutboxOptions {
            rows_max,
            ..OutboxOptions::default()
        };
        // A link that was closed lets go of its file a moment later.
        let begun = Instant::now();
        let outbox = loop {
            match Outbox::open_with(outbox, &NodeName::from(name), options.clone()) {
                Ok(outbox) => break outbox,
                Err(error) => assert!(begun.elapsed() < LIMIT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let url = BrokerUrl::local(self.broker.addr());
        let options = NodeOptions {
            resend_after: Duration::from_millis(300),
            ..NodeOptions::new(url, self.definition.id.as_str())
        };
        NodeLink::connect(options, outbox).await.expect("connected")
    }

    /// What the journal holds of the gate, in the order of arrival: the moments, microseconds.
    fn moments(&self) -> Vec<i64> {
        let journal = Journal::open(&self.journal(), &self.definition).expect("a journal");
        (journal.observations())
            .filter_map(|stamped| match stamped.expect("read").observation {
                Observation::Gate(gate) => Some(gate.at.0),
                Observation::Shelf(_)
                | Observation::Vision(_)
                | Observation::Body(_)
                | Observation::Gap(_) => None,
            })
            .collect()
    }

    fn decisions(&self) -> Vec<Decision> {
        let journal = Journal::open(&self.journal(), &self.definition).expect("a journal");
        let decisions = journal.decisions().expect("read");
        decisions.into_iter().map(|r| r.decision).collect()
    }
}

fn clock(at: i64) -> NodeClock {
    NodeClock {
        boot: "b".into(),
        monotonic_us: 0,
        wall_us: Timestamp(at),
        error_us: 0,
    }
}

/// Sees somebody pass at each of these moments.
async fn see(link: &NodeLink, moments: &[i64]) {
    for &at in moments {
        let event = GateEvent::PassedOut;
        let at = Timestamp(at);
        let seen = vec![Observation::Gate(GateObservation { at, event })];
        link.append(clock(at.0), seen).await.expect("kept");
    }
}

/// Copies an outbox that is closed, with what SQLite keeps beside it.
fn put(from: &Path, to: &Path) {
    for beside in ["", "-wal", "-shm"] {
        let name = |path: &Path| PathBuf::from(format!("{}{beside}", path.display()));
        let _ = std::fs::remove_file(name(to));
        if name(from).exists() {
            std::fs::copy(name(from), name(to)).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_card_that_is_put_back_makes_no_new_pick_look_old() {
    let shop = Shop::new();
    let store = shop.open().await;
    let (card, copy) = (shop.path("gate.sqlite"), shop.path("copy.sqlite"));
    let link = shop.node(&card, 1_000).await;
    see(&link, &[1, 2, 3]).await;
    link.close(LIMIT).await.expect("all committed");
    put(&card, &copy);
    let link = shop.node(&card, 1_000).await;
    see(&link, &[4, 5]).await;
    link.close(LIMIT).await.expect("all committed");

    put(&copy, &card);
    let link = shop.node(&card, 1_000).await;
    // Under the sequences of 4 and 5, had nobody noticed.
    see(&link, &[6, 7, 8]).await;
    link.close(LIMIT).await.expect("all committed");
    // From then on it is an outbox like any other.
    let link = shop.node(&card, 1_000).await;
    see(&link, &[9]).await;
    link.close(LIMIT).await.expect("all committed");
    Shop::close(store).await;
    assert_eq!(shop.moments(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_closes_the_entry_and_what_was_dropped_is_told() {
    let shop = Shop::new();
    let card = shop.path("gate.sqlite");
    let link = shop.node(&card, 8).await;
    see(&link, &(1..=20).collect::<Vec<_>>()).await;
    assert!(link.has_lost());
    // The store opens when it is full already: the broker has kept what the node said of itself.
    let store = shop.open().await;
    let begun = Instant::now();
    while link.has_lost() {
        assert!(begun.elapsed() < LIMIT, "it never has room again");
        tokio::time::sleep(Duration::from_millis(20)).await;
        link.append(clock(30), vec![]).await.expect("kept");
    }
    see(&link, &[40]).await;
    link.close(LIMIT).await.expect("all committed");
    // The gap is decided when every node has promised its end; here nobody else promises anything.
    Shop::close(store).await;
    assert_eq!(shop.moments(), [1, 2, 3, 4, 5, 6, 7, 8, 40]);
    let entry: Vec<&str> = (shop.decisions().iter().map(Decision::name))
        .filter(|name| name.starts_with("entry"))
        .collect();
    assert_eq!(entry, ["entry_barred", "entry_freed"]);
    let journal = Journal::open(&shop.journal(), &shop.definition).expect("a journal");
    let dropped: Vec<u64> = (journal.observations())
        .filter_map(|stamped| match stamped.expect("read").observation {
            Observation::Gap(gap) => Some(gap.dropped),
            Observation::Shelf(_)
            | Observation::Vision(_)
            | Observation::Body(_)
            | Observation::Gate(_) => None,
        })
        .collect();
    assert_eq!(dropped, [12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_last_night_is_refilled_by_a_node_that_stayed_on_the_line() {
    let shop = Shop::new();
    let link = shop.goes_back_to_last_night().await;
    let store = shop.open().await;
    see(&link, &[6]).await;
    link.close(LIMIT).await.expect("all committed");
    Shop::close(store).await;
    // What it sees anew may come before it hears what is missing.
    let mut moments = shop.moments();
    moments.sort_unstable();
    assert_eq!(moments, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_last_night_is_refilled_by_the_node() {
    let shop = Shop::new();
    let link = shop.goes_back_to_last_night().await;
    link.close(LIMIT).await.expect("closed");
    let store = shop.open().await;
    let link = shop.node(&shop.path("gate.sqlite"), 1_000).await;
    see(&link, &[6]).await;
    link.close(LIMIT).await.expect("all committed");
    Shop::close(store).await;
    assert_eq!(shop.moments(), [1, 2, 3, 4, 5, 6]);
}

/// Plays records through a node that is then cut off, and gives what its outbox holds.
async fn played(shop: &Shop, records: &[Record], was_off: bool) -> Vec<Observation> {
    let card = shop.path("shelf.sqlite");
    let link = shop.link("shelf", &card, 1_000_000).await;
    let sensor = NodeSensor::new(shop.definition.clone());
    let clock = Clock::new().expect("random numbers");
    let mut node = if was_off {
        let node = LiveNode::after_power_off(sensor, link, clock).await;
        node.expect("its levels are read")
    } else {
        LiveNode::new(sensor, link, clock)
    };
    for record in records {
        let sensed = Sensed::Record(record.clone());
        node.take(&sensed).await.expect("kept");
    }
    // As a power cut would: nothing that is open is finished.
    drop(node);
    let begun = Instant::now();
    loop {
        match Outbox::open(&card, &NodeName::from("shelf")) {
            Ok(outbox) => {
                let held = outbox.pending(0, 100_000).expect("read");
                return held.into_iter().map(|s| s.observation).collect();
            }
            Err(error) => assert!(begun.elapsed() < LIMIT, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_a_node_was_off_is_told_in_grams() {
    let shop = Shop::new();
    let recording = simulate::record(&shop.definition, 3, 3, simulate::Options::default());
    let is_mine = |record: &&Record| record.node().as_str() == "shelf";
    let records: Vec<Record> = recording.records.iter().filter(is_mine).cloned().collect();
    // What an undisturbed node sees, and where it is cut off: ten seconds around the first thing that leaves a shelf.
    let mut sensor = NodeSensor::new(shop.definition.clone());
    let mut seen = Vec::new();
    records
        .iter()
        .for_each(|record| sensor.push(record, &mut seen));
    let left = seen.iter().find_map(|o| match o {
        Observation::Shelf(o) if o.kind == ChangeKind::Take => Some((o.shelf, o.start, o.end)),
        _ => None,
    });
    let (shelf, from, to) = left.expect("something is taken");
    let off = (from.plus_seconds(-1.0), to.plus_seconds(1.0));
    let expected: i64 = (seen.iter())
        .filter_map(|o| match o {
            Observation::Shelf(o) if o.shelf == shelf && off.0 <= o.start && o.end <= off.1 => {
                Some(o.delta().0)
            }
            _ => None,
        })
        .sum();
    let cut = |at: Timestamp| records.partition_point(|record| record.at() < at);
    let (before, after) = (&records[..cut(off.0)], &records[cut(off.1)..]);
    let ends = after.partition_point(|record| record.at() < off.1.plus_seconds(8.0));

    let first = played(&shop, before, false).await;
    let second = played(&shop, &after[..ends], true).await;
    let gaps: Vec<&GapObservation> = (second[first.len()..].iter())
        .filter_map(|o| match o {
            Observation::Gap(gap) => Some(gap),
            Observation::Shelf(_)
            | Observation::Vision(_)
            | Observation::Body(_)
            | Observation::Gate(_) => None,
        })
        .collect();
    let [gap] = gaps[..] else {
        panic!("one gap, but: {gaps:?}");
    };
    assert_eq!(gap.cause, GapCause::Off);
    assert!(gap.start <= off.0 && off.1 <= gap.end, "{gap:?}");
    let told = gap
        .shelves
        .iter()
        .find(|s| s.shelf == shelf)
        .map(|s| s.delta().0);
    let off_by = told.map(|told| (told - expected).abs());
    assert!(
        off_by < Some(10_000) && told.is_some(),
        "{expected}, but: {gap:?}"
    );

    // Off for a moment in which nothing moved, it has nothing to tell.
    let third = played(
        &shop,
        &after[ends..cut(off.1.plus_seconds(9.0)) - cut(off.1)],
        true,
    )
    .await;
    assert_eq!(third.len(), second.len());
}
