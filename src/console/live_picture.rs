//! A live picture for a browser on this machine: JPEGs one after the other (`multipart/x-mixed-replace`).
//!
//! Each viewer gets the latest picture when it has taken the one before: a slow one sees fewer, and holds up nobody.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

use super::{ConsoleError, host, page};

/// Viewers at once; beyond, the answer is 503.
const VIEWERS_MAX: usize = 8;
const BOUNDARY: &str = "stroll-frame";
const MULTIPART: &str = "multipart/x-mixed-replace; boundary=stroll-frame";

/// The latest picture, a JPEG; empty before the first.
pub type Pictures = watch::Receiver<Arc<[u8]>>;

#[derive(Clone)]
struct Shown {
    pictures: Pictures,
    viewers: Arc<Semaphore>,
}

/// Serves the picture on `listener` until `shutdown`; viewers' streams end with the sender of the pictures.
///
/// # Errors
/// The socket broke.
pub async fn serve(
    listener: TcpListener,
    pictures: Pictures,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ConsoleError> {
    let shown = Shown {
        pictures,
        viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
    };
    let router = Router::new()
        .route("/", get(index))
        .route("/live.mjpeg", get(live))
        .fallback(|| async { page::not_found() })
        .with_state(shown)
        .layer(from_fn_with_state(host::Hosts::new(&[]), host::guard));
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(ConsoleError::Socket)
}

async fn index() -> Response {
    let document = maud::html! {
        (maud::DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "Stroll: what the camera sees" } }
            body {
                h1 { "What the camera sees" }
                p { "A box is somebody; each track has a colour. Heads are made unrecognisable, and nothing is kept." }
                img src="/live.mjpeg" alt="The live picture of the camera" width="960";
            }
        }
    };
    page::html(StatusCode::OK, document)
}

async fn live(State(shown): State<Shown>) -> Response {
    let Ok(permit) = shown.viewers.try_acquire_owned() else {
        let why = "Eight viewers look already: close one of them.\n".to_owned();
        return host::plain(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let parts = WatchStream::new(shown.pictures)
        .filter(|jpeg| !jpeg.is_empty())
        .map(move |jpeg| Ok::<Bytes, Infallible>(part(&jpeg, &permit)));
    let headers: [(HeaderName, &str); 2] = [(CONTENT_TYPE, MULTIPART), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(parts)).into_response()
}

/// One picture of the stream. The viewer's place is taken as long as its stream is there.
fn part(jpeg: &[u8], _viewer: &OwnedSemaphorePermit) -> Bytes {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        jpeg.len()
    );
    [head.as_bytes(), jpeg, b"\r\n"].concat().into()
}
