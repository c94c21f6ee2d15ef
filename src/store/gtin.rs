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
pub fn classify(code: &str) -> Code {
    let digits: Vec<u8> = code.bytes().map(|b| b.wrapping_sub(b'0')).collect();
    if !matches!(digits.len(), 8 | 12 | 13 | 14) || digits.iter().any(|&d| d > 9) {
        return Code::Sku;
    }
    let (&last, body) = digits.split_last().expect("at least eight digits");
    let sum: u32 = (body.iter().rev().enumerate())
        .map(|(i, &d)| u32::from(d) * if i % 2 == 0 { 3 } else { 1 })
        .sum();
    let expected = ((10 - sum % 10) % 10) as u8;
    if expected == last {
        Code::Gtin
    } else {
        Code::WrongCheckDigit { expected }
    }
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
            ("120850", Code::Sku),
            ("CURRY-1", Code::Sku),
            ("", Code::Sku),
            ("40063813339３1", Code::Sku),
        ] {
            assert_eq!(classify(code), kind, "{code}");
        }
    }
}
