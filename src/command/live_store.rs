//! A store at work, as `demo` and `coordinator` run it: journal, sandbox, link to the broker, and what the console
//! shows of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::{mpsc, watch};

use super::console_feed::{self, EventClock, Feed, Handed};
use super::payment::Payment;
use crate::console::view::StoreView;
use crate::coordinator::{Coordinator, Input};
use crate::edge::credentials::ClientTls;
use crate::edge::journal::Journal;
use crate::edge::live::{self, LiveStore, StoreParts};
use crate::edge::mqtt::{BrokerUrl, CoordinatorLink, CoordinatorOptions, LinkState};
use crate::edge::shell::{Asker, Shell};
use crate::store::{Definition, NodeName};

/// How long the broker may take for the last words to the nodes.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a store is opened with.
pub struct Setup<'a> {
    pub definition: &'a Arc<Definition>,
    /// The nodes that take part.
    pub nodes: &'a [NodeName],
    pub journal: &'a Path,
    pub broker: BrokerUrl,
    pub tls: Option<ClientTls>,
    /// Event time, for the console.
    pub clock: EventClock,
    /// Who takes the money.
    pub payment: &'a Payment,
}

/// Where the sandbox's ledger of a journal is kept: beside it.
pub fn sandbox_beside(journal: &Path) -> PathBuf {
    journal.with_extension("sandbox.sqlite")
}

/// A store at work.
pub struct OpenStore {
    live: LiveStore,
    link: Arc<CoordinatorLink>,
    state: watch::Receiver<LinkState>,
    /// What the console shows.
    pub views: watch::Receiver<Arc<StoreView>>,
    /// Receipts for whoever files them; once.
    pub handed: Option<mpsc::Receiver<Handed>>,
}

impl OpenStore {
    /// Opens the journal, takes up where it ends, and listens to the nodes.
    pub async fn open(setup: Setup<'_>) -> anyhow::Result<Self> {
        let Setup {
            definition,
            nodes,
            journal,
            broker,
            tls,
            clock,
            payment,
        } = setup;
        let opened = Journal::open(journal, definition)?;
        let gateways = payment.gateways(&sandbox_beside(journal))?;
        let (asker, answers) =
            Asker::threads(gateways).context("no thread for the payments can be started")?;
        let (mut shell, owed) = Shell::open(opened, definition, nodes, asker)?;
        let Feed {
            observer,
            watcher,
            alarm,
            views,
            handed,
        } = console_feed::feed(definition, &shell, clock)?;
        shell.observe(observer);
        let mut options = CoordinatorOptions::new(broker, definition.id.as_str());
        options.tls = tls;
        let (link, deliveries) = CoordinatorLink::connect(options).await?;
        let state = link.state();
        let link = Arc::new(link);
        let parts = StoreParts {
            shell,
            link: link.clone(),
            deliveries,
            answers,
            owed,
            ticks: true,
            watcher,
            alarm,
        };
        let live = LiveStore::start(tokio::runtime::Handle::current(), parts)
            .context("the store's thread cannot be started")?;
        Ok(OpenStore {
            live,
            link,
            state,
            views,
            handed: Some(handed),
        })
    }

    /// Tells the store something that doesn't come over the wire.
    pub async fn tell(&self, input: Input) {
        // A store that has stopped by itself says why when it is closed.
        self.live.tell(input).await;
    }

    /// The same for what is told again soon: see [`LiveStore::mention`].
    pub fn mention(&self, input: Input) {
        self.live.mention(input);
    }

    /// Asks the store for something on a person's behalf; resolves once it is done and durable.
    ///
    /// # Errors
    /// A sentence that says why nothing was done.
    pub async fn ask(&self, input: Input) -> Result<(), String> {
        match self.live.ask(input).await {
            Some(answer) => answer.map_err(|rejection| rejection.to_string()),
            None => Err("the store has stopped".to_owned()),
        }
    }

    /// Whether the store has stopped by itself: closing it says why.
    pub fn has_stopped(&self) -> bool {
        self.live.has_stopped()
    }

    /// Resolves when the store cannot serve any more. The error is that of its link; if the store itself has
    /// stopped, closing it says why.
    pub async fn broken(&self) -> anyhow::Result<()> {
        let mut state = self.state.clone();
        tokio::select! {
            () = self.live.stopped() => Ok(()),
            ended = state.wait_for(|state| matches!(state, LinkState::Ended { .. })) => {
                let reason = match ended.as_deref() {
                    Ok(LinkState::Ended { reason: Some(reason) }) => reason.clone(),
                    Ok(_) | Err(_) => "it was closed".to_owned(),
                };
                Err(anyhow!("the link to the broker has ended: {reason}; see to the broker and start the store again"))
            }
        }
    }

    /// Ends the store after what it was told so far, and leaves the journal as one file.
    pub async fn close(self) -> anyhow::Result<Coordinator> {
        let OpenStore { live, link, .. } = self;
        let shell = tokio::task::spawn_blocking(move || live.stop()).await??;
        if let Some(link) = Arc::into_inner(link)
            && let Err(error) = link.close(FAREWELL).await
        {
            // The nodes hear it again at the next start.
            tracing::warn!("{error}");
        }
        let (core, journal) = shell.into_parts();
        journal.close()?;
        Ok(core)
    }
}

/// The clock of a store whose nodes are real.
pub fn wall_clock() -> EventClock {
    Arc::new(live::wall_now)
}
