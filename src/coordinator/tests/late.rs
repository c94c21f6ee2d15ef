//! Evidence that comes after the receipt.

use super::hold;
use super::store::GATELESS;

/// Ann has taken a cola, the shelf's node fell silent while she was still there, and the deadline has passed.
const SETTLED: &str = "0 mark
     1 see ann 1.1.1 6
     1.5 take 1.1.1 500
     3 mark
     9 mark but left
     9 tick
     70 mark but left
     = ann closed: cola*1, 1.50 eur captured";

fn after(rest: &str) -> String {
    format!("{SETTLED}\n{rest}")
}

#[test]
fn late_evidence_changes_no_receipt_and_proposes_a_correction() {
    hold(
        GATELESS,
        &[
            (
                "it was put back",
                after(
                    "4.5 put 1.1.1 500
                     71 mark
                     = proposed: 1 of them, 1.50 eur
                     = ann closed: cola*1, 1.50 eur captured
                     crash
                     = ann closed: cola*1, 1.50 eur captured
                     = 0 reviews
                     72 mark
                     = 1 receipts",
                ),
            ),
            (
                "a second one was taken",
                after(
                    "4.5 take 1.1.1 500
                     71 mark
                     = proposed: 1 of them, no refund
                     = ann closed: cola*1, 1.50 eur captured
                     = 0 reviews",
                ),
            ),
            (
                "who is still inside is asked about, and not charged",
                "0 mark
                 1 see ann 1.1.1 6
                 1 see bob 1.1.1 75
                 3 mark
                 9 mark but left
                 9 tick
                 70 mark but left
                 = ann closed: 0.00 eur voided
                 4.5 take 1.1.1 500
                 71 mark
                 = proposed: 1 of them, no refund
                 = bob inside: 1 in review"
                    .to_owned(),
            ),
        ],
    );
}
