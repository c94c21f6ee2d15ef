//! Keys, the API and webhooks as a program meets them, and the owner's books behind them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stroll::checkout::decision::{AttributionVerdict, Decision};
use stroll::checkout::receipt::Paid;
use stroll::checkout::session::Role;
use stroll::console::api::openapi;
use stroll::console::{Access, ConsoleOptions, routes};
use stroll::coordinator::Output;
use stroll::edge::journal::Journal;
use stroll::edge::live::wall_now;
use stroll::edge::office::{NewHook, Office, Part, Scope};
use stroll::observation::ChangeKind;

use super::browser::{Answer, PATIENCE, Served};
use super::fixture::{self, NOON, attributed, busy, definition};

fn by_key(served: &Served, method: &str, path: &str, key: &str, body: &str) -> Answer {
    let head = format!(
        "Authorization: Bearer {key}\r\nContent-Length: {}\r\n",
        body.len()
    );
    served.raw(&format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n{body}"
    ))
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(answer.body()).unwrap_or_else(|_| panic!("{}", answer.body()))
}

#[test]
fn a_key_reaches_what_it_is_for_and_nothing_else() {
    let office = Arc::new(Office::in_memory().expect("an office"));
    let served = Served::with(
        busy(),
        ConsoleOptions::new(office.clone(), Arc::new(definition())),
    );
    for scope in Scope::ALL {
        let key = office
            .make_key(scope.name(), &[scope], "anna", wall_now())
            .expect("a key");
        for route in routes() {
            let path = route.path.replace(['{', '}'], "x");
            let answer = match route.access {
                Access::Anyone => continue,
                // A key opens no page.
                Access::Only(_) => {
                    let answer = by_key(&served, route.method, &path, &key, "");
                    assert_eq!(answer.status(), 401, "{path}");
                    continue;
                }
                Access::Program(_) => by_key(&served, route.method, &path, &key, "{}"),
            };
            let shown = format!("{} {path}: {}", scope.name(), answer.body());
            assert!(json(&answer).is_object(), "{shown}");
            match route.access == Access::Program(scope) {
                true => assert!(![401, 403].contains(&answer.status()), "{shown}"),
                false => assert_eq!(answer.status(), 403, "{shown}"),
            }
        }
    }
    let all = office.keys().expect("keys");
    assert!(all.iter().all(|key| key.used_at.is_some()));
    let key = office
        .make_key("all", &Scope::ALL, "anna", wall_now())
        .expect("a key");
    let id = office.keys().expect("keys")[0].id;
    let get = |path: &str| by_key(&served, "GET", path, &key, "");
    assert_eq!(
        json(&get("/api/v1/carts"))["items"][0]["session"],
        "s-71-c07e"
    );
    assert_eq!(get("/api/v1/carts/nobody").status(), 404);
    assert_eq!(get("/api/v1/receipts?day=soon").status(), 400);
    let refused = by_key(
        &served,
        "POST",
        "/api/v1/receipts/s-1/refunds",
        &key,
        "{\"minor\":-1}",
    );
    assert_eq!(json(&refused)["error"]["code"], "invalid");
    let slowed = (0..100)
        .map(|_| get("/api/v1/nodes"))
        .find(|answer| answer.status() == 429);
    assert!(
        slowed
            .expect("it is slowed down")
            .header("retry-after")
            .is_some()
    );
    assert!(office.revoke_key(id).expect("revoked"));
    assert_eq!(json(&get("/api/v1/nodes"))["error"]["code"], "wrong_key");
    assert_eq!(served.get("/api/v1/nodes").status(), 401);
}

#[test]
fn the_document_names_every_route_of_the_api() {
    let office = Arc::new(Office::in_memory().expect("an office"));
    let served = Served::with(busy(), ConsoleOptions::new(office, Arc::new(definition())));
    let document = json(&served.get("/api/openapi.json"));
    assert_eq!(document, openapi::document());
    for route in routes() {
        if let Access::Program(scope) = route.access {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert_eq!(
                operation["security"][0]["key"][0],
                scope.name(),
                "{}",
                route.path
            );
        }
    }
}

