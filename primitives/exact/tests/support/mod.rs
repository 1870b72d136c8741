//! What the tests share: a generator with a taste for extremes, and the independent model.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod naive;

/// SplitMix64: the test cases are the same on every machine.
pub struct Gen(pub u64);

impl Gen {
    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.u64() % n
    }

    /// In `low..=high`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        let span = (high as i128 - low as i128 + 1) as u128;
        (low as i128 + (u128::from(self.u64()) % span) as i128) as i64
    }

    /// In `-bound..=bound`: a third of them at or next to an end, a power of two or zero, the rest of a
    /// random magnitude.
    pub fn wide(&mut self, bound: i64) -> i64 {
        let sign = if self.below(2) == 0 { 1 } else { -1 };
        let magnitude = match self.below(6) {
            0 => bound - self.below(3) as i64,
            1 => (1i64 << self.below(63)) + self.range(-1, 1),
            _ => (self.u64() >> 1 >> self.below(63)) as i64,
        };
        sign * magnitude.clamp(0, bound)
    }

    /// Like [`Self::wide`], with `i32::MIN`.
    pub fn i32(&mut self) -> i32 {
        match self.below(40) {
            0 => i32::MIN,
            1 => i32::MAX,
            _ => self.wide(i64::from(i32::MAX)) as i32,
        }
    }

    /// A weight, -128 included.
    pub fn i8(&mut self) -> i8 {
        match self.below(8) {
            0 => -128,
            1 => 127,
            2 => -127,
            _ => self.u64() as i8,
        }
    }

    /// An A15 activation.
    pub fn a15(&mut self) -> i16 {
        self.wide(1 << 14) as i16
    }

    /// A key or value.
    pub fn i16(&mut self) -> i16 {
        self.wide(32767) as i16
    }

    /// A packed row scale, of the converter's form or any.
    pub fn scale(&mut self) -> u32 {
        match self.below(4) {
            0 => self.u64() as u32,
            _ => (self.range(1 << 23, (1 << 24) - 1) as u32) | ((self.range(10, 60) as u32) << 24),
        }
    }

    pub fn vec<T>(&mut self, n: usize, mut f: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..n).map(|_| f(self)).collect()
    }

    /// A row of i32: sometimes all zero, all extreme, or all small.
    pub fn row(&mut self, n: usize) -> Vec<i32> {
        match self.below(8) {
            0 => vec![0; n],
            1 => vec![i32::MIN; n],
            2 => vec![i32::MAX; n],
            3 => self.vec(n, |g| if g.below(2) == 0 { i32::MIN } else { i32::MAX }),
            4 => self.vec(n, |g| g.range(-3, 3) as i32),
            _ => self.vec(n, Self::i32),
        }
    }
}
