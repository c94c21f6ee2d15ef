//! The web pages of a store: what operators see and do, and the shoppers' phone.
//!
//! Pages are rendered on the server and complete without a script; with one, server-sent events replace the
//! sections that have changed. Who may ask for what stands in [`routes`]. [`serve`] is handed its socket and the moment to stop, and reads the store through
//! a `watch` channel of [`view::StoreView`]: it can hold up nobody.

mod access;
pub mod api;
mod assets;
mod attempts;
mod books;
mod cookies;
mod desk;
mod entrance;
mod event_log;
mod health;
mod hooks;
mod host;
mod live;
pub mod live_picture;
mod operate;
mod page;
mod people;
mod phone;
mod routes;
mod sections;
mod tongue;
pub mod view;
mod words;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::access::Caller;
pub use self::access::{Access, ConsoleKey, Guest};
use self::attempts::Attempts;
use self::live::Frame;
pub use self::operate::{Action, Operation, Operations};
pub use self::routes::{Route, routes};
use self::view::StoreView;
use crate::edge::https::Https;
use crate::edge::office::{Office, OfficeError, Part, Token};
use crate::edge::store_file::StoreFile;
use crate::observation::Item;
use crate::store::{Definition, ProductId, ShelfId};
use crate::units::Timestamp;

/// After shutdown, answers that are on their way have this long; then their connections are dropped.
const DRAIN_MAX: Duration = Duration::from_secs(3);

/// How long an answer waits for what it has just done to show.
const VIEW_WAIT_MAX: Duration = Duration::from_millis(400);
/// Passwords that are hashed at once: each takes a core for a while.
const HASHED_AT_ONCE_MAX: usize = 2;

/// Phones whose carts are fed at once; beyond, a phone is told to try again.
const PHONES_FED_MAX: usize = 2_000;

/// How the console is served.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// Who may log in, and what else must be forgettable.
    pub office: Arc<Office>,
    /// The key by which programs ask, if any may.
    pub key: Option<ConsoleKey>,
    /// Who everybody is that asks from this machine, in a demo.
    pub guest: Option<Guest>,
    /// With this the first operator's account is made, while there is none.
    pub opening: Option<Token>,
    /// Host names and addresses, without port, under which the console may be asked for besides `localhost`,
    /// `127.0.0.1` and `[::1]`.
    pub allowed_hosts: Vec<String>,
    /// Where what operators do goes; none: the console only shows.
    pub operations: Option<Operations>,
    /// What the store is like.
    pub definition: Arc<Definition>,
    /// Where its journal is, to be looked into.
    pub journal: Option<PathBuf>,
    /// How shoppers pay here, in a sentence.
    pub payment_words: String,
    /// With this it is served by HTTPS.
    pub https: Option<Https>,
    /// The store's definition, where operators may change it.
    pub store_file: Option<StoreFile>,
}

impl ConsoleOptions {
    /// A console that only shows, to those whom the office knows.
    pub fn new(office: Arc<Office>, definition: Arc<Definition>) -> Self {
        ConsoleOptions {
            office,
            definition,
            payment_words: String::new(),
            https: None,
            store_file: None,
            journal: None,
            key: None,
            guest: None,
            opening: None,
            allowed_hosts: Vec::new(),
            operations: None,
        }
    }
}

/// The console could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The socket broke.
    #[error(
        "the console's socket broke: {0}; start the console again, on another port if it stays so"
    )]
    Socket(#[source] io::Error),
}

/// What the routes share.
#[derive(Clone)]
struct Console {
    views: watch::Receiver<Arc<StoreView>>,
    frames: watch::Receiver<Frame>,
    closing: watch::Receiver<bool>,
    streams: Arc<Semaphore>,
    operations: Option<Operations>,
    office: Arc<Office>,
    key: Option<ConsoleKey>,
    guest: Option<Guest>,
    opening: Option<Token>,
    attempts: Arc<Attempts>,
    hashing: Arc<Semaphore>,
    verifying: Arc<Semaphore>,
    phones: Arc<Semaphore>,
    api_rates: Arc<api::Rates>,
    is_https: bool,
    store_file: Option<StoreFile>,
    payment_words: Arc<str>,
    definition: Arc<Definition>,
    journal: Option<PathBuf>,
}

impl Console {
    fn store_name(&self) -> String {
        self.views.borrow().store_name.clone()
    }

    fn product_name(&self, product: &ProductId) -> String {
        view::product_name(product, &self.definition)
    }

    fn item_list(&self, items: &[Item]) -> String {
        event_log::item_list(items, &self.definition)
    }

    /// What stands on a shelf by the planogram, each once.
    fn stands_on(&self, shelf: ShelfId) -> Vec<ProductId> {
        let facings = self.definition.planogram.facings().iter();
        let there = facings.filter(|f| f.plates.iter().any(|plate| plate.shelf == shelf));
        let products: BTreeSet<&ProductId> = there.map(|facing| &facing.product).collect();
        products.into_iter().cloned().collect()
    }

    /// Waits for a newer view than the present one, a moment at most: what was just done is to be seen.
    async fn next_view(&self) {
        let mut views = self.views.clone();
        views.mark_unchanged();
        let _ = tokio::time::timeout(VIEW_WAIT_MAX, views.changed()).await;
    }

    /// Writes down an act. One that can't be is told in the log: what was done is done.
    fn note(&self, who: &str, did: &str, about: &str, now: Timestamp) {
        if let Err(error) = self.office.note(who, did, about, now) {
            tracing::error!("{who}: {did} {about}: {error}");
        }
    }

