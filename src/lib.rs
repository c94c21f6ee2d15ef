//! Stroll: an open, checkout-free store that runs on Raspberry Pi.
//!
//! This page is the map: a bird's eye view, where things live, what always holds, and the words.
//!
//! # Bird's eye
//!
//! Nodes at the shelves turn load-cell samples and body tracks into *observations* ("on shelf 1.5, plates 11 and 12,
//! 623 g left at 14:03:07"). A node stamps each observation, keeps it in its *outbox* and publishes it over MQTT until the
//! *coordinator* has committed it. The coordinator orders observations by event time, decides which shopper a change
//! belongs to, keeps each shopper's cart, and takes payment at the exit. What it accepts and what it decides is in a
//! *journal*; the state of the store is a fold over the decisions.
//!
//! ```text
//! samples ─ weight step ─ item likelihoods ─ outbox ═ MQTT ═ intake ─ attribution ─ cart ─ settlement ─ capture ─ receipt
//! └──────────── sensing (pure) ───────────┘  └─── edge ───┘ └────────────── coordinator, checkout (pure) ──────────────┘
//! ```
//!
//! Data goes one way. A replay sends a recording through the very same parts, with source and clock swapped.
//!
//! # Where things live
//!
//! The domain, pure (no IO, no clock, no randomness; `tests/it/architecture.rs` enforces it):
//!
//! - [`units`]: event time, milligrams, money, points; [`observation`]: what nodes vouch for; [`recording`]: what
//!   sensors say.
//! - [`store`]: the store definition: catalogue, planogram, layout, policy, from one TOML file.
//! - [`sensing`]: samples to observations. [`sensing::load_cell`] watches one plate, [`sensing::weight_step`] cuts its
//!   trace into straight pieces, [`sensing::movement`] reads rests and moves from them, [`sensing::cell`] tells items
//!   from hands that lean, [`sensing::combine`] and [`sensing::one_by_one`] make changes of the moves of neighbouring
//!   plates, [`sensing::shelf`] runs them over [`sensing::history`], [`sensing::item_match`] says what the grams can
//!   have been, [`sensing::body_track`] cuts tracks into segments, [`sensing::node`] is all of a node.
//! - [`vision`]: pictures to products and people. [`vision::engine`] runs networks ([`vision::recognition`],
//!   [`vision::people`]); [`vision::prototypes`] knows products by a few pictures, [`vision::tracking`] makes tracks of boxes,
//!   [`vision::ceiling`] brings those of all cameras to the floor ([`vision::camera_geometry`], [`vision::floor_tracking`]), [`vision::shelf_view`] sees what
//!   changed on a shelf, [`vision::shelf_eyes`] adds that to the shelf's changes.
//! - [`checkout`]: [`checkout::attribution`] (who and what, as probabilities), [`checkout::cart`],
//!   [`checkout::session`], [`checkout::payment`] (an explicit state machine, and the day-end report), [`checkout::receipt`],
//!   [`checkout::entry_code`], and [`checkout::decision`], the journal's vocabulary.
//! - [`coordinator`]: `handle(input, now) -> outputs`. Its `intake` takes each stamp once and waits for watermarks,
//!   `deciding` works in event time, `gate` admits and sees people out, `settlement` goes from the exit to the final
//!   cart, `paying` from the hold to the receipt, `gaps` decides what is lost, `bars` who is let in, `stuck` ends visits
//!   that nobody closes, `corrections` heeds late evidence, `state` is the fold, `keeping` makes a snapshot of it all,
//!   and `restoring` takes up after a restart.
//! - [`simulate`]: stores and shoppers that never were, from a seed (it draws randomness, so it is not of the core).
//! - [`evaluation`]: receipts and decisions against the truth: score, intervals, what went wrong, what doubt costs.
//! - [`torture`]: whole store-days in which everything fails, and an auditor that shares no code with the coordinator.
//!
//! The world:
//!
//! - [`edge`]: everything that does IO. [`edge::wire`] (the codec), [`edge::outbox`], [`edge::mqtt`], [`edge::broker`]
//!   (the embedded one, and the door to it), [`edge::credentials`] and [`edge::provision`] (who is who on the network),
//!   [`edge::journal`] (hash-chained; [`edge::journal::Archive`] reads and copies it), [`edge::gateway`] (the payment
//!   sandbox, and Stripe), [`edge::https`] (the console's certificate), [`edge::shell`] (journal before effect, around the pure core; the gateway may be asked on threads of
//!   its own), [`edge::live`] (store and nodes at work), [`edge::levels`] (what
//!   changed on shelves while a node was off), [`edge::playback`] (a recording through
//!   all of it in one process), [`edge::recording`] (`.mcap` and the competition's folders), [`edge::camera`] (where frames come
//!   from), [`edge::pictures`], [`edge::models`] (networks with their cards), [`edge::gallery`] (enrolled products),
//!   [`edge::shelf_cameras`] (frames around a change; [`edge::evidence`] keeps some for a while), [`edge::ceiling_cameras`] (frames
//!   to body tracks), [`edge::converter`] (drivers of load cells), [`edge::gate`] (relay, beams, emergency
//!   input and scanner; its `keeper` puts them to work) and [`edge::presence`] (drivers of what else is wired to a Pi), [`edge::node`] (a node at work on
//!   converters and gate), [`edge::home_assistant`] (how it is found there), `edge::rpi` (the Pi's pins), [`edge::simulated`] (a board that isn't there).
//! - [`console`]: the pages, rendered on the server, live by server-sent events. Its `routes` is the one table of who may ask for
//!   what, `access` decides by it, `desk` is where people work, `phone` is the shopper's (`tongue` has its languages), `api` is for programs, and `hooks` reads the journal on, keeps the
//!   owner's books and tells webhooks. What must be forgettable (accounts,
//!   phones, receipts handed to people), the books and programs' keys it keeps in [`edge::office`], a file beside the journal.
//! - [`command`]: the subcommands; they wire edge, console and domain together. (The console works on three files of the edge by
//!   itself: the office, the journal to show, verify and book it, and [`edge::store_file`], the definition that operators edit.)
//! - `models/`: the trained networks, what they were trained on, and the scripts that did it.
//! - `deploy/`: `asyncapi.yaml`, the contract of the wire, held against the code by a test; `nanostore.toml`, a real
//!   store; `corner.toml`, a small one to copy; `node.toml`, what is wired to its shelf, and `situation.toml`, what may happen to
//!   that; `systemd/`, `pi/`, `wiring.md` and `bill-of-materials.md` for building it; `package.sh` with `debian/` makes the packages, `arm64.sh` runs one
//!   emulated, and `cloud-init/` is a first boot.
//! - `tests/it/`: one integration binary. `tests/floors.toml`: figures that may not get worse. `benches/`: speed.
//!
//! # What always holds
//!
//! 1. **The core is pure.** Time and seeds come in as arguments.
//! 2. **Journal before effect.** A gate opens, money moves or a receipt goes out only after the decision is durable.
//!    Folding never infers again: an upgrade cannot change a sold receipt. What was under way at a crash is asked
//!    again under the same idempotency key. Entries are never edited, and their hash chain shows if they were; a
//!    snapshot is a shortcut, and the same follows without it.
//! 3. **Nothing durable is lost and nothing counts twice.** A stamp (node, outbox, sequence) is committed once; a node
//!    keeps what the coordinator has not committed, and 24 h longer.
//! 4. **Never charge a doubt.** Attribution ranges over everybody inside and *nobody we know*. Below the policy's
//!    confidence a change waits for a verdict, and what is undecided at the deadline is settled in the shopper's favour.
//! 5. **Replay is production.** Same recording, same binary: the same events, carts and receipts, byte by byte,
//!    whatever the order of arrival. What is sent is quantised before it is used.
//! 6. **Integers are stored.** Money is minor units with a currency, mass milligrams, time microseconds. Floats live in
//!    filters and inference only.
//! 7. Domain enums are matched exhaustively. A refusal, an error of the world and a bug are three different things.
//! 8. No `unsafe`. Every queue has a bound and says what happens there.
//!
//! Absent on purpose: face recognition, anything about a shopper's looks, a cloud. Card numbers never come here.
//!
//! # Words
//!
//! - **gondola, shelf, plate**: a rack, one of its boards, one load cell. Written `1`, `1.5`, `1.5.11`.
//! - **facing**: where a product stands in the **planogram**; one or more plates.
//! - **weight step**: a lasting change of a plate's weight. **Touch**: a press that changed nothing.
//! - **pick, put-back**: an item leaves its shelf, comes back; *misplaced* if into another product's facing.
//! - **track**: one body from first to last sight. **Session**: one visit of one payer.
//! - **watermark**: a node's promise that nothing from before a time is still to come, but on the shelves it names.
//! - **stamp, outbox**: what names an observation for ever; where a node keeps it.
//! - **attribution, review, verdict**: who changed the shelf; a change too doubtful to charge; a person's answer.
//! - **hold, capture, void, refund**: an amount authorised, taken, released, given back. **Second charge**: what the hold did
//!   not cover, of whoever has agreed to it. **Unsecured**: let in while the provider is away, to be held later.
//! - **settlement**: the moment from which a cart does not change any more.

#![cfg_attr(test, allow(clippy::too_many_lines, reason = "the tests are tables"))]

pub mod checkout;
pub mod command;
pub mod console;
pub mod coordinator;
pub mod edge;
pub mod evaluation;
pub mod observation;
pub mod recording;
pub mod sensing;
pub mod simulate;
pub mod store;
pub mod torture;
pub mod units;
pub mod vision;
