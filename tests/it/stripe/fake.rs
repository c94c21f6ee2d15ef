//! Stripe's stand-in: `localstripe` on a free loopback port, behind a proxy that adds what it lacks (idempotency keys,
//! the amount that was captured, filters of lists) and what goes wrong.

mod request;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub use request::Call;
use request::{Request, pairs};

/// The secret key that the tests use: it must be found nowhere.
pub const KEY: &str = "sk_test_NobodyMaySeeThis";
/// How long the client waits in these tests; what gets no answer gets none for longer.
pub const PATIENCE: Duration = Duration::from_millis(700);

/// Starts the program without its file in `/tmp`, and on loopback only.
const START: &str = "import sys
from aiohttp import web
from localstripe.resources import store
type(store).dump_to_disk = lambda self: None
from localstripe.server import app
web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]), print=None)
";

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It never arrives, and the client waits in vain.
    LoseRequest,
    /// It is done, and the client waits in vain.
    LoseAnswer,
    /// An error before anything is done or remembered.
    FailBefore,
    /// It is done, and the answer is an error, which the key is answered with from now on.
    FailAfter,
    /// Nothing is done, and the answer is an error, which the key is answered with from now on.
    FailForGood,
    /// Too many requests.
    RateLimit,
    /// The same key is being worked on.
    Busy,
    /// The key is not accepted.
    Unauthorised,
    /// The card is declined.
    Decline,
    /// The hold that it is about has expired.
    Expire,
}

impl Fault {
    /// Every one that leaves the outcome open.
    pub const UNKNOWN: [Fault; 8] = [
        Fault::LoseRequest,
        Fault::LoseAnswer,
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::FailForGood,
        Fault::RateLimit,
        Fault::Busy,
        Fault::Unauthorised,
    ];
}

#[derive(Default)]
struct Memory {
    faults: VecDeque<(Call, Fault)>,
    fired: BTreeMap<(Call, Fault), u32>,
    /// By idempotency key: what was asked, and the answer.
    answered: BTreeMap<String, (String, u16, Value)>,
    /// By payment intent, in Stripe's units.
    captured: BTreeMap<String, i64>,
    /// What no client should send.
    wrong: Vec<String>,
}

#[derive(Clone)]
struct Proxy {
    behind: String,
    memory: Arc<Mutex<Memory>>,
    agent: ureq::Agent,
}