/// A request as a receiver got it.
struct Heard {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Heard {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A receiver on loopback that gives these answers, and the last of them from then on.
fn receiver(answers: &'static [&'static str]) -> (SocketAddr, mpsc::Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let answer = answers[number.min(answers.len() - 1)];
            let heard = take(stream.expect("a connection"), answer);
            if tell.send(heard).is_err() {
                return;
            }
        }
    });
    (address, heard)
}

fn take(stream: TcpStream, answer: &str) -> Heard {
    let mut reader = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None if line.trim_end().is_empty() => break,
            None => continue,
        };
    }
    let length = headers["content-length"].parse().expect("a length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let head = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader
        .get_mut()
        .write_all(head.as_bytes())
        .expect("answered");
    let body = String::from_utf8(body).expect("UTF-8");
    Heard { headers, body }
}

/// What README tells receivers to do.
fn is_signed(heard: &Heard, secret: &[u8]) -> bool {
    let signed = format!(
        "{}.{}.{}",
        heard.headers["webhook-id"], heard.headers["webhook-timestamp"], heard.body
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any key");
    mac.update(signed.as_bytes());
    let right = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    heard.headers["webhook-signature"] == right
}

/// A journal in which somebody came, took something, left and paid, something is doubtful and a node silent.
fn write_journal(path: &Path) {
    let definition = definition();
    let mut journal = Journal::open(path, &definition).expect("a journal");
    let review = AttributionVerdict::Review {
        review: "r1".into(),
        reason: "two reached".to_owned(),
    };
    let nobody = AttributionVerdict::Nothing {
        reason: "nobody we know".to_owned(),
    };
    let stamped = |decision, sequence| match decision {
        Decision::Attributed(mut change) => {
            change.change.sequence = sequence;
            Output::Decide(Decision::Attributed(change))
        }
        other => Output::Decide(other),
    };
    let (cart, held) = ("s-87-4f2a", [("5449000000996", 2), ("sku-apples", 4)]);
    let decisions = [
        Decision::SessionOpened {
            session: cart.into(),
            at: NOON,
            role: Role::Shopper,
            device: None,
            track: Some("t-1".into()),
            second_charge: false,
        },
        attributed(
            1.0,
            ChangeKind::Take,
            AttributionVerdict::Accepted,
            &[(Some(cart), &[("5449000000996", 1)], 990_000)],
        ),
        attributed(
            2.0,
            ChangeKind::Take,
            review,
            &[(Some(cart), &[("4008400402222", 1)], 600_000)],
        ),
        attributed(
            3.0,
            ChangeKind::Take,
            nobody,
            &[(None, &[("8000500310427", 2)], 990_000)],
        ),
        Decision::NodeSilent {
            node: "fridge".into(),
            since: NOON,
        },
        Decision::ReceiptIssued {
            receipt: fixture::receipt(&definition, "s-60-aaaa", &held, Paid::Captured),
        },
    ];
    let outputs: Vec<Output> = (decisions.into_iter().zip(1..))
        .map(|(decision, sequence)| stamped(decision, sequence))
        .collect();
    journal.commit(&outputs).expect("kept");
    journal.close().expect("closed");
}

/// The receiver fails first, the console is started again before it is well, and then everything arrives once.
#[test]
fn webhooks_arrive_after_failures_and_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("store.sqlite");
    write_journal(&journal);
    let (address, heard) = receiver(&["500 Internal Server Error", "302 Found", "204 No Content"]);
    let secret = [7; 32];
    let open = || {
        let office = Office::open(&Office::beside(&journal)).expect("an office");
        let office = Arc::new(office);
        let mut options = ConsoleOptions::new(office.clone(), Arc::new(definition()));
        options.journal = Some(journal.clone());
        (office, options)
    };
    let (office, options) = open();
    let url = format!("http://{address}/hook");
    let events = [
        "session.entered",
        "cart.updated",
        "checkout.captured",
        "review.opened",
        "node.unhealthy",
    ];
    let new = NewHook {
        url: &url,
        secret: &secret,
        events: &events,
        by: "anna",
        after: 0,
    };
    office.add_hook(&new, wall_now()).expect("a webhook");
    drop(office);
    let served = Served::with(busy(), options);
    // 500 to the first, a way elsewhere to the second.
    let failed: Vec<Heard> = (0..2)
        .map(|_| heard.recv_timeout(PATIENCE).expect("told"))
        .collect();
    served.stop();
    let mut arrived: Vec<Heard> = heard.try_iter().collect();

    let (office, options) = open();
    let served = Served::with(busy(), options);
    while arrived.len() < events.len() {
        arrived.push(heard.recv_timeout(PATIENCE).expect("told again"));
    }
    for heard in failed.iter().chain(&arrived) {
        assert!(is_signed(heard, &secret), "{}", heard.body);
        assert!(!is_signed(heard, &[8; 32]));
        assert_eq!(heard.json()["id"], heard.headers["webhook-id"].as_str());
    }
    let mut kinds: Vec<String> = (arrived.iter())
        .map(|heard| heard.json()["type"].as_str().expect("a type").to_owned())
        .collect();
    kinds.sort();
    let mut expected = events.map(str::to_owned);
    expected.sort();
    assert_eq!(kinds, expected);
    let of = |kind: &str| {
        arrived
            .iter()
            .map(Heard::json)
            .find(|e| e["type"] == kind)
            .expect("told")
    };
    assert_eq!(of("cart.updated")["data"]["total"]["minor"], 1_464);
    assert_eq!(of("checkout.captured")["data"]["session"], "s-60-aaaa");
    let hook = &office.hooks().expect("webhooks")[0];
    let log = loop {
        let log = office.deliveries(hook.id, 10).expect("deliveries");
        // The last is written down just after it has arrived.
        if log.iter().all(|delivery| delivery.said.starts_with("204")) {
            break log;
        }
        std::thread::yield_now();
    };
    assert_eq!(log.iter().filter(|delivery| delivery.tries == 2).count(), 2);
    owner_sees(&office, &served);
}

