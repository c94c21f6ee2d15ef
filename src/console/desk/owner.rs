//! The owner's page: what a day has brought, what stands on the shelves, and when the store is open.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::civil::{Date, Time};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::{answered, stock, told};
use crate::console::access::Caller;
use crate::console::books::{self, Lost, Report};
use crate::console::words::{Clock, amount, grouped, money, time};
use crate::console::{Asking, Console, page};
use crate::edge::live::wall_now;
use crate::edge::office::{Day, Hours, OfficeError};
use crate::units::Money;

const HERE: &str = "/owner";
/// Days of one report.
const DAYS_MAX: i32 = 366;
/// Products of the list; the file has all.
const PRODUCTS_SHOWN_MAX: usize = 50;
const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The days that a report is about; without them, today.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Days {
    from: Option<String>,
    to: Option<String>,
}

impl Days {
    fn read(&self) -> Result<(Date, Date), &'static str> {
        let today = books::day_of(wall_now());
        let day = |text: &Option<String>, or: Date| match text.as_deref() {
            None | Some("") => Ok(or),
            Some(text) => text.parse().map_err(|_| "A day is written 2026-11-23."),
        };
        let first = day(&self.from, today)?;
        let last = day(&self.to, first)?;
        match (last - first).get_days() {
            0..DAYS_MAX => Ok((first, last)),
            _ => Err("A report is of a year at most, and begins before it ends."),
        }
    }
}

/// `GET /owner`
pub async fn show(
    State(console): State<Console>,
    Asking(caller): Asking,
    Query(days): Query<Days>,
) -> Response {
    answer(&console, &caller, StatusCode::OK, &days, None)
}

fn answer(
    console: &Console,
    caller: &Caller,
    status: StatusCode,
    days: &Days,
    why: Option<&str>,
) -> Response {
    let today = books::day_of(wall_now());
    let ((first, last), status, why) = match days.read() {
        Ok(read) => (read, status, why),
        Err(wrong) => ((today, today), StatusCode::BAD_REQUEST, Some(wrong)),
    };
    let content = match content(console, caller, (first, last), why) {
        Ok(content) => content,
        Err(error) => return page::broken(&error),
    };
    answered(console, caller, (status, HERE, "Owner"), &content)
}

fn content(
    console: &Console,
    caller: &Caller,
    (first, last): (Date, Date),
    why: Option<&str>,
) -> Result<Markup, OfficeError> {
    let report = books::report(console, first, last)?;
    let value = stock_value(console)?;
    let hours = console.office.hours()?;
    Ok(html! {
        (told(why))
        h1 { "Day end" }
        form .days method="get" action=(HERE) {
            label { "From" input type="date" name="from" value=(first); }
            label { "To" input type="date" name="to" value=(last); }
            button { "Show" }
            a .button href={ "/owner/books.csv?from=" (first) "&to=" (last) } { "CSV" }
        }
        div .columns {
            div .stack {
                (figures(console, &report))
                (taxes(console, &report))
                (sold(console, &report))
            }
            div .stack {
                (shrink(console, &report))
                (stock_card(console, &value))
                (hours_card(caller, &hours))
            }
        }
    })
}

fn figures(console: &Console, report: &Report) -> Markup {
    let row = |what: &str, minor: i64| {
        html! { tr { th scope="row" { (what) } td .number { (money(Money::new(minor, console.definition.currency))) } } }
    };
    html! {
        section .card aria-labelledby="h-figures" {
            h2 #h-figures { "Money" }
            table .figures {
                tbody {
                    tr { th scope="row" { "Visits, with something bought" } td .number { (grouped(report.visits)) ", " (grouped(report.purchases)) } }
                    (row("Sold, tax included", report.sold_minor))
                    (row("Taken from cards", report.captured_minor))
                    (row("Owed", report.owed_minor))
                    (row("Given back", report.refunded_minor))
                    (row("Taken less given back", report.captured_minor - report.refunded_minor))
                }
            }
            @for refund in &report.refunds {
                p .meta { (time(refund.at, Clock::Full)) " " (refund.by) " gave back " (money(Money::new(refund.minor, console.definition.currency))) " of " a href={ "/visits/" (refund.session) } { (refund.session) } }
            }
        }
    }
}

