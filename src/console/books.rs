//! What a day has brought: the owner's figures, summed up from the books.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Console;
use crate::checkout::receipt::Receipt;
use crate::edge::office::{Loss, OfficeError, RefundMade, Sale};
use crate::store::{Catalogue, ProductId};
use crate::units::{Currency, Timestamp};

/// A day, or several: amounts in minor units, tax included unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Report {
    pub visits: u64,
    /// Visits with something bought.
    pub purchases: u64,
    pub sold_minor: i64,
    pub captured_minor: i64,
    pub owed_minor: i64,
    pub refunded_minor: i64,
    pub refunds: Vec<RefundMade>,
    /// By rate, basis points: what was sold, and the tax in it.
    pub taxes: BTreeMap<u32, Taxed>,
    pub products: BTreeMap<ProductId, Sold>,
    pub losses: Vec<Lost>,
    pub lost_minor: i64,
}

/// What was sold at a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Taxed {
    pub gross_minor: i64,
    pub tax_minor: i64,
}

/// What was sold of a product.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sold {
    pub name: String,
    pub units: u64,
    pub gross_minor: i64,
}

/// What was lost of a product, at the price of today; none if it is not sold any more.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lost {
    pub loss: Loss,
    pub minor: Option<i64>,
}

impl Report {
    fn of(sales: &[Sale], refunds: Vec<RefundMade>, losses: Vec<Loss>, known: &Catalogue) -> Self {
        let mut report = Report::default();
        for sale in sales {
            report.add(&sale.receipt);
        }
        report.refunded_minor = refunds.iter().map(|refund| refund.minor).sum();
        report.refunds = refunds;
        report.losses = losses
            .into_iter()
            .map(|loss| {
                let price = known
                    .get(loss.product.as_str())
                    .map(|p| p.unit_price().minor);
                let minor = price.map(|price| price.saturating_mul(loss.units));
                Lost { loss, minor }
            })
            .collect();
        report.lost_minor = report.losses.iter().filter_map(|lost| lost.minor).sum();
        report
    }

    fn add(&mut self, receipt: &Receipt) {
        self.visits += 1;
        self.purchases += u64::from(!receipt.lines.is_empty());
        let owed_minor = receipt.owed.map_or(0, |owed| owed.minor);
        self.sold_minor += receipt.total.minor;
        self.owed_minor += owed_minor;
        self.captured_minor += receipt.total.minor - owed_minor;
        for line in &receipt.lines {
            let taxed = self.taxes.entry(line.tax_basis_points).or_default();
            taxed.gross_minor += line.amount.minor;
            taxed.tax_minor += line.tax.minor;
            let sold = self.products.entry(line.product.clone()).or_default();
            sold.name.clone_from(&line.name);
            sold.units += u64::from(line.quantity);
            sold.gross_minor += line.amount.minor;
        }
    }
}

/// What the days from `first` to `last` have brought.
pub(super) fn report(console: &Console, first: Date, last: Date) -> Result<Report, OfficeError> {
    let (from, until) = (
        start_of(first),
        start_of(last.saturating_add(jiff::Span::new().days(1))),
    );
    let office = &console.office;
    Ok(Report::of(
        &office.sales(from, until)?,
        office.refunds(from, until)?,
        office.losses(from, until)?,
        &console.definition.catalogue,
    ))
}

/// When a day begins in this machine's time zone.
pub(super) fn start_of(day: Date) -> Timestamp {
    let zoned = day.to_zoned(TimeZone::system());
    zoned.map_or(Timestamp::MAX, |start| {
        Timestamp(start.timestamp().as_microsecond())
    })
}

/// The day of a moment in this machine's time zone.
pub(super) fn day_of(at: Timestamp) -> Date {
    let moment = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    moment.to_zoned(TimeZone::system()).date()
}

