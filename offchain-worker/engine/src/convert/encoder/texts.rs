//! Texts for an encoder's calibration and judgement.

/// The paragraphs of a text: what blank lines divide.
pub fn passages(text: &str) -> Vec<&str> {
    let mut passages = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            passages.push(&text[start..at]);
            start = at + line.len();
        }
        at += line.len();
    }
    passages.push(&text[start..]);
    passages.into_iter().map(str::trim).filter(|passage| !passage.is_empty()).collect()
}

/// At most `count` of `items`, evenly spread.
pub fn spread<'a>(items: &'a [&'a str], count: usize) -> impl Iterator<Item = &'a str> {
    let count = count.min(items.len());
    (0..count).map(move |i| items[i * items.len() / count])
}

/// The first two to ten words of at most `count` passages.
pub fn phrases<'a>(passages: &'a [&'a str], count: usize) -> impl Iterator<Item = String> + 'a {
    (0..)
        .zip(spread(passages, count))
        .map(|(i, passage)| passage.split_whitespace().take(2 + i % 9).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_the_paragraphs_without_blank_lines() {
        assert_eq!(passages("a\nb\n\n \n c \r\n\r\nd"), ["a\nb", "c", "d"]);
        assert!(passages(" \n\n").is_empty());
    }

    #[test]
    fn phrases_are_beginnings_of_different_lengths() {
        let passage = "a b\nc d e f g h i j k l m";
        let found: Vec<String> = phrases(&[passage; 10], 20).collect();
        assert_eq!((&found[0][..], &found[1][..], &found[9][..]), ("a b", "a b c", "a b"));
        assert_eq!(found[8], "a b c d e f g h i j");
    }

    #[test]
    fn spread_takes_all_or_evenly() {
        let items = ["a", "b", "c", "d", "e"];
        assert_eq!(spread(&items, 9).collect::<Vec<_>>(), items);
        assert_eq!(spread(&items, 2).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(spread(&[], 2).count(), 0);
    }
}
