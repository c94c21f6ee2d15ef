//! The sections of the page: each is rendered for the whole page and, when it has changed, for the live stream.
//!
//! Elements with `data-key` are told apart by the script: it moves and changes them instead of building them
//! anew, and highlights those that are new or whose `data-v` has changed. So nothing in a fragment may change
//! without saying something to the reader: ages are shown in steps, not to the millisecond.

use maud::{Markup, html};

use super::view::{
    Counters, EventKind, EventView, LineView, NodeHealth, NodeView, ReceiptView, SessionView,
    Shopper, StoreView, VisitState,
};
use super::words::{Clock, amount, counted, grouped, heard, iso, lag, money, seconds, stay, time};
use crate::checkout::receipt::Paid;
use crate::units::Timestamp;

/// Carts on the page at once; more are counted.
const CARTS_SHOWN_MAX: usize = 60;
/// Events on the page; `/state.json` has more.
const EVENTS_SHOWN_MAX: usize = 25;
/// Receipts on the page; `/state.json` has more.
const RECEIPTS_SHOWN_MAX: usize = 10;

/// A part of the page that is updated as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Sessions,
    Summary,
    Receipts,
    Events,
    Nodes,
}

impl Section {
    /// In the order in which a phone shows them.
    pub const ALL: [Section; 5] = [
        Section::Sessions,
        Section::Summary,
        Section::Receipts,
        Section::Events,
        Section::Nodes,
    ];

    /// The element's id and the name of the live event.
    pub fn name(self) -> &'static str {
        match self {
            Section::Sessions => "sessions",
            Section::Summary => "summary",
            Section::Receipts => "receipts",
            Section::Events => "events",
            Section::Nodes => "nodes",
        }
    }

    /// What is inside the section's element.
    pub fn render(self, view: &StoreView) -> Markup {
        match self {
            Section::Sessions => sessions(view),
            Section::Summary => summary(view),
            Section::Receipts => receipts(&view.receipts),
            Section::Events => events(&view.events),
            Section::Nodes => nodes(&view.nodes),
        }
    }
}

fn sessions(view: &StoreView) -> Markup {
    let inside = |s: &&SessionView| matches!(s.state, VisitState::Inside);
    let here: Vec<&SessionView> = view.sessions.iter().filter(inside).collect();
    let gone: Vec<&SessionView> = view.sessions.iter().filter(|s| !inside(s)).collect();
    html! {
        (heading(Section::Sessions, "Inside", Some(here.len())))
        (notice(&view.nodes))
        @if here.is_empty() {
            p .empty { "Nobody is inside. A cart appears here as soon as a shopper comes in." }
        } @else {
            (carts(&here, view.now))
        }
        @if !gone.is_empty() {
            h3 .sub { "Left, not charged yet" span .count { (gone.len()) } }
            (carts(&gone, view.now))
        }
    }
}

/// What keeps the store from trusting its sensors, where people look first.
fn notice(nodes: &[NodeView]) -> Markup {
    let ill: Vec<&str> = nodes
        .iter()
        .filter(|node| !matches!(node.health, NodeHealth::Online))
        .map(|node| node.name.as_str())
        .collect();
    html! {
        @if !ill.is_empty() {
            p .notice data-key="notice" data-urgent {
                (icon("alert"))
                span {
                    @if let [only] = ill.as_slice() {
                        "Node " b { (only) } " is not answering. Carts that depend on it are not charged before it is back. "
                    } @else {
                        b { (ill.len()) " of " (nodes.len()) " nodes" }
                        " are not answering. Carts that depend on them are not charged before they are back. "
                    }
                    a href="#nodes" { "See the nodes" }
                }
            }
        }
    }
}

fn carts(sessions: &[&SessionView], now: Timestamp) -> Markup {
    html! {
        ul .carts {
            @for session in sessions.iter().take(CARTS_SHOWN_MAX) { (cart(session, now)) }
        }
        @if sessions.len() > CARTS_SHOWN_MAX {
            p .more { "and " (sessions.len() - CARTS_SHOWN_MAX) " more carts" }
        }
    }
}

