//! Who takes the money: the sandbox, or Stripe with a key and a file of payers.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::live_store::sandbox_beside;
use crate::checkout::payment::PaymentGateway;
use crate::checkout::payment::report::Entry;
use crate::coordinator::Input;
use crate::edge::gateway::stripe::{KEY_VARIABLE, Patience, STRIPE_URL, SecretKey, Stripe};
use crate::edge::gateway::{Payers, Sandbox};
use crate::units::{Currency, Timestamp};

/// Questions that are asked at the same time; what comes while they all wait is queued.
const AT_ONCE: usize = 4;

/// Who takes payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Provider {
    /// Moves no money; its ledger lies beside the journal
    #[default]
    Sandbox,
    /// Stripe, with the secret key of --stripe-key-file or of the variable STROLL_STRIPE_KEY
    Stripe,
}

/// How payment is taken.
#[derive(Debug, clap::Args)]
pub struct PaymentArgs {
    /// Who takes payment
    #[arg(long, value_name = "PROVIDER", value_enum, default_value = "sandbox")]
    payment: Provider,
    /// A file with Stripe's secret key, which nobody but its owner may read; without it the key is that of the variable
    /// STROLL_STRIPE_KEY
    #[arg(long, value_name = "FILE")]
    stripe_key_file: Option<PathBuf>,
    /// Whose card each phone stands for: a table [payer.PHONE] each, with `customer` and `payment_method` as Stripe
    /// names them, and `second_charge = true` for whoever agreed to be charged once more above the hold
    #[arg(long, value_name = "FILE.toml")]
    payers: Option<PathBuf>,
    /// Where Stripe is: another address is for tests
    #[arg(long, value_name = "URL", default_value = STRIPE_URL, hide = true)]
    stripe_url: String,
    /// How long Stripe may take for an answer, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Patience::default().answer.as_secs_f64(), hide = true)]
    stripe_timeout: f64,
}

/// Who takes the money.
pub enum Payment {
    Sandbox,
    Stripe(Box<Stripe>, Mode),
}

/// Whether real money moves.
#[derive(Clone, Copy)]
pub enum Mode {
    Test,
    Live,
}

impl PaymentArgs {
    /// Reads the key and the payers, if Stripe takes payment.
    pub fn resolve(&self, currency: Currency) -> anyhow::Result<Payment> {
        match self.payment {
            Provider::Sandbox => {
                if self.stripe_key_file.is_some() || self.payers.is_some() {
                    bail!(
                        "--stripe-key-file and --payers are for --payment stripe, which was not given"
                    );
                }
                Ok(Payment::Sandbox)
            }
            Provider::Stripe => {
                let Some(payers) = &self.payers else {
                    bail!("Stripe cannot know whose card to charge: name them with --payers");
                };
                self.stripe(Payers::read(payers)?, currency)
            }
        }
    }

    fn stripe(&self, payers: Payers, currency: Currency) -> anyhow::Result<Payment> {
        let key = match &self.stripe_key_file {
            Some(path) => SecretKey::read(path)?,
            None => {
                let text = std::env::var(KEY_VARIABLE).with_context(|| {
                    format!("no secret key: write it to a file for --stripe-key-file, or into the variable {KEY_VARIABLE}")
                })?;
                SecretKey::parse(&text, KEY_VARIABLE)?
            }
        };
        let mode = match key.is_test() {
            true => Mode::Test,
            false => Mode::Live,
        };
        let patience = Patience {
            answer: std::time::Duration::try_from_secs_f64(self.stripe_timeout)
                .context("--stripe-timeout is no time")?,
            ..Patience::default()
        };
        let stripe = Stripe::new(&self.stripe_url, key, patience, payers, currency)?;
        Ok(Payment::Stripe(Box::new(stripe), mode))
    }
}

impl PaymentArgs {
    /// The provider's own list of what was made from `from` on: Stripe's, or that of the sandbox beside the journal.
    pub fn list(
        &self,
        journal: &Path,
        currency: Currency,
        from: Timestamp,
    ) -> anyhow::Result<Option<Vec<Entry>>> {
        match self.payment {
            Provider::Stripe => match self.stripe(Payers::default(), currency)? {
                Payment::Stripe(stripe, _) => Ok(Some(stripe.list(from)?)),
                Payment::Sandbox => Ok(None),
            },
            Provider::Sandbox => {
                let path = sandbox_beside(journal);
                match path.exists() {
                    true => Ok(Some(Sandbox::open(&path)?.list()?)),
                    false => Ok(None),
                }
            }
        }
    }
}

impl Payment {
    /// How shoppers pay, as their phones say it.
    pub fn to_shoppers(&self) -> String {
        match self {
            Payment::Sandbox => {
                "Test card •••• 4242. This store is a sandbox: no money moves."
            }
            Payment::Stripe(..) => {
                "By card, through Stripe. Ask the store to register yours: until then the gate stays shut."
            }
        }
        .to_owned()
    }

    /// Handles to the gateway, one for each question that may be asked at the same time.
    pub fn gateways(&self, sandbox: &Path) -> anyhow::Result<Vec<Box<dyn PaymentGateway>>> {
        Ok(match self {
            Payment::Sandbox => vec![Box::new(Sandbox::open(sandbox)?)],
            Payment::Stripe(stripe, _) => (0..AT_ONCE)
                .map(|_| -> Box<dyn PaymentGateway> { stripe.clone() })
                .collect(),
        })
    }

    /// What the core is told of the payers.
    pub fn payers(&self) -> Vec<Input> {
        match self {
            Payment::Sandbox => Vec::new(),
            Payment::Stripe(stripe, _) => (stripe.payers().iter())
                .map(|(device, payer)| Input::Payer {
                    device: device.clone(),
                    second_charge: payer.second_charge,
                })
                .collect(),
        }
    }
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payment::Sandbox => f.write_str("Payment: the sandbox, no money moves"),
            Payment::Stripe(stripe, mode) => {
                let payers = stripe.payers().iter().count();
                let money = match mode {
                    Mode::Test => "in test mode, no money moves",
                    Mode::Live => "live, real money moves",
                };
                write!(f, "Payment: Stripe, {money}; {payers} payers")
            }
        }
    }
}
