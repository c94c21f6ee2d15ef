//! What others say over HTTP: Stripe's answers, and requests to the console.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stroll::checkout::decision::PaymentRequest;
use stroll::checkout::payment::{PaymentGateway, PaymentOutcome};
use stroll::console::view::StoreView;
use stroll::console::{ConsoleKey, ConsoleOptions, Operation, serve};
use stroll::edge::gateway::Payers;
use stroll::edge::gateway::stripe::{Patience, SecretKey, Stripe};
use stroll::edge::office::Office;
use stroll::units::{Money, Timestamp};
use tokio::sync::{mpsc, watch};

use super::files::corner;
use super::{Fate, fuzz};

/// Answers to come, each a status and a body; the last is given for ever.
type Script = Arc<Mutex<(usize, Vec<(u16, Vec<u8>)>)>>;

/// Answers behind each other, each after a line `== <status>`.
fn script(input: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut answers: Vec<(u16, Vec<u8>)> = Vec::new();
    for line in input.split_inclusive(|&b| b == b'\n') {
        let status = line.strip_prefix(b"== ").and_then(|rest| {
            let number: u16 = std::str::from_utf8(rest).ok()?.trim().parse().ok()?;
            (200..600).contains(&number).then_some(number)
        });
        match (status, answers.last_mut()) {
            (Some(status), _) => answers.push((status, Vec::new())),
            (None, Some((_, body))) => body.extend_from_slice(line),
            (None, None) => answers.push((200, line.to_vec())),
        }
    }
    if answers.is_empty() {
        answers.push((200, Vec::new()));
    }
    answers
}

/// One connection: whatever is asked is answered by the script.
fn answer(stream: TcpStream, script: &Script) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = number.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        requests.read_exact(&mut vec![0; length])?;
        let (status, body) = {
            let mut script = script.lock().unwrap();
            let at = script.0.min(script.1.len() - 1);
            script.0 += 1;
            script.1[at].clone()
        };
        let body = if status == 204 || status == 304 {
            Vec::new()
        } else {
            body
        };
        let mut answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend(body);
        requests.get_mut().write_all(&answer)?;
    }
}

fn stripe(address: SocketAddr) -> Stripe {
    let payers = "[payer.phone]\ncustomer = 'cus_1'\npayment_method = 'pm_1'\n";
    Stripe::new(
        &format!("http://{address}"),
        SecretKey::parse("sk_test_none", "the test").unwrap(),
        Patience::default(),
        Payers::parse(payers).unwrap(),
        "EUR".parse().unwrap(),
    )
    .unwrap()
}

/// Whatever Stripe says, money is taken to be held, captured or given back only where one of its answers names an
/// intent or a refund.
#[test]
fn stripe_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers: Script = Arc::new(Mutex::new((0, script(b""))));
    let served = Arc::clone(&answers);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = Arc::clone(&served);
            std::thread::spawn(move || answer(stream, &served));
        }
    });
    let mut stripe = stripe(address);
    let amount = Money::new(1_000, "EUR".parse().unwrap());
    let authorisation = || "pi_1".to_owned();
    let payer = Some("phone".into());
    let requests = [
        PaymentRequest::Authorise { amount, payer },
        PaymentRequest::Capture {
            authorisation: authorisation(),
            amount,
        },
        PaymentRequest::Void {
            authorisation: authorisation(),
        },
        PaymentRequest::Refund {
            authorisation: authorisation(),
            amount,
            by: Some("operator".to_owned()),
        },
    ];
    fuzz("stripe", 500, Vec::new(), |input| {
        let script = script(input);
        let mut fate = Fate::Taken;
        for request in &requests {
            *answers.lock().unwrap() = (0, script.clone());
            match stripe.ask_again(&"s1/hold".into(), request) {
                Ok(PaymentOutcome::Done { authorisation }) => {
                    let is_id = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
                    if authorisation.is_empty() || !authorisation.bytes().all(is_id) {
                        return Err(format!("{request:?} is done as {authorisation:?}"));
                    }
                    let says = match request {
                        PaymentRequest::Refund { .. } => "\"refund\"",
                        _ => "\"pi_",
                    };
                    let said = |(status, body): &(u16, Vec<u8>)| {
                        (200..300).contains(status) && String::from_utf8_lossy(body).contains(says)
                    };
                    if !script.iter().any(said) {
                        return Err(format!("{request:?} is done, and no answer names {says}"));
                    }
                }
                Ok(PaymentOutcome::Declined { reason }) => fate = Fate::Refused(reason),
                Ok(other) => fate = Fate::Refused(format!("{other:?}")),
                Err(unavailable) => fate = Fate::refused(unavailable),
            }
            if let Fate::Refused(why) = &fate
                && let Some(flaw) = super::flaw_of_reason(why, input.len())
            {
                return Err(format!("{request:?}: the reason {flaw}: {why:.200?}"));
            }
        }
        *answers.lock().unwrap() = (0, script);
        if let Err(error) = stripe.list(Timestamp(1_600_000_000_000_000)) {
            fate = Fate::refused(error);
        }
        Ok(fate)
    });
}

/// The name of the threads on which requests are answered.
const SERVER: &str = "fuzzed-console";

/// A request never stops the console, and what is done is done in the name of somebody who can be read.
#[test]
fn console_requests() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(SERVER) {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        before(panic);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(SERVER)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let (_views, seen) = watch::channel(Arc::new(StoreView::opening(&corner(), Timestamp(0))));
    let (operations, mut operated) = mpsc::channel(64);
    let office = Arc::new(Office::in_memory().unwrap());
    let mut options = ConsoleOptions::new(office, Arc::new(corner()));
    options.key = ConsoleKey::new("only-for-the-fuzz");
    options.operations = Some(operations);
    runtime.spawn(serve(listener, options, seen, std::future::pending()));
    let (performed, done) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        while let Some(Operation { action, by, answer }) = operated.recv().await {
            let _ = performed.send((action, by));
            let _ = answer.send(Ok(()));
        }
    });

    fuzz("http", 400, Vec::new(), |input| {
        let answer = ask(address, input, 20).map_err(|e| format!("no answer: {e}"))?;
        if PANICS.load(Ordering::SeqCst) > 0 {
            return Err("the console panicked".to_owned());
        }
        while let Ok((action, by)) = done.try_recv() {
            if by.trim().is_empty() || by.chars().any(char::is_control) {
                return Err(format!("{by:?} did {action:?}"));
            }
        }
        let alive = ask(
            address,
            b"GET /state.json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer only-for-the-fuzz\r\nConnection: close\r\n\r\n",
            20_000,
        );
        if !alive.is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200")) {
            return Err("the console answers nobody any more".to_owned());
        }
        let head = String::from_utf8_lossy(&answer);
        match head.split(' ').nth(1) {
            Some("200" | "202") if head.contains("content-security-policy") => Ok(Fate::Taken),
            Some("200" | "202") => Err(format!("an answer without the guard's headers: {head}")),
            Some(status) => Ok(Fate::refused(status)),
            None => Ok(Fate::refused("no answer")),
        }
    });
}

/// Sends bytes and reads the beginning of what comes back within `wait_ms`; nothing, if that is nothing.
fn ask(address: SocketAddr, bytes: &[u8], wait_ms: u64) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(wait_ms)))?;
    // It may stop reading in the middle, which is its right.
    let _ = stream.write_all(bytes);
    let mut answer = vec![0; 64 * 1024];
    let begun = stream.read(&mut answer).unwrap_or(0);
    answer.truncate(begun);
    Ok(answer)
}
