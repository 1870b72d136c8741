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

/// At most `count` runs of one to five words, evenly spread over the passages.
pub fn phrases(passages: &[&str], count: usize) -> Vec<String> {
    let words: Vec<&str> = passages.iter().flat_map(|passage| passage.split_whitespace()).collect();
    let count = count.min(words.len());
    (0..count)
        .map(|i| {
            let from = &words[i * words.len() / count..];
            from[..from.len().min(1 + i % 5)].join(" ")
        })
        .collect()
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
    fn phrases_are_runs_of_words_of_different_lengths() {
        let passage = "a b\nc d e f g h i j";
        let found = phrases(&[passage; 10], 20);
        assert_eq!(found[..5], ["a", "f g", "a b c", "f g h i", "a b c d e"]);
        assert_eq!((&found[5][..], &found[19][..]), ("f", "f g h i j"));
        assert_eq!(phrases(&["a b"], 9), ["a", "b"]);
        assert!(phrases(&[], 9).is_empty());
    }

    #[test]
    fn spread_takes_all_or_evenly() {
        let items = ["a", "b", "c", "d", "e"];
        assert_eq!(spread(&items, 9).collect::<Vec<_>>(), items);
        assert_eq!(spread(&items, 2).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(spread(&[], 2).count(), 0);
    }
}
