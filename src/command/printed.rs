//! Receipts as people and scorers read them.

use std::fmt::Write;

use serde_json::json;

use crate::checkout::receipt::{Paid, Receipt};

/// Every receipt with something on it, and a line for those who took nothing.
pub fn receipts(receipts: &[Receipt]) -> String {
    let mut out = String::new();
    let mut empty = 0;
    for receipt in receipts {
        if receipt.lines.is_empty() {
            empty += 1;
            continue;
        }
        let who = receipt
            .track
            .as_ref()
            .map_or(receipt.session.as_str(), |t| t.as_str());
        let _ = writeln!(
            out,
            "shopper {who}  in {}  out {}",
            receipt.entered_at, receipt.exited_at
        );
        let width = receipt
            .lines
            .iter()
            .map(|l| l.name.chars().count())
            .max()
            .unwrap_or(0)
            .min(48);
        for line in &receipt.lines {
            let amount = line.amount.to_string();
            let mass = line.mass_mg.map_or(String::new(), |m| format!(" ({m})"));
            let (quantity, product, name) = (line.quantity, &line.product, &line.name);
            let _ = writeln!(
                out,
                "  {quantity} x {product:<14} {name:<width$}  {amount:>12}{mass}"
            );
        }
        let paid = match receipt.paid {
            Paid::Captured => "captured",
            Paid::Voided => "nothing to pay",
            Paid::Owed => "still owed",
        };
        let _ = writeln!(
            out,
            "  total {} ({paid}), of it tax {}",
            receipt.total, receipt.tax
        );
    }
    let charged = receipts.len() - empty;
    let _ = writeln!(
        out,
        "{charged} charged, {empty} left without taking anything"
    );
    out
}

/// Receipts in the competition's form, as `score.py` reads them.
pub fn receipts_json(receipts: &[Receipt]) -> String {
    let receipts: Vec<_> = (receipts.iter())
        .map(|receipt| {
            let who = receipt
                .track
                .as_ref()
                .map_or(receipt.session.as_str(), |t| t.as_str());
            let products: Vec<_> = (receipt.lines.iter())
                .map(|line| json!({ "barcode": line.product, "quantity": line.quantity }))
                .collect();
            json!({ "target_id": who, "products": products })
        })
        .collect();
    json!({ "receipts": receipts }).to_string()
}
