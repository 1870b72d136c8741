//! Inputs: random ones, and the extremes at which a kernel would wrap, saturate or lose a sign.

/// A deterministic generator (SplitMix64).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn coin(&mut self) -> bool {
        self.next() >> 63 == 0
    }

    /// In `low..=high`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        let span = high.wrapping_sub(low).wrapping_add(1) as u64;
        match span {
            0 => self.next() as i64,
            _ => low.wrapping_add((self.next() % span) as i64),
        }
    }

    pub fn index(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// A row of `n` integers in `-limit - below..=limit`, in one of the shapes that kernels stumble over.
    pub fn row(&mut self, n: usize, limit: i64, below: i64) -> Vec<i64> {
        let low = -limit - below;
        let shape = self.index(9);
        let mut row: Vec<i64> = (0..n)
            .map(|i| match shape {
                0 => limit,
                1 => low,
                2 if i % 2 == 0 => limit,
                2 => low,
                3 => 0,
                4 => self.pick(&[limit, low, 0, 1, -1, limit - 1, low + 1]),
                5 => self.range(low / 1000, limit / 1000),
                // Every magnitude alike.
                6 => self.range(low, limit) >> self.index(62),
                _ => self.range(low, limit),
            })
            .collect();
        if shape == 8 && n > 0 {
            // One outlier over a quiet row.
            row.iter_mut().for_each(|v| *v >>= 12);
            let at = self.index(n);
            row[at] = self.pick(&[limit, low]);
        }
        row
    }

    pub fn i8s(&mut self, n: usize) -> Vec<i8> {
        self.row(n, 127, 1).into_iter().map(|v| v as i8).collect()
    }

    /// A15.
    pub fn a15s(&mut self, n: usize) -> Vec<i16> {
        self.row(n, 1 << 14, 0).into_iter().map(|v| v as i16).collect()
    }

    /// Of a K or V cache.
    pub fn i16s(&mut self, n: usize) -> Vec<i16> {
        self.row(n, 32767, 0).into_iter().map(|v| v as i16).collect()
    }

    pub fn i32s(&mut self, n: usize) -> Vec<i32> {
        self.row(n, i64::from(i32::MAX), 1).into_iter().map(|v| v as i32).collect()
    }

    /// A length: mostly around the widths of vectors and tiles.
    pub fn length(&mut self, max: usize) -> usize {
        let n = match self.index(3) {
            0 => 1 + self.index(20),
            1 => (8 << self.index(6)) + self.index(3) - 1,
            _ => 1 + self.index(max),
        };
        n.min(max)
    }
}
