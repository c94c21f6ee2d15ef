//! Live updates: sections are rendered once for everybody, and sent to each page where they have changed.
//!
//! One task renders: at most every [`RENDER_INTERVAL`], however often the view changes. Each open page has a
//! task of its own that remembers what that page has seen, so that a slow page skips what was overtaken and
//! falls behind nobody.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::assets;
use super::sections::Section;
use super::view::StoreView;

/// Sections are rendered at most this often: five times a second.
pub(super) const RENDER_INTERVAL: Duration = Duration::from_millis(200);
/// Pages that are fed at once; beyond, `/events` answers 503 and the page tries again later.
pub(super) const STREAMS_MAX: usize = 256;
/// Events on their way to one page: one round of sections. A page that does not read stops its own task only.
const EVENTS_IN_FLIGHT_MAX: usize = Section::ALL.len();
/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a page waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);

/// A section as it was rendered last.
#[derive(Clone, Debug)]
struct Fragment {
    html: Arc<str>,
    /// Counts renderings that changed something; the `id:` of the event.
    version: u64,
}

/// All sections, in the order of [`Section::ALL`].
#[derive(Clone, Debug)]
pub(super) struct Frame {
    fragments: [Fragment; Section::ALL.len()],
    version: u64,
}

impl Frame {
    /// Every section of a view, all of them new.
    pub fn first(view: &StoreView) -> Self {
        let version = 1;
        let fragments = Section::ALL.map(|section| Fragment {
            html: section.render(view).into_string().into(),
            version,
        });
        Frame { fragments, version }
    }

    /// Renders `view`; says whether any section has changed.
    fn update(&mut self, view: &StoreView) -> bool {
        let version = self.version + 1;
        let mut changed = false;
        for (section, fragment) in Section::ALL.iter().zip(&mut self.fragments) {
            let html = section.render(view).into_string();
            if *html != *fragment.html {
                *fragment = Fragment {
                    html: html.into(),
                    version,
                };
                changed = true;
            }
        }
        if changed {
            self.version = version;
        }
        changed
    }
}

/// Renders views as they come, until the last sender is gone or the console closes.
pub(super) async fn render(
    mut views: watch::Receiver<Arc<StoreView>>,
    frames: watch::Sender<Frame>,
    closing: watch::Receiver<bool>,
) {
    let work = async {
        loop {
            let view = views.borrow_and_update().clone();
            frames.send_if_modified(|frame| frame.update(&view));
            tokio::time::sleep(RENDER_INTERVAL).await;
            if views.changed().await.is_err() {
                return; // Nobody will send a view again: the last one stays.
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = closed(closing) => {}
    }
}

/// Resolves when the console closes.
pub(super) async fn closed(mut closing: watch::Receiver<bool>) {
    // An error says that the server itself is gone, which is as good.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// The stream of one page: every section at once, then what changes. Ends when the console closes.
pub(super) fn stream(
    frames: watch::Receiver<Frame>,
    closing: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) -> Response {
    let (events, stream) = mpsc::channel::<Result<Event, Infallible>>(EVENTS_IN_FLIGHT_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = feed(frames, &events) => {}
            () = closed(closing) => {}
            () = events.closed() => {}
        }
        drop(permit);
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(ReceiverStream::new(stream))
        .keep_alive(keep_alive)
        .into_response()
}

async fn feed(
    mut frames: watch::Receiver<Frame>,
    events: &mpsc::Sender<Result<Event, Infallible>>,
) {
    // A page of an older program would not understand these sections: it compares, and loads itself again.
    let hello = Event::default()
        .event("hello")
        .retry(RETRY)
        .data(assets::build());
    if events.send(Ok(hello)).await.is_err() {
        return;
    }
    let mut seen = 0;
    loop {
        let frame = frames.borrow_and_update().clone();
        for (section, fragment) in Section::ALL.iter().zip(&frame.fragments) {
            if fragment.version <= seen {
                continue;
            }
            let event = Event::default()
                .event(section.name())
                .id(fragment.version.to_string())
                .data(&fragment.html);
            if events.send(Ok(event)).await.is_err() {
                return;
            }
        }
        seen = frame.version;
        if frames.changed().await.is_err() {
            // The renderer has ended; the stream stays open, or the page would ask again and again.
            std::future::pending::<()>().await;
        }
    }
}
