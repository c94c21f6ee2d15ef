//! The operators' web page: shoppers with their carts, what happened, receipts and nodes, live.
//!
//! The page is rendered on the server and complete without a script; with one, server-sent events replace the
//! sections that have changed. [`serve`] is handed its socket and the moment to stop, and reads the store through
//! a `watch` channel of [`view::StoreView`]: it can hold up nobody.

mod assets;
mod event_log;
mod health;
mod host;
mod live;
pub mod live_picture;
mod operate;
mod page;
mod sections;
pub mod view;
mod words;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::live::Frame;
pub use self::operate::{Action, Operation, Operations};
use self::view::StoreView;

/// After shutdown, answers that are on their way have this long; then their connections are dropped.
const DRAIN_MAX: Duration = Duration::from_secs(3);

/// How the console is served.
#[derive(Clone, Debug, Default)]
pub struct ConsoleOptions {
    /// Host names and addresses, without port, under which the console may be asked for besides `localhost`,
    /// `127.0.0.1` and `[::1]`.
    pub allowed_hosts: Vec<String>,
    /// Where what operators do goes; none: the console only shows.
    pub operations: Option<Operations>,
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
    };
    let server = axum::serve(listener, router(console, &options))
        .with_graceful_shutdown(live::closed(closing))
        .into_future();
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
    outcome
}

fn router(console: Console, options: &ConsoleOptions) -> Router {
    let hosts = host::Hosts::new(&options.allowed_hosts);
    Router::new()
        .route("/", get(index))
        .route("/events", get(events))
        .route("/state.json", get(state))
        .route("/assets/{name}", get(assets::get))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/operate/{what}", post(operate::post))
        .fallback(|| async { page::not_found() })
        .with_state(console)
        .layer(from_fn_with_state(hosts, host::guard))
}

/// `GET /`: the whole page as things stand.
async fn index(State(console): State<Console>) -> Response {
    let view = console.views.borrow().clone();
    page::html(StatusCode::OK, page::document(&view))
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
