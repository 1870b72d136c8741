//! Changes to valid inputs: of bytes, and of JSON.

use crate::support::Random;
use serde_json::{json, Value};

/// Numbers at the edges of types and of the specification's limits.
const EDGES: [u64; 24] = [
    0,
    1,
    2,
    3,
    7,
    31,
    32,
    63,
    64,
    255,
    256,
    1 << 10,
    (1 << 14) + 1,
    (1 << 16) + 1,
    (1 << 20) + 1,
    1 << 24,
    1 << 30,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 62,
    u64::MAX - 31,
    u64::MAX,
];

/// A number at or near an edge, or any.
pub fn number(random: &mut Random) -> u64 {
    let edge = EDGES[random.below(EDGES.len() as u64) as usize];
    match random.below(8) {
        0 => edge.wrapping_add(1),
        1 => edge.wrapping_sub(1),
        2 => random.next(),
        3 => random.below(100),
        _ => edge,
    }
}

/// One of `list`.
pub fn pick<'a, T>(list: &'a [T], random: &mut Random) -> &'a T {
    &list[random.below(list.len() as u64) as usize]
}

/// True once in `n`.
pub fn once_in(n: u64, random: &mut Random) -> bool {
    random.below(n) == 0
}

/// Puts a section of `donor`, another input, in the place of one of `bytes`.
pub fn splice(bytes: &mut Vec<u8>, donor: &[u8], random: &mut Random) {
    let mut section = |length: usize| {
        let start = random.below(length as u64 + 1) as usize;
        start..start + random.below((length - start).min(4096) as u64 + 1) as usize
    };
    let (from, to) = (section(donor.len()), section(bytes.len()));
    bytes.splice(to, donor[from].iter().copied());
}

/// Changes `bytes` in one to four places. Half of them fall on the first 512 bytes, where headers lie.
pub fn bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            bytes.push(random.next() as u8);
        }
        let reach = if once_in(2, random) { bytes.len().min(512) } else { bytes.len() };
        let at = random.below(reach as u64) as usize;
        let length = (random.below(64) as usize).min(bytes.len() - at);
        match random.below(12) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 | 4 => overwrite(bytes, at & !3, &(number(random) as u32).to_le_bytes()),
            5 => overwrite(bytes, at & !3, &number(random).to_le_bytes()),
            6 => bytes.truncate(at),
            7 => drop(bytes.drain(at..at + length)),
            8 => {
                let copy = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len() as u64 + 1) as usize;
                bytes.splice(to..to, copy);
            }
            9 => {
                // Two sections change places.
                let to = random.below(bytes.len() as u64) as usize;
                let length = length.min(at.abs_diff(to)).min(bytes.len() - to);
                (0..length).for_each(|i| bytes.swap(at + i, to + i));
            }
            10 => {
                // A section overwrites another.
                let from = random.below(bytes.len() as u64 - length as u64 + 1) as usize;
                bytes.copy_within(from..from + length, at);
            }
            _ => bytes.extend(std::iter::repeat_n(random.next() as u8, random.below(100) as usize)),
        }
    }
}

/// Writes as much of `value` as fits.
fn overwrite(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (slot, byte) in bytes[at..].iter_mut().zip(value) {
        *slot = *byte;
    }
}

/// A value of any JSON type.
fn any_json(random: &mut Random) -> Value {
    match random.below(14) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(-(random.below(1 << 40) as i64)),
        3 => json!(1e308),
        4 => json!(1e-300),
        5 => json!(0.5),
        6 => json!("x"),
        7 => json!([]),
        8 => json!({}),
        9 => json!([number(random)]),
        10 => (0..100).fold(json!(1), |inner, _| json!([inner])),
        _ => json!(number(random)),
    }
}

/// Changes one to three places of `value`: another value, an entry gone, twice, or under another name.
pub fn json(value: &mut Value, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let mut place = &mut *value;
        loop {
            let size = match &*place {
                Value::Object(fields) => fields.len(),
                Value::Array(list) => list.len(),
                _ => 0,
            };
            if size == 0 || once_in(6, random) {
                break;
            }
            let at = random.below(size as u64) as usize;
            place = match place {
                Value::Object(fields) => fields.values_mut().nth(at).unwrap(),
                Value::Array(list) => &mut list[at],
                _ => unreachable!("scalars have no size"),
            };
        }
        match (random.below(5), place) {
            (0, Value::Object(fields)) if !fields.is_empty() => {
                let key = fields.keys().nth(random.below(fields.len() as u64) as usize).unwrap().clone();
                let removed = fields.remove(&key).unwrap();
                if once_in(2, random) {
                    fields.insert(format!("{key}x"), removed);
                }
            }
            (0 | 1, Value::Array(list)) if !list.is_empty() => {
                let at = random.below(list.len() as u64) as usize;
                let entry = list[at].clone();
                if once_in(2, random) {
                    list.push(entry);
                } else {
                    list.remove(at);
                }
            }
            (1, Value::Object(fields)) if fields.len() > 1 => {
                let copy = fields.values().nth(random.below(fields.len() as u64) as usize).unwrap().clone();
                let to = random.below(fields.len() as u64) as usize;
                *fields.values_mut().nth(to).unwrap() = copy;
            }
            (_, place) => *place = any_json(random),
        }
    }
}
