//! Amounts of the native token: parsing, and printing for people.

use crate::error::{Error, Result};
use assay_primitives::Balance;

/// The token's name and precision, as the chain's properties state them.
#[derive(Clone, Debug)]
pub struct Token {
    /// Symbol, e.g. `ASY`.
    pub symbol: String,
    /// Decimal places.
    pub decimals: u32,
}

impl Token {
    /// `1.5`, `1.5 ASY` or `1500000000000u` (smallest units) to an amount.
    pub fn parse(&self, text: &str) -> Result<Balance> {
        let bad = |why: &str| {
            Error::Usage(format!(
                "`{text}` is not an amount: {why}; write e.g. 1.5 (in {}) or 15u (smallest units)",
                self.symbol
            ))
        };
        let text = text.trim().trim_end_matches(self.symbol.as_str()).trim_end();
        if let Some(units) = text.strip_suffix('u') {
            return units.replace('_', "").parse().map_err(|_| bad("the units are not a whole number"));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > self.decimals as usize {
            return Err(bad(&format!("the token has {} decimal places", self.decimals)));
        }
        let digits = format!("{}{:0<width$}", whole.replace('_', ""), fraction, width = self.decimals as usize);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || (whole.is_empty() && fraction.is_empty())
        {
            return Err(bad("only digits and one point are allowed"));
        }
        digits.parse().map_err(|_| bad("it is too large"))
    }

    /// An amount with its symbol, without trailing zeros.
    pub fn show(&self, amount: Balance) -> String {
        let unit = 10u128.checked_pow(self.decimals).unwrap_or(1);
        let fraction = format!("{:0>width$}", amount % unit, width = self.decimals as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() || self.decimals == 0 { "" } else { "." };
        let fraction = if self.decimals == 0 { "" } else { fraction };
        format!("{}{point}{fraction} {}", amount / unit, self.symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asy() -> Token {
        Token { symbol: "ASY".into(), decimals: 12 }
    }

    #[test]
    fn parse_show_round_trips() {
        for amount in [0, 1, 999, 1_000_000_000_000, 1_500_000_000_000, 123_456_789_012_345_678] {
            assert_eq!(asy().parse(&asy().show(amount)).unwrap(), amount);
        }
        assert_eq!(asy().show(1_500_000_000_000), "1.5 ASY");
        assert_eq!(asy().parse("2").unwrap(), 2_000_000_000_000);
        assert_eq!(asy().parse(".5").unwrap(), 500_000_000_000);
        assert_eq!(asy().parse("15u").unwrap(), 15);
    }

    #[test]
    fn parse_nonsense_says_what_to_write() {
        for text in ["", ".", "-1", "1.2.3", "1e3", "0.0000000000001", "99999999999999999999999999999999", "u", "1,5"] {
            let error = asy().parse(text).unwrap_err().to_string();
            assert!(error.contains("not an amount"), "{text}: {error}");
        }
    }
}