fn cart(session: &SessionView, now: Timestamp) -> Markup {
    let units: u64 = session.lines.iter().map(|l| u64::from(l.quantity)).sum();
    html! {
        li .cart data-key={ "c-" (session.shopper.session) } {
            div .who {
                (avatar(&session.shopper))
                div {
                    h3 title=(session.shopper.session) { a href={ "/visits/" (session.shopper.session) } { (session.shopper) } }
                    p .meta {
                        "came in " (time(session.entered_at, Clock::Minute))
                        " · " (stay(session.entered_at, session.exited_at.unwrap_or(now)))
                    }
                    (visit_badge(session))
                }
            }
            @if session.lines.is_empty() {
                p .none {
                    @if session.open_reviews > 0 { "Nothing certain yet" } @else { "Nothing taken yet" }
                }
            } @else {
                (lines(&session.lines, true))
            }
            p .total {
                span { (counted(units, "item", "items")) }
                strong data-key="total" data-v=(session.total.minor) { (money(session.total)) }
            }
        }
    }
}

pub(super) fn visit_badge(session: &SessionView) -> Markup {
    match session.state {
        VisitState::Inside => html! {}, // Its lines say what is being checked.
        VisitState::Leaving => badge("calm", "Leaving"),
        VisitState::Draft if session.open_reviews > 0 => badge("warn", "Waits for a check"),
        VisitState::Draft => badge("warn", "Waits for a node"),
        VisitState::Paying => badge("calm", "Paying"),
    }
}

/// `live`: lines that come, go and change, which the script then highlights.
pub(super) fn lines(lines: &[LineView], live: bool) -> Markup {
    lines_in(lines, live, "being checked")
}

/// The same with other words for what is being checked.
pub(super) fn lines_in(lines: &[LineView], live: bool, being_checked: &str) -> Markup {
    let key = |line: &LineView| live.then(|| format!("l-{}", line.product));
    let value = |line: &LineView| live.then(|| format!("{}/{}", line.quantity, line.being_checked));
    html! {
        ul .lines {
            @for line in lines {
                li data-key=[key(line)] data-v=[value(line)] {
                    @let sure = line.quantity > 0;
                    span .q { (if sure { line.quantity } else { line.being_checked }) " ×" }
                    span .n {
                        (line.name)
                        @if let Some(mass) = line.mass_mg { " " small { (mass) } }
                        @if line.being_checked > 0 {
                            " " span .check {
                                @if sure { "+ " (line.being_checked) " " } (being_checked)
                            }
                        }
                    }
                    span .a { @if sure { (amount(line.amount)) } @else { "–" } }
                }
            }
        }
    }
}

fn summary(view: &StoreView) -> Markup {
    let Counters {
        inside,
        sold_today,
        open_reviews,
        observations,
        losses,
    } = &view.counters;
    html! {
        h2 .hidden #h-summary { "Today" }
        dl data-key="tiles" data-title={ (inside) " inside · " (view.store_name) }
            data-now=(iso(view.now)) {
            div { dt { "Inside" } dd { (inside) } }
            div { dt { "Sold today" } dd { (money(*sold_today)) } }
            div .warn[*open_reviews > 0] { dt { "Being checked" } dd { @if *open_reviews > 0 { a href="/reviews" { (open_reviews) } } @else { "0" } } }
            div { dt { "Observations" } dd { (grouped(*observations)) } }
            @if *losses > 0 { div .warn { dt { "Lost" } dd { (losses) } } }
            @if let Some(what) = &view.waits_for { div .warn { dt { "The store waits" } dd { (what) } } }
            @for why in &view.bars { div .warn { dt { "Nobody is let in" } dd { (why) } } }
        }
    }
}

fn receipts(all: &[ReceiptView]) -> Markup {
    html! {
        (heading(Section::Receipts, "Receipts", None))
        @if all.is_empty() {
            p .empty { "No receipts yet. Each is here seconds after its shopper has left." }
        } @else {
            ol .receipts data-scroll tabindex="0" aria-labelledby="h-receipts" {
                @for receipt in all.iter().take(RECEIPTS_SHOWN_MAX) { (receipt_row(receipt)) }
            }
        }
        @if all.len() > RECEIPTS_SHOWN_MAX { (earlier("/visits")) }
    }
}

fn receipt_row(receipt: &ReceiptView) -> Markup {
    let units: u64 = receipt.lines.iter().map(|l| u64::from(l.quantity)).sum();
    html! {
        li data-key={ "r-" (receipt.shopper.session) "-" (receipt.issued_at.0) } {
            details {
                summary {
                    (avatar(&receipt.shopper))
                    span .who {
                        b title=(receipt.shopper.session) { (receipt.shopper) }
                        span .meta {
                            (time(receipt.issued_at, Clock::Minute))
                            " · " (seconds(receipt.delay_ms)) " after the exit"
                        }
                    }
                    span .sum {
                        strong { (money(receipt.total)) }
                        @match receipt.paid {
                            Paid::Captured => { (badge("good", "Paid")) }
                            Paid::Voided => { (badge("calm", "Took nothing")) }
                            Paid::Owed => { (badge("bad", "Owed")) }
                        }
                    }
                }
                @if receipt.lines.is_empty() {
                    p .none { "Nothing was taken, and the hold was released." }
                } @else {
                    (lines(&receipt.lines, false))
                    p .tax {
                        span { (counted(units, "item", "items")) }
                        span { "tax included " (money(receipt.tax)) }
                    }
                }
            }
        }
    }
}

