//! The console as a browser meets it: plain HTTP against a served socket.

mod browser;
mod fixture;
mod https;
mod programs;
mod roles;
mod story;
mod view;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stroll::checkout::receipt::Paid;
use stroll::console::view::{
    EVENTS_MAX, EventLog, NodeHealth, RECEIPTS_MAX, ReceiptLog, Shopper, StoreView,
};

use crate::program::CONSOLE_KEY;
use browser::{Event, Events, PATIENCE, Served};
use fixture::{NOON, busy, decisions, definition, receipt};

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

#[test]
fn the_page_shows_every_cart_receipt_and_node() {
    let served = Served::new(busy());
    let page = served.get("/");
    assert_eq!(page.status(), 200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    for shown in [
        "<h1>Nano Store</h1>",
        "Shopper 4F2A",
        "Nutella Biscuits",
        "Apples, Elstar <small>680.0 g</small>",
        "<span class=\"money\">14.64 <small>EUR</small></span>",
        "+ 1 being checked",
        "Waits for a check",
        "Left, not charged yet",
        "Leaving",
        "Shopper D31C",
        "Nothing taken yet",
        "1.2 s after the exit",
        "Took nothing",
        "Owed",
        "Node <b>fridge</b> is not answering.",
        "Plate 3.1.4 gives no samples; check its cable.",
        "heard 23 s ago · 23 s behind",
        "4 of 5 online",
        "48\u{202f}213",
        "128.40 <small>EUR</small>",
        "Shopper 4F2A took 3 × Nutella Biscuits from shelf 1.5 (97 %)",
        "Two shoppers reached at once; or Shopper 4F2A (34 %)",
        "<meta http-equiv=\"refresh\" content=\"5\">",
        "<time datetime=\"2026-11-23T11:55:55Z\">11:55 UTC</time>",
    ] {
        assert!(page.body().contains(shown), "missing: {shown}");
    }
    let visit = page.body().split("<section id=\"receipts\"").next();
    let visit = visit.expect("there is a first part");
    assert!(!visit.contains("AAAA"), "a closed visit is no cart");
}

#[test]
fn an_empty_store_says_what_will_be_there() {
    let served = Served::new(StoreView::opening(&definition(), NOON));
    let page = served.get("/");
    for shown in [
        "Nobody is inside.",
        "No receipts yet.",
        "Nothing has happened yet.",
        "not heard yet",
        "<b>5 of 5 nodes</b> are not answering.",
    ] {
        assert!(page.body().contains(shown), "missing: {shown}");
    }
}

#[test]
fn text_from_outside_is_text() {
    let mut view = busy();
    view.store_name = fixture::HOSTILE.to_owned();
    view.sessions[0].shopper = Shopper::of(&"\"><img src=x onerror=y>".into());
    view.events[0].sentence = fixture::HOSTILE.to_owned();
    view.nodes[0].trouble = "</section><script>z</script>\r\ndata: forged".to_owned();
    let served = Served::new(view);
    let page = served.get("/");
    let stream: String = served
        .events()
        .take(6)
        .into_iter()
        .map(|event| event.data)
        .collect();
    for html in [page.body(), &stream] {
        assert!(html.contains("&lt;script&gt;alert("), "shown as text");
        assert!(
            html.contains("&quot;&gt;&lt;img src=x"),
            "in attributes too"
        );
        for broken in ["<script>", "<img", "alert(\"x\")"] {
            assert!(!html.contains(broken), "{broken}");
        }
    }
}

#[test]
fn only_known_hosts_are_answered() {
    let served = Served::new(busy());
    let port = served.address.port();
    for (host, status) in [
        ("localhost".to_owned(), 200),
        (format!("127.0.0.1:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("Shop.Example:80".to_owned(), 401), // A known name; but who asks?
        ("evil.example".to_owned(), 421),
        (format!("evil.example:{port}"), 421),
        ("localhost.evil.example".to_owned(), 421),
    ] {
        for path in ["/", "/events", "/state.json", "/nowhere"] {
            if status != 421 && path != "/" {
                continue;
            }
            let answer = served.ask("GET", path, &host, "");
            assert_eq!(answer.status(), status, "{host} {path}");
            if status == 421 {
                assert!(answer.body().contains("does not answer to"), "{host}");
                assert!(!answer.body().contains("4F2A"));
            }
        }
    }
    for (request, status) in [
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
            400,
        ),
        (
            "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            421,
        ),
    ] {
        assert_eq!(served.raw(request).status(), status, "{request}");
    }
}

#[test]
fn a_page_answers_get_and_head() {
    let served = Served::new(busy());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for path in ["/", "/events", "/journal"] {
            let answer = served.ask(method, path, "localhost", "Content-Length: 0\r\n");
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET,HEAD"));
        }
    }
    let head = served.ask("HEAD", "/", "localhost", "");
    assert_eq!((head.status(), head.body()), (200, ""));
    assert_eq!(served.ask("HEAD", "/events", "localhost", "").body(), "");
    assert_eq!(served.get("/healthz").body(), "ok\n");
    // Programs operate by the console's key, which no page from elsewhere knows.
    let post = |headers: &str| {
        let headers = format!("Content-Length: 0\r\n{headers}");
        served
            .ask("POST", "/operate/emergency", "localhost", &headers)
            .status()
    };
    assert_eq!(post(""), 403);
    assert_eq!(post("Authorization: Bearer a-wrong-key-of-length\r\n"), 401);
    let keyed = format!("Authorization: Bearer {CONSOLE_KEY}\r\nStroll-Operator: anna\r\n");
    assert_eq!(post(&keyed), 503, "nobody takes operations here");
    assert_eq!(served.get("/operate/emergency").status(), 405);
    let lost = served.get("/nowhere");
    assert_eq!(lost.status(), 404);
    assert!(lost.body().contains("There is nothing here"));
}

#[test]
fn every_answer_carries_the_security_headers() {
    let served = Served::new(busy());
    for (path, host) in [
        ("/", "localhost"),
        ("/state.json", "localhost"),
        ("/assets/console.js", "localhost"),
        ("/nowhere", "localhost"),
        ("/", "evil.example"),
    ] {
        let answer = served.ask("GET", path, host, "");
        let policy = answer.header("content-security-policy").expect(path);
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"));
        assert!(policy.ends_with("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    // What the policy forbids is not there.
    let page = served.get("/");
    assert!(!page.body().contains(" style=") && !page.body().contains("<style"));
    assert!(!page.body().contains("<script>") && !page.body().contains(" onload="));
}

#[test]
fn assets_are_kept_for_ever_under_the_name_of_their_content() {
    let served = Served::new(busy());
    let page = served.get("/");
    for (name, content_type) in [
        ("console.css", "text/css; charset=utf-8"),
        ("console.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let from = page.body().find(&format!("/assets/{name}")).expect(name);
        let address = page.body()[from..].split('"').next().expect("a quote");
        let asset = served.get(address);
        assert_eq!(asset.status(), 200);
        assert_eq!(asset.header("content-type"), Some(content_type));
        let cache = asset.header("cache-control").expect("caching");
        assert!(cache.contains("immutable"), "{cache}");
        let tag = asset.header("etag").expect("a tag").to_owned();
        let plain = served.get(&format!("/assets/{name}"));
        assert_eq!(plain.header("cache-control"), Some("no-cache"));
        let known = format!("If-None-Match: \"other\", W/{tag}\r\n");
        let again = served.ask("GET", address, "localhost", &known);
        assert_eq!((again.status(), again.body()), (304, ""));
        let other = served.ask("GET", address, "localhost", "If-None-Match: \"other\"\r\n");
        assert_eq!(other.status(), 200);
    }
    assert_eq!(served.get("/assets/../Cargo.toml").status(), 404);
    assert_eq!(served.get("/assets/%ff").status(), 400);
}

#[test]
fn a_busy_page_is_light() {
    let (definition, mut view) = (definition(), busy());
    // Full lists, as after a day.
    let mut events = EventLog::default();
    for decision in decisions(&definition).iter().cycle().take(EVENTS_MAX * 2) {
        events.push(decision, &definition);
    }
    let mut receipts = ReceiptLog::default();
    for number in 0..RECEIPTS_MAX * 2 {
        let held = [
            ("8000500310427", 1),
            ("5449000000996", 2),
            ("sku-apples", 3),
        ];
        let id = format!("s-{number}");
        receipts.push(&receipt(&definition, &id, &held, Paid::Captured), NOON);
    }
    view.events = events.recent();
    view.receipts = receipts.recent();
    assert_eq!(view.events.len(), EVENTS_MAX);
    assert_eq!(view.receipts.len(), RECEIPTS_MAX);
    assert_eq!(view.receipts[0].shopper.session.as_str(), "s-399");
    let served = Served::new(view);
    let files =
        ["console.css", "console.js", "morph.js", "times.js"].map(|name| format!("/assets/{name}"));
    let weight: usize = std::iter::once("/")
        .chain(files.iter().map(String::as_str))
        .map(|path| served.get(path).body().len())
        .sum();
    let allowed = crate::floors::floors().console.page_weight_bytes_max;
    assert!(weight <= allowed, "{weight} bytes, {allowed} are allowed");
}

#[test]
fn state_json_is_the_view() {
    let view = busy();
    let served = Served::new(view.clone());
    let answer = served.get("/state.json");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_str(answer.body()).expect("JSON");
    assert_eq!(json, serde_json::to_value(&view).expect("JSON"));
    assert_eq!(json["sessions"][2]["shopper"]["short"], "4F2A");
    assert_eq!(json["sessions"][2]["total"]["minor"], 1464);
}

#[test]
fn a_stream_catches_up_and_then_tells_changes_only() {
    const ALL: [&str; 6] = [
        "hello", "sessions", "summary", "receipts", "events", "nodes",
    ];
    let served = Served::new(busy());
    let mut events = served.events();
    assert!(events.head.starts_with("HTTP/1.1 200"), "{}", events.head);
    assert!(events.head.contains("text/event-stream"), "{}", events.head);
    let first = events.take(6);
    assert_eq!(names(&first), ALL);
    assert!(first[1].data.contains("Shopper 4F2A"));

    // One node recovers: the list of nodes and the notice above the carts change, nothing else.
    let mut view = busy();
    view.nodes[2].health = NodeHealth::Online;
    served.views.send_replace(Arc::new(view.clone()));
    let changed = events.take(2);
    assert_eq!(names(&changed), ["sessions", "nodes"]);
    assert!(changed[1].data.contains("5 of 5 online"));
    assert!(changed[1].id > first[5].id);

    // The same again is no news; the next change is.
    served.views.send_replace(Arc::new(view.clone()));
    view.counters.observations += 1;
    served.views.send_replace(Arc::new(view));
    let next = events.next().expect("an event");
    assert_eq!(next.name, "summary");
    assert!(next.data.contains("48\u{202f}214"));

    // Who connects again gets everything, as it is now.
    let again = served.events().take(6);
    assert_eq!(names(&again), ALL);
    assert!(again[5].data.contains("5 of 5 online"));
}

#[test]
fn a_flood_of_changes_is_told_at_most_five_times_a_second() {
    let served = Served::new(busy());
    let mut events = served.events();
    events.take(6);
    let (begun, last) = (Instant::now(), 400);
    for number in 1..=last {
        let mut view = busy();
        view.counters.observations = number;
        served.views.send_replace(Arc::new(view));
        std::thread::sleep(Duration::from_millis(2));
    }
    let end = format!("<dd>{last}</dd>");
    let mut told = 1;
    while !events.next().expect("an event").data.contains(&end) {
        told += 1;
    }
    // The one that was due at once, and then one in 200 ms.
    let limit = 2 + begun.elapsed().as_millis() / 200;
    assert!(told <= limit, "{told} updates, at most {limit} wanted");
}

#[test]
fn shutdown_ends_the_streams() {
    let served = Served::new(busy());
    let mut streams = [served.events(), served.events()];
    for stream in &mut streams {
        assert_eq!(stream.take(6).len(), 6);
    }
    let address = served.address;
    let took = served.stop();
    assert!(
        took < Duration::from_millis(2_500),
        "{took:?}: not graceful"
    );
    for mut stream in streams {
        assert!(stream.next().is_none());
    }
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_peer_that_never_finishes_its_request_cannot_hold_up_shutdown() {
    let served = Served::new(busy());
    let mut half = served.connect();
    half.write_all(b"GET / HTTP/1.1\r\nHost: local")
        .expect("sent");
    let took = served.stop();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn beyond_the_bound_a_stream_is_refused_until_another_ends() {
    let served = Served::new(busy());
    let mut open: Vec<Events> = (0..256).map(|_| served.events()).collect();
    let refused = served.get("/events");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(served.get("/").status(), 200);
    open.pop();
    let until = Instant::now() + PATIENCE;
    while !served.events().head.starts_with("HTTP/1.1 200") {
        assert!(
            Instant::now() < until,
            "the place of a closed page stays taken"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