/// The stand-in, which ends when it goes out of scope.
pub struct FakeStripe {
    child: Child,
    proxy: Proxy,
    addr: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl FakeStripe {
    /// Starts it. `None`, and a line that says so, where `localstripe` is not installed; there a run with `CI=true`
    /// fails.
    pub fn start() -> Option<Self> {
        let python = std::env::var_os("STROLL_PYTHON").unwrap_or_else(|| "python3".into());
        let installed = Command::new(&python)
            .args(["-c", "import localstripe"])
            .stderr(Stdio::null())
            .status();
        if !installed.is_ok_and(|status| status.success()) {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "localstripe is not installed: tests/run.sh installs it"
            );
            println!("skipped: localstripe is not installed, tests/run.sh does it");
            return None;
        }
        let addr = crate::port::free();
        let child = Command::new(&python)
            .args(["-c", START, &addr.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("localstripe starts");
        let begun = Instant::now();
        while TcpStream::connect(addr).is_err() {
            assert!(
                begun.elapsed() < crate::program::LIMIT,
                "localstripe does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None);
        let proxy = Proxy {
            behind: format!("http://{addr}"),
            memory: Arc::default(),
            agent: config.build().new_agent(),
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let router = Router::new().fallback(through).with_state(proxy.clone());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("a free loopback port");
        let addr = listener.local_addr().expect("it has an address");
        runtime.spawn(async move { axum::serve(listener, router).await });
        Some(FakeStripe {
            child,
            proxy,
            addr,
            _runtime: runtime,
        })
    }

    /// Where the proxy is.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A customer with a stored card: `cus_...` and `pm_...`. Every card works but 4000000000000341, which is declined.
    pub fn customer(&self, card: &str) -> (String, String) {
        let post = |path: &str, form: &[(&str, &str)]| {
            let (status, answer) = self.proxy.send("POST", path, Some(form));
            assert_eq!(status, 200, "{path}: {answer}");
            answer["id"].as_str().unwrap().to_owned()
        };
        let customer = post("/v1/customers", &[("email", "ann@example.com")]);
        let method = post(
            "/v1/payment_methods",
            &[
                ("type", "card"),
                ("card[number]", card),
                ("card[exp_month]", "12"),
                ("card[exp_year]", "2036"),
                ("card[cvc]", "123"),
            ],
        );
        let attach = format!("/v1/payment_methods/{method}/attach");
        post(&attach, &[("customer", &customer)]);
        (customer, method)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.proxy.memory()
    }

    /// The intent that bears a key of ours.
    pub fn intent_of(&self, key: &str) -> String {
        let (_, answer) = self
            .proxy
            .send("GET", "/v1/payment_intents?limit=1000", None);
        let intents = answer["data"].as_array().expect("a list").clone();
        let ours = intents
            .iter()
            .find(|intent| intent["metadata"]["stroll_key"] == key);
        ours.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The next requests of that kind go wrong like this.
    pub fn fail(&self, faults: impl IntoIterator<Item = (Call, Fault)>) {
        self.memory().faults.extend(faults);
    }

    /// How often each fault has fired.
    pub fn fired(&self) -> BTreeMap<(Call, Fault), u32> {
        self.memory().fired.clone()
    }

    /// A day passes: no idempotency key is remembered.
    pub fn forget_keys(&self) {
        self.memory().answered.clear();
    }

    /// What the clients did wrong.
    pub fn wrong(&self) -> Vec<String> {
        self.memory().wrong.clone()
    }

    /// Each intent that holds or held something, oldest first: `key status amount captured refunded`, in Stripe's
    /// units.
    pub fn ledger(&self) -> Vec<String> {
        let list = |path: &str| {
            let (_, answer) = self.proxy.send("GET", path, None);
            answer["data"].as_array().expect("a list").clone()
        };
        let refunds = list("/v1/refunds?limit=1000");
        let captured = self.memory().captured.clone();
        let intents = list("/v1/payment_intents?limit=1000");
        let shown = intents.iter().map(|intent| {
            let id = intent["id"].as_str().unwrap();
            let refunded: i64 = (refunds.iter())
                // What a capture leaves of a hold is listed as a refund, without a key.
                .filter(|r| r["payment_intent"] == id && r["metadata"]["stroll_key"].is_string())
                .map(|r| r["amount"].as_i64().unwrap())
                .sum();
            let key = intent["metadata"]["stroll_key"]
                .as_str()
                .unwrap_or("no key");
            let status = intent["status"].as_str().unwrap();
            let taken = captured.get(id).copied().unwrap_or(0);
            let charged = match intent["capture_method"].as_str() {
                Some("automatic") if status == "succeeded" => intent["amount"].as_i64().unwrap(),
                _ => taken,
            };
            format!("{key} {status} {} {charged} {refunded}", intent["amount"])
        });
        shown.collect()
    }
}

impl Proxy {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks what is behind.
    fn send(&self, method: &str, path: &str, form: Option<&[(&str, &str)]>) -> (u16, Value) {
        let url = format!("{}{path}", self.behind);
        let bearer = format!("Bearer {KEY}");
        let answer = match form {
            Some(form) => (self.agent.post(&url))
                .header("Authorization", bearer)
                .send_form(form.iter().copied()),
            None => self.agent.get(&url).header("Authorization", bearer).call(),
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        let text = answer.body_mut().read_to_string().expect("it is text");
        let json = serde_json::from_str(&text).unwrap_or_default();
        (answer.status().as_u16(), json)
    }

    fn next_fault(&self, call: Call) -> Option<Fault> {
        let mut memory = self.memory();
        let next = memory.faults.iter().position(|(about, _)| *about == call)?;
        let (_, fault) = memory.faults.remove(next)?;
        *memory.fired.entry((call, fault)).or_default() += 1;
        Some(fault)
    }

    /// Answers a request as Stripe would. True if the client is to wait in vain.
    fn answer(&self, request: &Request) -> (u16, Value, bool, bool) {
        let error = |status, kind: &str, code: &str| {
            let error = json!({"error": {"type": kind, "code": code, "message": code}});
            (status, error, false, false)
        };
        let fault = self.next_fault(request.call);
        match fault {
            Some(Fault::LoseRequest) => return (500, Value::Null, true, false),
            Some(Fault::FailBefore) => return error(500, "api_error", "oops"),
            Some(Fault::RateLimit) => return error(429, "rate_limit_error", "rate_limit"),
            Some(Fault::Busy) => return error(409, "idempotency_error", "idempotency_key_in_use"),
            Some(Fault::Unauthorised) => {
                return error(401, "invalid_request_error", "Invalid API Key provided");
            }
            Some(Fault::Expire) => {
                let cancel = format!("{}/cancel", request.intent());
                let (status, answer) = self.send("POST", &cancel, Some(&[]));
                assert_eq!(status, 200, "{answer}");
            }
            Some(Fault::LoseAnswer | Fault::FailAfter | Fault::FailForGood | Fault::Decline)
            | None => {}
        }
        let Some(key) = &request.key else {
            let (status, json) = self.read(request);
            return (status, json, fault == Some(Fault::LoseAnswer), false);
        };
        let asked = format!("{} {}", request.path, request.body);
        if let Some((first, status, answer)) = self.memory().answered.get(key) {
            return match *first == asked {
                true => (
                    *status,
                    answer.clone(),
                    fault == Some(Fault::LoseAnswer),
                    true,
                ),
                false => error(400, "idempotency_error", "other parameters"),
            };
        }
        let (status, json) = match fault {
            Some(Fault::Decline) => {
                let (status, json, ..) = error(402, "card_error", "card_declined");
                (status, json)
            }
            Some(Fault::FailForGood) => {
                let (status, json, ..) = error(500, "api_error", "oops");
                (status, json)
            }
            Some(Fault::FailAfter) => {
                self.write(request);
                let (status, json, ..) = error(500, "api_error", "oops");
                (status, json)
            }
            _ => self.write(request),
        };
        let kept = (asked, status, json.clone());
        self.memory().answered.insert(key.clone(), kept);
        (status, json, fault == Some(Fault::LoseAnswer), false)
    }

    /// Does what a request asks, as strictly as Stripe.
    fn write(&self, request: &Request) -> (u16, Value) {
        if matches!(request.call, Call::Capture | Call::Cancel) {
            let (_, intent) = self.send("GET", &request.intent(), None);
            if intent["status"] != "requires_capture" {
                let code = "payment_intent_unexpected_state";
                let error = json!({"error": {"type": "invalid_request_error", "code": code}});
                return (400, error);
            }
        }
        let form = request.form();
        let pairs: Vec<(&str, &str)> = (form.iter().map(|(k, v)| (&k[..], &v[..]))).collect();
        let (status, mut json) = self.send("POST", &request.path, Some(&pairs));
        if request.call == Call::Capture && status == 200 {
            let amount = form.iter().find(|(name, _)| name == "amount_to_capture");
            let amount: i64 = amount.and_then(|(_, v)| v.parse().ok()).expect("an amount");
            let mut memory = self.memory();
            let before = memory.captured.insert(request.intent_id(), amount);
            assert_eq!(before, None, "captured twice: {}", request.path);
        }
        self.complete(&mut json);
        (status, json)
    }

    /// Looks something up; filters of lists are the proxy's own.
    fn read(&self, request: &Request) -> (u16, Value) {
        let query: BTreeMap<String, String> = request.query.iter().cloned().collect();
        let (list, filtered) = match query.get("customer") {
            Some(customer) => ("?limit=1000".to_owned(), Some(customer.clone())),
            None if query.is_empty() => (String::new(), None),
            None => match query.get("payment_intent") {
                Some(intent) => (format!("?limit=1000&payment_intent={intent}"), None),
                None => ("?limit=1000".to_owned(), None),
            },
        };
        let (status, mut json) = self.send("GET", &format!("{}{list}", request.path), None);
        if let Some(Value::Array(objects)) = json.get_mut("data") {
            // What a capture leaves of a hold is no refund at Stripe.
            objects.retain(|object| {
                object["object"] != "refund" || object["metadata"]["stroll_key"].is_string()
            });
            objects.retain(|object| {
                filtered.is_none() || object["customer"].as_str() == filtered.as_deref()
            });
            objects.iter_mut().for_each(|object| self.complete(object));
        }
        self.complete(&mut json);
        (status, json)
    }

    /// Adds what localstripe leaves out of a payment intent.
    fn complete(&self, intent: &mut Value) {
        if intent["object"] == "payment_intent" {
            let id = intent["id"].as_str().unwrap_or_default();
            let captured = self.memory().captured.get(id).copied();
            let all = intent["amount"].as_i64();
            intent["amount_received"] = match intent["status"].as_str() {
                Some("succeeded") => json!(captured.or(all)),
                _ => json!(0),
            };
        }
    }
}

async fn through(
    State(proxy): State<Proxy>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let path = uri.path().to_owned();
    let call = match (&method, &path) {
        (&Method::GET, _) => Call::LookUp,
        (_, path) if path.ends_with("/capture") => Call::Capture,
        (_, path) if path.ends_with("/cancel") => Call::Cancel,
        (_, path) if path == "/v1/refunds" => Call::Refund,
        _ => Call::Create,
    };
    let request = Request {
        call,
        path,
        query: pairs(uri.query().unwrap_or_default()),
        body: String::from_utf8_lossy(&body).into_owned(),
        key: header("idempotency-key"),
    };
    let mut wrong = Vec::new();
    if method == Method::POST && request.key.is_none() {
        wrong.push(format!("no idempotency key: {}", request.path));
    }
    if header("authorization").as_deref() != Some(&format!("Bearer {KEY}")) {
        wrong.push(format!("another secret key: {}", request.path));
    }
    if header("stripe-version").is_none() {
        wrong.push(format!("no version: {}", request.path));
    }
    proxy.memory().wrong.extend(wrong);
    let asking = proxy.clone();
    let answer = tokio::task::spawn_blocking(move || asking.answer(&request)).await;
    let Ok((status, json, lost, replayed)) = answer else {
        let wrong = "the proxy panicked".to_owned();
        proxy.memory().wrong.push(wrong);
        return StatusCode::NOT_IMPLEMENTED.into_response();
    };
    if lost {
        tokio::time::sleep(2 * PATIENCE).await;
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = (status, json.to_string()).into_response();
    if replayed {
        let yes = axum::http::HeaderValue::from_static("true");
        response.headers_mut().insert("idempotent-replayed", yes);
    }
    response
}
