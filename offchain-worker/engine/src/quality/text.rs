//! The bundled text, in two parts that share no line: one to calibrate with, one to judge with.

/// Held-out text of the demo model's corpus: documentation of the Rust language (MIT OR Apache-2.0), never trained on.
const HELD_OUT: &str = include_str!("../../../../models/demo/source/heldout.txt");

/// The default calibration text: the first third.
pub fn calibration() -> &'static str {
    HELD_OUT.split_at(boundary()).0
}

/// Text for perplexity and agreement: the rest.
pub fn evaluation() -> &'static str {
    HELD_OUT.split_at(boundary()).1
}

/// End of the line that holds the byte at a third of the text.
fn boundary() -> usize {
    let third = HELD_OUT.len() / 3;
    let rest = &HELD_OUT.as_bytes()[third..];
    rest.iter().position(|byte| *byte == b'\n').map_or(HELD_OUT.len(), |line| third + line + 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_cover_the_text_and_share_nothing() {
        let (calibration, evaluation) = (super::calibration(), super::evaluation());
        assert_eq!(calibration.len() + evaluation.len(), super::HELD_OUT.len());
        assert!(calibration.ends_with('\n'));
        assert!(calibration.len() > 40_000 && evaluation.len() > 80_000);
    }
}