/// What the same journal has brought the owner.
fn owner_sees(office: &Office, served: &Served) {
    let anna = office
        .add_account("anna", Part::Operator, "correct horse", wall_now())
        .expect("anna");
    let login = office.log_in(anna.id, wall_now(), 60.0).expect("a login");
    let cookie = format!("Cookie: stroll={}\r\n", login.reveal());
    let get = |path: &str| served.ask("GET", path, "localhost", &cookie);
    let day = "from=2026-11-23&to=2026-11-23";
    let page = get(&format!("/owner?{day}"));
    // Two colas and four apples of 170 g at 3.49 the kilogram; two biscuits that nobody we know has taken.
    for shown in [
        "4.35",
        "7 %",
        "2 × Nutella Biscuits",
        "taken by nobody we know",
        "8.98",
    ] {
        assert!(page.body().contains(shown), "{shown}: {}", page.body());
    }
    assert!(
        !page.body().contains("Hazelnut Bar"),
        "it still waits for a verdict"
    );
    assert_eq!(get("/owner?from=2026-11-23&to=2020-01-01").status(), 400);
    let csv = get(&format!("/owner/books.csv?{day}"));
    assert_eq!(csv.body().lines().count(), 1 + 2 + 1, "{}", csv.body());
    let key = office.make_key("books", &[Scope::ReportsRead], "anna", wall_now());
    let report = by_key(
        served,
        "GET",
        "/api/v1/day-end/2026-11-23",
        &key.expect("a key"),
        "",
    );
    assert_eq!(json(&report)["sold"]["minor"], 435);
    assert_eq!(json(&report)["lost"]["minor"], 898);
}
