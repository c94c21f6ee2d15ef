//! Who asks the gateway: the store's own thread, or threads that may take their time.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::Question;
use crate::checkout::payment::{GatewayUnavailable, PaymentGateway, PaymentOutcome};

/// Questions that wait for a thread, at most; one beyond it stays pending and is put again in a moment.
const QUEUE_MAX: usize = 64;

/// What came of asking: an outcome, or that it is unknown.
pub type Answer = Result<PaymentOutcome, GatewayUnavailable>;

/// A question with what came of it.
#[derive(Debug)]
pub struct Answered {
    pub question: Question,
    pub answer: Answer,
}

/// What the asking threads have heard, for [`super::Shell::answered`]. There is never more of it than questions were
/// put, and those are bounded.
pub type Answers = mpsc::UnboundedReceiver<Answered>;

/// Asks the gateway.
pub enum Asker {
    /// On the store's own thread: for gateways that answer at once, and for replays, which must be the same every time.
    Inline(Box<dyn PaymentGateway>),
    /// On threads of their own, which end with this.
    Threads(SyncSender<Asking>),
}

/// A question on its way to a thread.
pub struct Asking {
    question: Question,
    again: bool,
}

/// What became of a question.
pub(super) enum Asked {
    Heard(Answer),
    /// The answer comes by [`super::Shell::answered`].
    Underway,
    /// Nobody has time for it.
    Busy,
}

impl<G: PaymentGateway + 'static> From<Box<G>> for Asker {
    fn from(gateway: Box<G>) -> Self {
        Asker::Inline(gateway)
    }
}

impl From<Box<dyn PaymentGateway>> for Asker {
    fn from(gateway: Box<dyn PaymentGateway>) -> Self {
        Asker::Inline(gateway)
    }
}

impl Asker {
    /// One thread for each of `gateways`, which must be handles to the same one. A session has one question at a time,
    /// so that no two threads ask about the same money.
    pub fn threads(gateways: Vec<Box<dyn PaymentGateway>>) -> std::io::Result<(Asker, Answers)> {
        let (put, questions) = sync_channel(QUEUE_MAX);
        let (tell, answers) = mpsc::unbounded_channel();
        let questions = Arc::new(Mutex::new(questions));
        for gateway in gateways {
            let (questions, tell) = (questions.clone(), tell.clone());
            std::thread::Builder::new()
                .name("payments".to_owned())
                .spawn(move || ask_all(gateway, &questions, &tell))?;
        }
        Ok((Asker::Threads(put), answers))
    }

    /// What a store hears whose gateway is asked inline: nothing.
    pub fn no_answers() -> Answers {
        mpsc::unbounded_channel().1
    }

    /// Asks, or has it asked; `again` if it may have been asked before.
    pub(super) fn ask(&mut self, question: &Question, again: bool) -> Asked {
        match self {
            Asker::Inline(gateway) => Asked::Heard(ask(&mut **gateway, question, again)),
            Asker::Threads(put) => {
                let question = question.clone();
                match put.try_send(Asking { question, again }) {
                    Ok(()) => Asked::Underway,
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Asked::Busy,
                }
            }
        }
    }
}

fn ask(gateway: &mut dyn PaymentGateway, question: &Question, again: bool) -> Answer {
    match again {
        true => gateway.ask_again(&question.key, &question.request),
        false => gateway.ask(&question.key, &question.request),
    }
}

/// What one thread does until the store has gone.
fn ask_all(
    mut gateway: Box<dyn PaymentGateway>,
    questions: &Mutex<Receiver<Asking>>,
    tell: &mpsc::UnboundedSender<Answered>,
) {
    loop {
        // Held while waiting for a question, and not while it is asked.
        let next = (questions.lock().unwrap_or_else(PoisonError::into_inner)).recv();
        let Ok(Asking { question, again }) = next else {
            return;
        };
        let answer = ask(&mut *gateway, &question, again);
        if tell.send(Answered { question, answer }).is_err() {
            return;
        }
    }
}
