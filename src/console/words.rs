//! Times, money, counts and ages, as the page says them.

use maud::{Markup, html};

use crate::units::{Money, Timestamp};

/// How exactly a moment is said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// The time of day to the minute.
    Minute,
    /// The date alone.
    Day,
    /// The date, and the time to the second.
    Full,
}

/// A moment, in UTC here; the script says it in the viewer's own time.
pub(super) fn time(at: Timestamp, clock: Clock) -> Markup {
    let (pattern, style) = match clock {
        Clock::Minute => ("%H:%M UTC", None),
        Clock::Day => ("%-d %B %Y", Some("day")),
        Clock::Full => ("%-d %B %Y, %H:%M:%S UTC", Some("full")),
    };
    match jiff::Timestamp::from_microsecond(at.0) {
        Ok(moment) => html! {
            time datetime=(iso(at)) data-t=[style] { (moment.strftime(pattern)) }
        },
        Err(_) => html! { span { "at an unknown time" } },
    }
}

pub(super) fn iso(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0)
        .map_or_else(|_| String::new(), |moment| format!("{moment:.0}"))
}

pub(super) fn money(money: Money) -> Markup {
    html! { span .money { (amount(money)) " " small { (money.currency.as_str()) } } }
}

/// The digits alone.
pub(super) fn amount(money: Money) -> String {
    let text = money.to_string();
    match text.rsplit_once(' ') {
        Some((digits, _)) => digits.to_owned(),
        None => text,
    }
}

/// `12 345`, with narrow spaces that don't break.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(super) fn stay(from: Timestamp, to: Timestamp) -> String {
    let minutes = to.0.saturating_sub(from.0).max(0) / 60_000_000;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

pub(super) fn seconds(delay_ms: u64) -> String {
    match delay_ms {
        0..10_000 => format!("{}.{} s", delay_ms / 1_000, delay_ms % 1_000 / 100),
        10_000..120_000 => format!("{} s", delay_ms / 1_000),
        _ => format!("{} min", delay_ms / 60_000),
    }
}

pub(super) fn heard(age_ms: Option<u64>) -> String {
    match age_ms {
        None => "not heard yet".to_owned(),
        Some(0..3_000) => "heard just now".to_owned(),
        Some(age @ 3_000..120_000) => format!("heard {} s ago", age / 1_000),
        Some(age @ 120_000..7_200_000) => format!("heard {} min ago", age / 60_000),
        Some(age) => format!("heard {} h ago", age / 3_600_000),
    }
}

pub(super) fn lag(lag_ms: u64) -> String {
    match lag_ms {
        0..1_000 => " · in step".to_owned(),
        1_000..120_000 => format!(" · {} s behind", lag_ms / 1_000),
        _ => format!(" · {} min behind", lag_ms / 60_000),
    }
}

/// A field of a CSV file (RFC 4180). One that a spreadsheet would take for a formula begins with an apostrophe.
pub(super) fn csv_field(field: &str) -> String {
    let is_number = field.parse::<f64>().is_ok();
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let field = if formula {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ages_read_well() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1\u{202f}000"),
            (12_345_678, "12\u{202f}345\u{202f}678"),
        ] {
            assert_eq!(grouped(number), shown);
        }
        for (ms, shown) in [
            (0, "0.0 s"),
            (1_260, "1.2 s"),
            (10_000, "10 s"),
            (150_000, "2 min"),
        ] {
            assert_eq!(seconds(ms), shown);
        }
        for (ms, shown) in [
            (None, "not heard yet"),
            (Some(2_999), "heard just now"),
            (Some(23_400), "heard 23 s ago"),
            (Some(120_000), "heard 2 min ago"),
            (Some(u64::MAX), "heard 5124095576030 h ago"),
        ] {
            assert_eq!(heard(ms), shown);
        }
        let minutes = |m: i64| stay(Timestamp(0), Timestamp(m * 60_000_000));
        assert_eq!(
            [minutes(-1), minutes(0), minutes(59), minutes(61)],
            ["just now", "just now", "59 min", "1 h 1 min"]
        );
    }

    #[test]
    fn a_moment_that_no_calendar_has_is_no_panic() {
        let shown = time(Timestamp(i64::MAX), Clock::Full).into_string();
        assert_eq!(shown, "<span>at an unknown time</span>");
    }

    #[test]
    fn a_field_is_one_field_and_no_formula() {
        for (field, written) in [
            ("plain", "plain"),
            ("a, b", "\"a, b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("@cmd", "'@cmd"),
            ("-5", "-5"),
            ("-x,y", "\"'-x,y\""),
        ] {
            assert_eq!(csv_field(field), written, "{field}");
        }
    }
}
