//! A day's payments by the journal, held against the provider's own list.

use std::path::PathBuf;

use anyhow::{Context, bail};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::checkout::payment::report::{Book, Day, Entry, Sum};
use crate::command::Failed;
use crate::command::payment::PaymentArgs;
use crate::edge::journal::Archive;
use crate::edge::journal::archive::What;
use crate::units::{Currency, Money, Timestamp};

/// Sum up a day's payments, and hold them against the provider's own list
///
/// Ends with 1 if the two differ, after naming each difference. With `--payment stripe` the list is Stripe's; otherwise it
/// is that of the sandbox beside the journal, if there is one; that can be read only while the store is closed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The journal
    journal: PathBuf,
    /// The day, in this machine's time zone
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Date,
    /// Do not ask the provider
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    payment: PaymentArgs,
}

/// Prints it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let archive = Archive::open(&args.journal)?;
    let (store, currency) = archive.store()?;
    let currency: Currency = currency.parse().map_err(anyhow::Error::msg)?;
    let mut book = Book::default();
    archive.entries(0, &mut |filed| {
        match &filed.what {
            What::Decision { decision, .. } => book.push(decision),
            What::Observation(_) => {}
        }
        Ok(())
    })?;
    let (from, until) = (start_of(args.day)?, start_of(args.day.tomorrow()?)?);
    let day = book.day(from, until);
    let list: Option<Vec<Entry>> = match args.offline {
        true => None,
        false => args.payment.list(&args.journal, currency, from)?,
    };
    let differences = list.map(|list| book.differences(&store, &list, from, until));
    if args.json {
        let report = serde_json::json!({
            "store": store, "day": args.day, "currency": currency,
            "payments": day, "differences": differences,
        });
        println!("{report}");
    } else {
        print(&store, args.day, currency, &day, differences.as_deref());
    }
    match differences {
        Some(found) if !found.is_empty() => Err(Failed.into()),
        Some(_) | None => Ok(()),
    }
}

/// When a day begins here.
fn start_of(day: Date) -> anyhow::Result<Timestamp> {
    let start = day
        .to_zoned(TimeZone::system())
        .with_context(|| format!("{day} is no day in this time zone"))?;
    if start.timestamp().as_microsecond().abs() > Timestamp::MAX.0 {
        bail!("{day} is out of all time");
    }
    Ok(Timestamp(start.timestamp().as_microsecond()))
}

fn print(store: &str, date: Date, currency: Currency, day: &Day, differences: Option<&[String]>) {
    println!("{store} on {date}");
    let line = |what: &str, sum: Sum| {
        let amount = Money::new(sum.minor, currency).to_string();
        println!("  {what:<22} {:>5}  {amount:>14}", sum.count);
    };
    line("holds", day.holds);
    line("captured", day.captured);
    line("  without a hold", day.charges);
    line("released", day.released);
    line("still held", day.held);
    line("declined", day.declined);
    line("without an answer", day.under_way);
    line("refunded", day.refunded);
    line("owed", day.owed);
    for (session, amount) in &day.owed_by {
        println!("    {session} owes {amount}");
    }
    match differences {
        None => println!("Not held against the provider's list."),
        Some([]) => println!("The provider's list says the same."),
        Some(found) => {
            println!("The provider's list differs:");
            for difference in found {
                println!("  {difference}");
            }
        }
    }
}