fn events(all: &[EventView]) -> Markup {
    html! {
        (heading(Section::Events, "What happened", None))
        @if all.is_empty() {
            p .empty { "Nothing has happened yet. Every pick, put-back and visit is told here." }
        } @else {
            ol .events data-scroll tabindex="0" aria-labelledby="h-events" {
                @for event in all.iter().take(EVENTS_SHOWN_MAX) { (event_row(event)) }
            }
        }
        @if all.len() > EVENTS_SHOWN_MAX { (earlier("/happened")) }
    }
}

pub(super) fn event_row(event: &EventView) -> Markup {
    let name = event_name(event.kind);
    let hue = event.shopper.as_ref().map(hue);
    html! {
        li .(name) .bad[event.urgent] data-key={ "e-" (event.number) } data-urgent[event.urgent] {
            span .kind .(hue.unwrap_or("plain")) { (icon(name)) }
            p { (event.sentence) @if let Some(detail) = &event.detail { small { (detail) } } }
            (time(event.at, Clock::Minute))
        }
    }
}

/// The word for a kind: of its icon, and of the filter.
pub(super) fn event_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Take => "take",
        EventKind::Put => "put",
        EventKind::Touch => "touch",
        EventKind::Foreign => "foreign",
        EventKind::Review => "review",
        EventKind::Gate => "gate",
        EventKind::Payment => "payment",
        EventKind::Receipt => "receipt",
        EventKind::Node => "node",
    }
}

fn nodes(all: &[NodeView]) -> Markup {
    let online = all
        .iter()
        .filter(|n| matches!(n.health, NodeHealth::Online))
        .count();
    html! {
        h2 #h-nodes { "Nodes" span .count { (online) " of " (all.len()) " online" } }
        @if all.is_empty() {
            p .empty { "This store has no nodes. Add them to its definition, then start them." }
        } @else {
            ul .nodes { @for node in all { (node_row(node)) } }
        }
    }
}

fn node_row(node: &NodeView) -> Markup {
    let (class, state) = match node.health {
        NodeHealth::Online => ("good", "Online"),
        NodeHealth::Silent => ("bad", "Silent"),
        NodeHealth::Offline => ("bad", "Offline"),
    };
    html! {
        li .(class) data-key={ "n-" (node.name) } {
            div {
                b { (node.name) }
                span .meta { (node.role) }
            }
            div .state {
                (badge(class, state))
                span .meta {
                    (heard(node.heard_age_ms))
                    @if let Some(lag_ms) = node.watermark_lag_ms { (lag(lag_ms)) }
                }
            }
            @if !node.trouble.is_empty() { p .trouble { (node.trouble) } }
        }
    }
}

fn earlier(all: &str) -> Markup {
    html! { p .more { a href=(all) { "Earlier ones" } } }
}

fn heading(section: Section, text: &str, count: Option<usize>) -> Markup {
    html! {
        h2 id={ "h-" (section.name()) } { (text) @if let Some(n) = count { span .count { (n) } } }
    }
}

/// The sentence beside it says the same: an icon is nothing to a screen reader.
fn icon(name: &str) -> Markup {
    html! { svg { use href={ "#i-" (name) } {} } }
}

pub(super) fn badge(class: &str, text: &str) -> Markup {
    html! { span .badge .(class) { (text) } }
}

pub(super) fn avatar(shopper: &Shopper) -> Markup {
    html! { span .avatar .(hue(shopper)) { (icon("person")) } }
}

/// One of twelve colours: the same shopper has the same one everywhere.
pub(super) fn hue(shopper: &Shopper) -> &'static str {
    const HUES: [&str; 12] = [
        "u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9", "u10", "u11",
    ];
    let bytes = shopper.session.as_str().bytes();
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193) // FNV-1a
    });
    // The top half: ids that differ in their last letter only still differ there.
    let index = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d) >> 16;
    HUES[index as usize % HUES.len()]
}
