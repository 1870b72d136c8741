//! The specification once more, in i128 and straight from the page: divisions instead of shifts, sorting
//! instead of selection, no shared code with the crate but the constant tables.

use assay_exact::tables::{T1, T2};

pub fn pow2(n: u32) -> i128 {
    1i128 << n
}

/// floor(a / 2^s + 1/2)
pub fn rsh(a: i128, s: u32) -> i128 {
    match s {
        0 => a,
        1..=62 => (a + pow2(s - 1)).div_euclid(pow2(s)),
        _ => 0,
    }
}

pub fn sat32(a: i128) -> i128 {
    a.clamp(-pow2(31), pow2(31) - 1)
}

pub fn sat16(a: i128) -> i128 {
    a.clamp(-32767, 32767)
}

pub fn scale32(a: i128, m: i128, s: i64) -> i128 {
    if s >= 0 {
        sat32(rsh(a * m, s.min(1000) as u32))
    } else {
        sat32(a * m * pow2((-s).min(60) as u32))
    }
}

pub fn bl(u: i128) -> u32 {
    (0..127).find(|n| u < pow2(*n)).unwrap()
}

pub fn isqrt(u: i128) -> i128 {
    let (mut low, mut high) = (0i128, pow2(32));
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle * middle <= u {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

pub fn exp2neg(u: i128) -> i128 {
    let whole = (u / pow2(16)) as u32;
    if whole >= 25 {
        return 0;
    }
    let upper = i128::from(T1[((u / 256) % 256) as usize]);
    let lower = i128::from(T2[(u % 256) as usize]);
    rsh(upper * lower, 38 + whole)
}

pub fn lut(table: &[u32], g: i128) -> i128 {
    let a = g.abs().min(pow2(20) - 1);
    let i = (a / 1024) as usize;
    let (low, high) = (i128::from(table[i]), i128::from(table[i + 1]));
    let v = low + rsh((high - low) * (a % 1024), 10);
    if g < 0 {
        pow2(24) - v
    } else {
        v
    }
}

/// (R, B)
pub fn inv(z: i128) -> (i128, u32) {
    let b = bl(z);
    let zn = if b >= 32 { z / pow2(b - 32) } else { z * pow2(32 - b) };
    (pow2(62) / zn, b)
}

pub fn softmax(s: &[i128], c: i128, r: u32) -> Vec<i128> {
    let max = *s.iter().max().unwrap();
    s.iter().map(|s| exp2neg(rsh((max - s) * c, r).min(40 * pow2(16)))).collect()
}

pub fn eps_at(m: i128, k: i64, s: u32) -> i128 {
    let n = k + 2 * i64::from(s);
    if n >= 0 {
        rsh(m, n as u32)
    } else {
        (m * pow2((-n).min(80) as u32)).min(pow2(60))
    }
}

pub fn unit(c: &[i128], m: i128, k: i64) -> Vec<i128> {
    let a = c.iter().map(|c| c.abs()).max().unwrap_or(0);
    let s = bl(a).saturating_sub(23);
    let x: Vec<i128> = c.iter().map(|c| rsh(*c, s)).collect();
    let v = (x.iter().map(|x| x * x).sum::<i128>() + eps_at(m, k, s)).max(1);
    assert!(v <= pow2(61));
    let z = 2 * ((62 - bl(v)) / 2);
    let root = isqrt(v * pow2(z));
    assert!((pow2(30)..pow2(31)).contains(&root));
    let r = pow2(61) / root;
    let t: Vec<i128> = x.iter().map(|x| rsh(x * r, 31 - z / 2)).collect();
    assert!(t.iter().all(|t| t.abs() <= pow2(30)));
    t
}

/// (q, e_x)
pub fn requantize(y: &[i128], exponent: i32) -> (Vec<i128>, i32) {
    let max = y.iter().map(|y| y.abs()).max().unwrap_or(0);
    let e = bl(max).saturating_sub(14);
    (y.iter().map(|y| rsh(*y, e)).collect(), exponent + e as i32)
}

/// y of section 5.
pub fn norm(h: &[i128], gain: &[i128], bias: Option<&[i128]>, m: i128, k: i64) -> Vec<i128> {
    let n = h.len() as i128;
    let sum: i128 = h.iter().sum();
    let c: Vec<i128> = h.iter().map(|h| if bias.is_some() { n * h - sum } else { *h }).collect();
    let t = unit(&c, m, k);
    (0..h.len())
        .map(|i| t[i] * gain[i] + bias.map_or(0, |b| b[i]) * pow2(30))
        .inspect(|y| assert!(y.abs() <= pow2(62)))
        .collect()
}

pub fn rope(x: &[i128], row: &[i128], sigma: u32) -> Vec<i128> {
    let rot = row.len();
    let mut out: Vec<i128> = x.iter().map(|a| sat16(rsh(a * pow2(30), sigma))).collect();
    for i in 0..rot / 2 {
        let (a, b, c, s) = (x[i], x[i + rot / 2], row[2 * i], row[2 * i + 1]);
        out[i] = sat16(rsh(a * c - b * s, sigma));
        out[i + rot / 2] = sat16(rsh(a * s + b * c, sigma));
    }
    out
}

pub struct Scale {
    pub c: i128,
    pub sigma_l: u32,
    pub cap: Option<(i128, u32)>,
}

pub fn attention(q: &[i128], k: &[Vec<i128>], v: &[Vec<i128>], scale: &Scale, s_table: &[u32]) -> Vec<i128> {
    let scores: Vec<i128> = k
        .iter()
        .map(|k| {
            let s: i128 = q.iter().zip(k).map(|(q, k)| q * k).sum();
            match scale.cap {
                None => s,
                Some((c, sigma)) => 2 * lut(s_table, sat32(rsh(s * c, sigma))) - pow2(24),
            }
        })
        .collect();
    let w = softmax(&scores, scale.c, scale.sigma_l);
    let (r, b) = inv(w.iter().sum());
    (0..q.len())
        .map(|t| {
            let o: i128 = w.iter().zip(v).map(|(w, v)| w * v[t]).sum();
            rsh(rsh(o, b - 16) * r, 38)
        })
        .collect()
}

pub fn gated(table: &[u32], gate: &[i128], up: &[i128]) -> Vec<i128> {
    gate.iter().zip(up).map(|(g, u)| rsh(g * lut(table, *g), 24) * u).collect()
}

pub fn ungated(table: &[u32], up: &[i128]) -> Vec<i128> {
    up.iter().map(|u| u * lut(table, *u)).collect()
}

/// (expert, p_e) of the chosen, in order.
pub fn route(logits: &[i128], k: usize, over_all: bool) -> Vec<(usize, i128)> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by_key(|i| (-logits[*i], *i));
    order.truncate(k);
    let w = softmax(logits, 94548, 16);
    let z = if over_all { w.iter().sum() } else { order.iter().map(|i| w[*i]).sum() };
    let (r, b) = inv(z);
    order.into_iter().map(|i| (i, rsh(w[i] * r, b + 6))).collect()
}

/// Section 9's draw. `capped` is L'; `x` the 64 random bits.
pub fn draw(logits: &[i128], capped: &[i128], t: i128, top_k: usize, top_p: i128, x: u64) -> usize {
    let best = *logits.iter().max().unwrap();
    if t == 0 {
        return logits.iter().position(|l| *l == best).unwrap();
    }
    let w = softmax(capped, (94548462 + t / 2) / t, 16);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by_key(|i| (-logits[*i], *i));
    if top_k != 0 {
        order.truncate(top_k);
    }
    let z: i128 = order.iter().map(|i| w[*i]).sum();
    let keep =
        (1..=order.len()).find(|n| order[..*n].iter().map(|i| w[*i]).sum::<i128>() * pow2(16) >= top_p * z).unwrap();
    order.truncate(keep);
    let z: i128 = order.iter().map(|i| w[*i]).sum();
    let r = i128::from(x) * z / pow2(64);
    order.sort();
    let mut cumulative = 0;
    for i in order {
        cumulative += w[i];
        if cumulative > r {
            return i;
        }
    }
    unreachable!("r is below the sum of the kept weights");
}
