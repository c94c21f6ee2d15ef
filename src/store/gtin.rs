//! GTIN check digits (GS1 General Specifications, 7.9).

/// What a product code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 8, 12, 13 or 14 digits whose check digit is right.
    Gtin,
    /// The length of a GTIN, but the check digit should be the given one.
    WrongCheckDigit {
        /// The digit that would be right.
        expected: u8,
    },
    /// Anything else: the store's own code.
    Sku,
}

/// Tells a GTIN from a SKU and checks its last digit.
///
/// Eight digits that begin with 0 or 1 may be a UPC-E as well: a GTIN-12 with its zeros left out, whose check digit
/// is that of the long form. Small packs carry it, and a scanner hands it over as it is printed.
pub fn classify(code: &str) -> Code {
    let digits: Vec<u8> = code.bytes().map(|b| b.wrapping_sub(b'0')).collect();
    if !matches!(digits.len(), 8 | 12 | 13 | 14) || digits.iter().any(|&d| d > 9) {
        return Code::Sku;
    }
    let Some((&last, body)) = digits.split_last() else {
        return Code::Sku;
    };
    if check_digit(body) == last || upc_a_body(&digits).is_some_and(|b| check_digit(&b) == last) {
        return Code::Gtin;
    }
    // No article carries an EAN-8 that begins with 0, so there the long form says which digit is right.
    let expected = match (digits.first(), upc_a_body(&digits)) {
        (Some(0), Some(body)) => check_digit(&body),
        _ => check_digit(body),
    };
    Code::WrongCheckDigit { expected }
}

/// The check digit of the digits before it: weights 3 and 1 in turn from the right.
fn check_digit(body: &[u8]) -> u8 {
    let sum: u32 = (body.iter().rev().enumerate())
        .map(|(i, &d)| u32::from(d) * if i % 2 == 0 { 3 } else { 1 })
        .sum();
    ((10 - sum % 10) % 10) as u8
}

/// The long form of a UPC-E without its check digit (GS1 General Specifications, 5.2.2.4.2).
fn upc_a_body(digits: &[u8]) -> Option<[u8; 11]> {
    let &[system @ (0 | 1), a, b, c, d, e, last, _check] = digits else {
        return None;
    };
    Some(match last {
        0..=2 => [system, a, b, last, 0, 0, 0, 0, c, d, e],
        3 => [system, a, b, c, 0, 0, 0, 0, 0, d, e],
        4 => [system, a, b, c, d, 0, 0, 0, 0, 0, e],
        _ => [system, a, b, c, d, e, 0, 0, 0, 0, last],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits() {
        for (code, kind) in [
            ("4006381333931", Code::Gtin),
            ("071142008582", Code::Gtin),
            ("96385074", Code::Gtin),
            ("071142008583", Code::WrongCheckDigit { expected: 2 }),
            // UPC-E, one for each way in which the zeros are left out.
            ("07811102", Code::Gtin),
            ("07813207", Code::Gtin),
            ("04913207", Code::Gtin),
            ("04904403", Code::Gtin),
            ("07831504", Code::Gtin),
            ("01234565", Code::Gtin),
            ("01234566", Code::WrongCheckDigit { expected: 5 }),
            ("120850", Code::Sku),
            ("CURRY-1", Code::Sku),
            ("", Code::Sku),
            ("40063813339３1", Code::Sku),
        ] {
            assert_eq!(classify(code), kind, "{code}");
        }
    }
}