    /// Does something that takes its time on a thread of its own, few at once.
    async fn with_office<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Office) -> Result<T, OfficeError> + Send + 'static,
    ) -> Result<T, OfficeError> {
        let permit = self.hashing.clone().acquire_owned().await;
        let office = self.office.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&office)
        });
        match done.await {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Whether that is the key of the first start, and is still needed.
    fn is_opening(&self, key: &str) -> Result<bool, OfficeError> {
        let right = Token::sent(key).zip(self.opening.as_ref());
        let right = right.is_some_and(|(sent, known)| sent.form_key() == known.form_key());
        Ok(right && !self.office.has_operator()?)
    }
}

/// Whoever asks for a route that is for some only.
struct Asking(Arc<Caller>);

/// Whoever asks, if anybody known does.
struct MaybeAsking(Option<Arc<Caller>>);

impl FromRequestParts<Console> for MaybeAsking {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &Console) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<Option<Arc<Caller>>>();
        Ok(MaybeAsking(known.cloned().flatten()))
    }
}

impl FromRequestParts<Console> for Asking {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, _: &Console) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<Option<Arc<Caller>>>();
        // A route that is for anyone must not ask who it is.
        known
            .cloned()
            .flatten()
            .map(Asking)
            .ok_or_else(|| host::plain(StatusCode::UNAUTHORIZED, "Log in first.\n".to_owned()))
    }
}

/// Serves the console on `listener` until `shutdown` resolves; then event streams end, and answers that are on
/// their way get three seconds.
///
/// # Errors
/// The socket broke.
pub async fn serve(
    listener: TcpListener,
    options: ConsoleOptions,
    views: watch::Receiver<Arc<StoreView>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ConsoleError> {
    let (close, closing) = watch::channel(false);
    let (frames_in, frames) = watch::channel(Frame::first(&views.borrow()));
    let renderer = tokio::spawn(live::render(views.clone(), frames_in, closing.clone()));
    let console = Console {
        views,
        frames,
        closing: closing.clone(),
        streams: Arc::new(Semaphore::new(live::STREAMS_MAX)),
        operations: options.operations.clone(),
        office: options.office.clone(),
        key: options.key.clone(),
        guest: options.guest.clone(),
        opening: options.opening.clone(),
        attempts: Arc::default(),
        hashing: Arc::new(Semaphore::new(HASHED_AT_ONCE_MAX)),
        verifying: Arc::new(Semaphore::new(1)),
        phones: Arc::new(Semaphore::new(PHONES_FED_MAX)),
        api_rates: Arc::default(),
        is_https: options.https.is_some(),
        store_file: options.store_file.clone(),
        payment_words: options.payment_words.as_str().into(),
        definition: options.definition.clone(),
        journal: options.journal.clone(),
    };
    let bookkeeper = tokio::spawn(hooks::run(console.clone(), closing.clone()));
    let router = router(console, &options);
    let closed = live::closed(closing);
    let server: Pin<Box<dyn Future<Output = io::Result<()>> + Send>> = match options.https {
        None => {
            let server = axum::serve(listener, router).with_graceful_shutdown(closed);
            Box::pin(server.into_future())
        }
        Some(https) => {
            let listener = https.listen(listener);
            let server = axum::serve(listener, router).with_graceful_shutdown(closed);
            Box::pin(server.into_future())
        }
    };
    let stop = async {
        shutdown.await;
        close.send_replace(true);
        // A peer that stops reading in the middle of an answer may not keep the store from closing.
        tokio::time::sleep(DRAIN_MAX).await;
    };
    let outcome = tokio::select! {
        served = server => served.map_err(ConsoleError::Socket),
        () = stop => {
            tracing::warn!("the console was stopped with connections still open");
            Ok(())
        }
    };
    renderer.abort();
    bookkeeper.abort();
    outcome
}

fn router(console: Console, options: &ConsoleOptions) -> Router {
    let hosts = host::Hosts::new(&options.allowed_hosts);
    routes::router(&console)
        .fallback(|| async { page::not_found() })
        .with_state(console)
        .layer(from_fn_with_state(hosts, host::guard))
}

/// `GET /`: the whole page as things stand. Shoppers have a page of their own.
async fn index(State(console): State<Console>, Asking(caller): Asking) -> Response {
    if caller.part == Part::Shopper {
        return page::see("/me");
    }
    let view = console.views.borrow().clone();
    page::html(StatusCode::OK, page::document(&view, &caller))
}

/// `GET /events`: the live stream.
async fn events(State(console): State<Console>) -> Response {
    match console.streams.try_acquire_owned() {
        Ok(permit) => live::stream(console.frames, console.closing, permit),
        Err(_) => {
            let why = "The console feeds as many pages as it can: try again soon.\n".to_owned();
            let mut refusal = host::plain(StatusCode::SERVICE_UNAVAILABLE, why);
            let headers = refusal.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            refusal
        }
    }
}

/// `GET /healthz`: whether the store is at work.
async fn healthz(State(console): State<Console>) -> Response {
    health::healthz(&console.views)
}

/// `GET /readyz`: whether people are let in.
async fn readyz(State(console): State<Console>) -> Response {
    health::readyz(&console.views.borrow())
}

/// `GET /metrics`: every figure, as Prometheus reads it.
async fn metrics(State(console): State<Console>) -> Response {
    health::metrics(&console.views.borrow())
}

/// `GET /state.json`: the view as it is.
async fn state(State(console): State<Console>) -> Response {
    let view = console.views.borrow().clone();
    match serde_json::to_vec(&*view) {
        Ok(json) => (
            [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ],
            json,
        )
            .into_response(),
        Err(error) => host::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The state could not be written as JSON: {error}.\n"),
        ),
    }
}
