//! Digests as text.

use std::fmt;

use assay_exact::hash::Digest;

/// Shows a digest in lower-case hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a Digest);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads 64 hexadecimal digits, with or without `0x`.
pub fn parse_digest(text: &str) -> Result<Digest, ParseDigestError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut digest = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ParseDigestError);
    }
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().fold(0, |v, d| v << 4 | (*d as char).to_digit(16).unwrap_or(0) as u8);
    }
    Ok(digest)
}

/// Not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a root: give 64 hexadecimal digits, with or without 0x")]
pub struct ParseDigestError;

/// For `#[serde(with)]`.
pub(crate) mod serde_digest {
    use assay_exact::hash::Digest;
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::Hex(digest))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        super::parse_digest(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_digest_reads_what_hex_shows_and_refuses_the_rest() {
        let digest = std::array::from_fn(|i| (i * 37) as u8);
        let text = Hex(&digest).to_string();
        assert_eq!(parse_digest(&text), Ok(digest));
        assert_eq!(parse_digest(&format!("0x{text}")), Ok(digest));
        for bad in ["", "00", &text[1..], &text.replace('0', "g")] {
            assert_eq!(parse_digest(bad), Err(ParseDigestError));
        }
    }
}
