//! systemd: `READY`, a status in words, and a watchdog that is fed only while samples really arrive.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// What systemd is told. Without systemd nobody listens, and nothing happens.
#[derive(Debug)]
pub struct Supervisor {
    /// It wants to hear at least twice as often.
    feed_every: Option<Duration>,
    fed_at: Option<Instant>,
    status: String,
}

impl Default for Supervisor {
    fn default() -> Self {
        Supervisor {
            feed_every: sd_notify::watchdog_enabled().map(|limit| limit / 4),
            fed_at: None,
            status: String::new(),
        }
    }
}

impl Supervisor {
    /// The node is at work.
    pub fn ready(&mut self) {
        tell(&[NotifyState::Ready]);
    }

    /// The program is alive for a reason that has nothing to do with samples, as in safe mode.
    pub fn alive(&mut self) {
        self.feed();
    }

    /// Samples have arrived.
    pub fn sampled(&mut self) {
        self.feed();
    }

    fn feed(&mut self) {
        let Some(every) = self.feed_every else {
            return;
        };
        if self.fed_at.is_none_or(|at| at.elapsed() >= every) {
            self.fed_at = Some(Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// What `systemctl status` shows.
    pub fn status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            tell(&[NotifyState::Status(status)]);
        }
    }

    /// The node ends as it was told to.
    pub fn stopping(&mut self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Whoever supervises notices silence by itself.
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("systemd cannot be told: {error}");
    }
}
