use assay_engine::kernels::{Kernels, LinearRows, RowsMut, Scalar, Threads, A15};
use assay_exact::linear::Planes;

use crate::{assert_same, cases::Rng, for_each_backend, repeat};

struct Case {
    inputs: usize,
    rows: usize,
    w: Vec<i8>,
    second: Option<Vec<i8>>,
    scales: Vec<u32>,
    bias: Option<Vec<i32>>,
    q: Vec<i16>,
    exponents: Vec<i32>,
    f_out: i32,
}

impl Case {
    fn new(rng: &mut Rng, inputs: usize, rows: usize, tokens: usize) -> Self {
        let scales = (0..rows)
            .map(|_| {
                let m = rng.pick(&[0, 1, 1 << 23, (1 << 24) - 1, 12_345_678]) as u32;
                m | (rng.range(0, 255) as u32) << 24
            })
            .collect();
        // Half of the cases have the shifts of real packages, the others any.
        let real = rng.coin();
        let scales: Vec<u32> = match real {
            true => (0..rows).map(|_| rng.range(1 << 23, (1 << 24) - 1) as u32 | 30 << 24).collect(),
            false => scales,
        };
        let exponents = match real {
            true => (0..tokens).map(|_| rng.range(-30, -10) as i32).collect(),
            false => (0..tokens).map(|_| rng.range(-120, 300) as i32).collect(),
        };
        let w = match rng.index(4) {
            // Rows of different shapes beside each other.
            0 => (0..rows).flat_map(|_| rng.i8s(inputs)).collect(),
            _ => rng.i8s(rows * inputs),
        };
        Self {
            inputs,
            rows,
            w,
            second: (rng.coin()).then(|| rng.i8s(rows * inputs)),
            scales,
            bias: (rng.coin()).then(|| rng.i32s(rows)),
            q: (0..tokens).flat_map(|_| rng.a15s(inputs)).collect(),
            exponents,
            f_out: rng.range(-64, 64) as i32,
        }
    }

    fn part(&self) -> LinearRows<'_> {
        let w = Planes { first: &self.w, second: self.second.as_deref() };
        LinearRows { w, scales: &self.scales, bias: self.bias.as_deref(), inputs: self.inputs }
    }

    fn x(&self) -> A15<'_> {
        A15 { q: &self.q, exponents: &self.exponents }
    }

    fn shape(&self) -> String {
        format!("{} tokens, {} rows, {} in-features", self.exponents.len(), self.rows, self.inputs)
    }

    fn run(&self, kernels: &dyn Kernels) -> Vec<i32> {
        let mut y = vec![0x5a5a_5a5a; self.exponents.len() * self.rows];
        kernels.linear(self.part(), self.x(), self.f_out, &mut RowsMut::new(&mut y, self.rows));
        y
    }
}

#[test]
fn linear_random_and_extreme_inputs_equals_scalar() {
    for_each_backend(|kernels| {
        repeat(|seed| {
            let rng = &mut Rng::new(seed);
            let (inputs, rows, tokens) = (rng.length(700), 1 + rng.index(60), rng.length(40));
            let case = Case::new(rng, inputs, rows, tokens);
            assert_same(&case.run(&Scalar), &case.run(kernels), || {
                format!("{}, seed {seed}, {}", kernels.backend(), case.shape())
            });
            tokens * rows
        });
    });
}

/// Lengths at which a lane of i32 would hold its last product, for each width of vector, and the longest.
#[test]
fn linear_long_rows_equals_scalar() {
    const LENGTHS: [usize; 14] =
        [1021, 1022, 1023, 1024, 1025, 2047, 8175, 8176, 8177, 16_353, 32_767, 65_521, 65_535, 65_536];
    for_each_backend(|kernels| {
        for inputs in LENGTHS {
            for (tokens, planes) in [1, 2, 5, 17].into_iter().flat_map(|tokens| [(tokens, 1), (tokens, 2)]) {
                for (w, q) in [(-128, -(1 << 14)), (-128, 1 << 14), (127, 1 << 14), (127, -127)] {
                    let rng = &mut Rng::new(inputs as u64);
                    let mut case = Case::new(rng, inputs, 3, tokens);
                    case.second = (planes == 2).then(|| vec![0; case.w.len()]);
                    case.w.fill(w);
                    if let Some(second) = &mut case.second {
                        second.fill(w);
                    }
                    case.q.fill(q);
                    // The whole sum shows in the output: m = 1 with a shift of 6. The other rows: the largest product
                    // under the last shifts that a vector has.
                    case.scales = vec![1 | 6 << 24, 0x00ff_ffff | 62 << 24, 0x00ff_ffff | 63 << 24];
                    case.exponents.fill(0);
                    case.f_out = 0;
                    case.bias = None;
                    assert_same(&case.run(&Scalar), &case.run(kernels), || {
                        format!("{}, w {w}, q {q}, {}", kernels.backend(), case.shape())
                    });
                }
            }
        }
    });
}

#[test]
fn linear_into_a_part_of_a_matrix_leaves_the_rest_alone() {
    for_each_backend(|kernels| {
        for tokens in [1, 3, 16, 33] {
            let rng = &mut Rng::new(tokens as u64);
            let case = Case::new(rng, 100, 21, tokens);
            let columns = 40;
            let mut y = vec![-7; tokens * columns];
            let (_, right) = RowsMut::new(&mut y, columns).split_columns(10);
            let (mut middle, _) = right.split_columns(21);
            kernels.linear(case.part(), case.x(), case.f_out, &mut middle);
            let expected = case.run(&Scalar);
            for (y, expected) in y.chunks(columns).zip(expected.chunks(21)) {
                assert_eq!(y[..10], [-7; 10]);
                assert_eq!(&y[10..31], expected);
                assert_eq!(y[31..], [-7; 9]);
            }
        }
    });
}

/// Tokens alone, together, and in any chunks give the same rows.
#[test]
fn linear_chunks_of_tokens_equals_all_at_once() {
    for_each_backend(|kernels| {
        let rng = &mut Rng::new(3);
        let case = Case::new(rng, 257, 45, 600);
        let expected = case.run(kernels);
        for chunk in [1, 2, 3, 7, 8, 9, 15, 16, 17, 100, 511, 512, 513] {
            let mut y = vec![0; expected.len()];
            let tokens = case.exponents.chunks(chunk).zip(case.q.chunks(chunk * case.inputs));
            for ((exponents, q), y) in tokens.zip(y.chunks_mut(chunk * case.rows)) {
                let mut y = RowsMut::new(y, case.rows);
                kernels.linear(case.part(), A15 { q, exponents }, case.f_out, &mut y);
            }
            assert_same(&expected, &y, || format!("{}, chunks of {chunk}", kernels.backend()));
        }
    });
}

#[test]
fn linear_any_number_of_threads_equals_one() {
    for_each_backend(|kernels| {
        for tokens in [1, 5, 40] {
            let rng = &mut Rng::new(tokens as u64);
            let case = Case::new(rng, 1000, 611, tokens);
            let expected = case.run(&Scalar);
            for count in 1..=5 {
                let threads = Threads::new(count).expect("a small pool");
                let mut y = vec![0; expected.len()];
                threads.install(|| threads.linear(kernels, case.part(), case.x(), case.f_out, &mut y));
                assert_same(&expected, &y, || format!("{}, {count} threads", kernels.backend()));
            }
        }
    });
}