fn taxes(console: &Console, report: &Report) -> Markup {
    let money = |minor| amount(Money::new(minor, console.definition.currency));
    html! {
        section .card aria-labelledby="h-tax" {
            h2 #h-tax { "Tax" }
            @if report.taxes.is_empty() { p .none { "Nothing was sold." } }
            @else {
                table .figures {
                    thead { tr { th scope="col" { "Rate" } th scope="col" { "Net" } th scope="col" { "Tax" } th scope="col" { "Gross" } } }
                    tbody {
                        @for (points, taxed) in &report.taxes {
                            tr {
                                th scope="row" { (percent(*points)) }
                                td .number { (money(taxed.gross_minor - taxed.tax_minor)) }
                                td .number { (money(taxed.tax_minor)) }
                                td .number { (money(taxed.gross_minor)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `7 %`, `5.5 %`
fn percent(points: u32) -> String {
    let text = format!("{}.{:02}", points / 100, points % 100);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

fn sold(console: &Console, report: &Report) -> Markup {
    let mut products: Vec<_> = report.products.values().collect();
    products.sort_by_key(|sold| std::cmp::Reverse(sold.gross_minor));
    html! {
        section .card aria-labelledby="h-sold" {
            h2 #h-sold { "Sold" span .count { (products.len()) } }
            @if products.is_empty() { p .none { "Nothing was sold." } }
            @else {
                table .figures {
                    tbody {
                        @for sold in products.iter().take(PRODUCTS_SHOWN_MAX) {
                            tr { th scope="row" { (sold.units) " × " (sold.name) } td .number { (money(Money::new(sold.gross_minor, console.definition.currency))) } }
                        }
                    }
                }
                @if products.len() > PRODUCTS_SHOWN_MAX { p .meta { "The CSV has all of them." } }
            }
        }
    }
}

fn shrink(console: &Console, report: &Report) -> Markup {
    let currency = console.definition.currency;
    html! {
        section .card aria-labelledby="h-shrink" {
            h2 #h-shrink { "Shrink" }
            p .meta { "What the shelves lost and nobody paid, at the prices of today." }
            @if report.losses.is_empty() { p .none { "Nothing." } }
            @else {
                table .figures {
                    tbody {
                        @for Lost { loss, minor } in &report.losses {
                            tr {
                                th scope="row" { (loss.units) " × " (console.product_name(&loss.product)) span .meta { (loss.why.words()) } }
                                td .number { @if let Some(minor) = minor { (money(Money::new(*minor, currency))) } @else { "no price" } }
                            }
                        }
                    }
                    tfoot { tr { th scope="row" { "All" } td .number { (money(Money::new(report.lost_minor, currency))) } } }
                }
            }
        }
    }
}

/// What should stand on the shelves at selling prices, and how many facings nobody has counted.
struct Value {
    minor: i64,
    facings: usize,
    uncounted: usize,
}

fn stock_value(console: &Console) -> Result<Value, OfficeError> {
    let counts = console.office.counts()?;
    let view = console.views.borrow().clone();
    let facings = stock::facings(console, &view, &counts);
    let worth = |facing: &stock::Facing<'_>| {
        let product = console.definition.catalogue.get(facing.product.as_str())?;
        // What is sold by weight has a price for a kilogram, and is counted in pieces.
        let each = product.unit_price().minor;
        Some(each.saturating_mul(facing.left?))
    };
    let worths: Vec<Option<i64>> = facings.iter().map(worth).collect();
    Ok(Value {
        minor: worths.iter().flatten().sum(),
        facings: worths.len(),
        uncounted: worths.iter().filter(|worth| worth.is_none()).count(),
    })
}

fn stock_card(console: &Console, value: &Value) -> Markup {
    html! {
        section .card aria-labelledby="h-value" {
            h2 #h-value { "Stock" }
            p .total { span { "At selling prices, now" } strong { (money(Money::new(value.minor, console.definition.currency))) } }
            p .meta {
                (value.facings - value.uncounted) " of " (value.facings) " facings are counted"
                @if value.uncounted > 0 { "; the others are left out. " a href="/stock" { "Count them" } }
            }
        }
    }
}

fn hours_card(caller: &Caller, hours: &Hours) -> Markup {
    let shown = |minute: Option<u16>| minute.map_or(String::new(), clock);
    html! {
        section .card aria-labelledby="h-hours" {
            h2 #h-hours { "Opening hours" }
            p .meta { "The store opens and closes by itself, in the time zone of its machine. A day without hours stays closed; without any nothing happens by itself. What you do under Control stands until the next time." }
            form method="post" action="/owner/hours" {
                (page::form_key(caller))
                table .figures.hours {
                    thead { tr { th scope="col" { "Day" } th scope="col" { "Opens" } th scope="col" { "Closes" } } }
                    tbody {
                        @for (number, name) in (1_i8..).zip(WEEKDAYS) {
                            @let day = hours.0.get(&number);
                            tr {
                                th scope="row" { (name) }
                                td { input type="time" name={ "opens" (number) } aria-label={ (name) " opens" } value=(shown(day.map(|d| d.opens))); }
                                td { input type="time" name={ "closes" (number) } aria-label={ (name) " closes" } value=(shown(day.map(|d| d.closes))); }
                            }
                        }
                    }
                }
                button { "Keep these hours" }
            }
        }
    }
}

/// `08:30`; midnight at the end of a day is `00:00`.
fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60 % 24, minute % 60)
}

/// `POST /owner/hours`
pub async fn set_hours(
    State(console): State<Console>,
    Asking(caller): Asking,
    Form(said): Form<BTreeMap<String, String>>,
) -> Response {
    let days = Days::default();
    let hours = match read_hours(&said) {
        Ok(hours) => hours,
        Err(why) => {
            let status = StatusCode::BAD_REQUEST;
            return answer(&console, &caller, status, &days, Some(&why));
        }
    };
    match console.office.set_hours(&hours) {
        Ok(()) => {
            let about = format!("{} days", hours.0.len());
            console.note(&caller.name, "opening hours", &about, wall_now());
            page::see(HERE)
        }
        Err(error) => page::broken(&error),
    }
}

fn read_hours(said: &BTreeMap<String, String>) -> Result<Hours, String> {
    let mut hours = BTreeMap::new();
    for (number, name) in (1_i8..).zip(WEEKDAYS) {
        let of = |what: &str| {
            said.get(&format!("{what}{number}"))
                .map_or("", |t| t.trim())
        };
        let minute = |text: &str| {
            let time: Time = text.parse().ok()?;
            u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).ok()
        };
        let (opens, closes) = (of("opens"), of("closes"));
        if opens.is_empty() && closes.is_empty() {
            continue;
        }
        let (Some(opens), Some(closes)) = (minute(opens), minute(closes)) else {
            return Err(format!("{name}: write both times, like 08:00 and 20:00."));
        };
        let closes = if closes == 0 { 1_440 } else { closes };
        if closes <= opens {
            return Err(format!("{name}: the store closes after it opens."));
        }
        hours.insert(number, Day { opens, closes });
    }
    Ok(Hours(hours))
}

/// `GET /owner/books.csv`
pub async fn csv(State(console): State<Console>, Query(days): Query<Days>) -> Response {
    let (first, last) = match days.read() {
        Ok(days) => days,
        Err(why) => {
            return crate::console::host::plain(StatusCode::BAD_REQUEST, format!("{why}\n"));
        }
    };
    let until = books::start_of(last.tomorrow().unwrap_or(last));
    let read = (console.office.sales(books::start_of(first), until))
        .and_then(|sales| Ok((sales, books::report(&console, first, last)?)));
    match read {
        Ok((sales, report)) => {
            let text = books::table(&sales, &report, console.definition.currency);
            let name = format!("attachment; filename=\"books-{first}-{last}.csv\"");
            let headers = [
                (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (CONTENT_DISPOSITION, name),
                (CACHE_CONTROL, "no-store".to_owned()),
            ];
            (headers, text).into_response()
        }
        Err(error) => page::broken(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_whole_or_say_what_is_wrong() {
        let said = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            read_hours(&pairs.collect())
        };
        let day = |opens, closes| Day { opens, closes };
        let both = said(&[
            ("opens1", "08:00"),
            ("closes1", "20:30"),
            ("opens7", "10:00"),
            ("closes7", "00:00"),
        ]);
        assert_eq!(
            both,
            Ok(Hours([(1, day(480, 1_230)), (7, day(600, 1_440))].into()))
        );
        assert_eq!(clock(1_440), "00:00");
        for (pairs, word) in [
            (&[("opens2", "08:00")][..], "Tuesday"),
            (&[("opens3", "20:00"), ("closes3", "08:00")], "closes after"),
            (&[("opens3", "late"), ("closes3", "08:00")], "Wednesday"),
        ] {
            let why = said(pairs).expect_err("it is refused");
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn a_rate_is_written_without_what_says_nothing() {
        for (points, text) in [(700, "7 %"), (1_950, "19.5 %"), (0, "0 %"), (525, "5.25 %")] {
            assert_eq!(percent(points), text);
        }
    }
}
