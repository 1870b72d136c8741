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

/// The texts with all tokens that are of `words`, but for `kept` eighths of them, replaced by others of these at random: what
/// no calibration text shows of the vocabulary. `words` ascend from the most frequent on, and the r-th is drawn about as
/// often as texts have it, with a probability that falls with 1/r. The same on every machine.
pub fn random_words(texts: &[Vec<u32>], words: &[u32], kept: u64) -> Vec<Vec<u32>> {
    let mut state = kept;
    // 53 bits, by the steps of splitmix64.
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 11
    };
    let mut replace = |id: &u32| {
        if words.binary_search(id).is_err() || random() % 8 < kept {
            return *id;
        }
        let share = libm::scalbn(random() as f64, -53);
        // From 1 to the number of words, evenly on a logarithmic scale.
        let rank = libm::pow(words.len() as f64, share) as usize;
        words.get(rank.max(1) - 1).copied().unwrap_or(*id)
    };
    texts.iter().map(|ids| ids.iter().map(&mut replace).collect()).collect()
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
    fn random_words_replace_words_alone_and_are_always_the_same() {
        let texts = [vec![1, 5, 9, 5, 2], vec![1, 2], vec![7; 4000]];
        let words = [4, 5, 7, 9];
        let found = random_words(&texts, &words, 0);
        assert_eq!((found[0][0], found[0][4], &found[1]), (1, 2, &vec![1, 2]));
        // In proportion to the logarithms of 2, 3/2 and 4/3.
        for (id, expected) in [(4, 2000), (5, 1170), (7, 830), (9, 0)] {
            let times = found[2].iter().filter(|found| **found == id).count();
            assert!(times.abs_diff(expected) < 120, "{id} {times} times");
        }
        assert_eq!(found[2][..8], [5, 7, 5, 5, 5, 5, 7, 5]);
        assert_eq!(random_words(&texts, &[], 0), texts);
        assert_eq!(random_words(&texts, &words, 8), texts);
        // Half are kept, and some of the others drawn again.
        let kept = random_words(&texts, &words, 4)[2].iter().filter(|id| **id == 7).count();
        assert!(kept.abs_diff(2415) < 120, "{kept}");
    }

    #[test]
    fn spread_takes_all_or_evenly() {
        let items = ["a", "b", "c", "d", "e"];
        assert_eq!(spread(&items, 9).collect::<Vec<_>>(), items);
        assert_eq!(spread(&items, 2).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(spread(&[], 2).count(), 0);
    }
}