/// A file of the books for a spreadsheet (RFC 4180): a line for each line of each receipt, for each refund, and for each product lost.
pub(super) fn table(sales: &[Sale], report: &Report, currency: Currency) -> String {
    let mut text =
        "kind,at,visit,product,name,units,gross_minor,tax_basis_points,tax_minor,currency,note\r\n"
            .to_owned();
    let mut row = |fields: [String; 11]| {
        text += &fields
            .map(|field| super::words::csv_field(&field))
            .join(",");
        text += "\r\n";
    };
    let currency = currency.as_str().to_owned();
    for Sale { exited_at, receipt } in sales {
        for line in &receipt.lines {
            row([
                "sale".to_owned(),
                exited_at.to_string(),
                receipt.session.to_string(),
                line.product.to_string(),
                line.name.clone(),
                line.quantity.to_string(),
                line.amount.minor.to_string(),
                line.tax_basis_points.to_string(),
                line.tax.minor.to_string(),
                currency.clone(),
                if receipt.owed.is_some() {
                    "owed".to_owned()
                } else {
                    String::new()
                },
            ]);
        }
    }
    let empty = String::new;
    for refund in &report.refunds {
        row([
            "refund".to_owned(),
            refund.at.to_string(),
            refund.session.to_string(),
            empty(),
            empty(),
            empty(),
            (-refund.minor).to_string(),
            empty(),
            empty(),
            currency.clone(),
            refund.by.clone(),
        ]);
    }
    for Lost { loss, minor } in &report.losses {
        row([
            "lost".to_owned(),
            empty(),
            empty(),
            loss.product.to_string(),
            empty(),
            loss.units.to_string(),
            minor.map_or(empty(), |minor| minor.to_string()),
            empty(),
            empty(),
            currency.clone(),
            loss.why.words().to_owned(),
        ]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkout::receipt::{Paid, ReceiptLine};
    use crate::units::Money;

    #[test]
    fn a_day_is_summed_up_by_rate_and_product() {
        let euros: Currency = "EUR".parse().unwrap();
        let line = |product: &str, quantity, minor, points, tax| ReceiptLine {
            product: product.into(),
            name: product.to_uppercase(),
            quantity,
            mass_mg: None,
            amount: Money::new(minor, euros),
            tax: Money::new(tax, euros),
            tax_basis_points: points,
        };
        let sale = |lines: Vec<ReceiptLine>, owed: Option<i64>| Sale {
            exited_at: Timestamp(1),
            receipt: Receipt {
                session: "s-1".into(),
                track: None,
                entered_at: Timestamp(0),
                exited_at: Timestamp(1),
                total: Money::new(lines.iter().map(|l| l.amount.minor).sum(), euros),
                tax: Money::new(0, euros),
                lines,
                paid: Paid::Captured,
                owed: owed.map(|minor| Money::new(minor, euros)),
            },
        };
        let sales = [
            sale(
                vec![line("a", 2, 214, 700, 14), line("b", 1, 119, 1_900, 19)],
                None,
            ),
            sale(vec![line("a", 1, 107, 700, 7)], Some(57)),
            sale(vec![], None),
        ];
        let losses = vec![Loss {
            product: "gone".into(),
            units: 2,
            why: crate::edge::office::Lost::Nobody,
        }];
        let report = Report::of(&sales, vec![], losses, &Catalogue::default());
        assert_eq!((report.visits, report.purchases), (3, 2));
        assert_eq!(
            (report.sold_minor, report.captured_minor, report.owed_minor),
            (440, 383, 57)
        );
        let at = |points| report.taxes[&points];
        assert_eq!(
            at(700),
            Taxed {
                gross_minor: 321,
                tax_minor: 21
            }
        );
        assert_eq!(
            at(1_900),
            Taxed {
                gross_minor: 119,
                tax_minor: 19
            }
        );
        assert_eq!(report.products[&ProductId::from("a")].units, 3);
        assert_eq!((report.losses.len(), report.lost_minor), (1, 0));
        let text = table(&sales, &report, euros);
        assert_eq!(text.lines().count(), 1 + 3 + 1, "{text}");
    }
}
