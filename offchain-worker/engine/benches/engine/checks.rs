//! What verification costs, and that all ways of computing agree.

use std::{
    hint::black_box,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use assay_engine::{
    generate::{generate, Generation, Request},
    kernels::Backend,
    package::Package,
    stage::{replay, Control, Setup, StageSpec},
    Sampling,
};
use assay_exact::{
    commit::{row_leaf, tail_leaf, KV_BLOCK},
    hash::Blake2b,
    merkle::{leaf_hash, ListBuilder},
};

use super::{
    shape::{Error, Shape},
    stats::median,
};

fn request(shape: &Shape, prompt: usize, max_new: usize, stages: u32) -> Request {
    Request { prompt: shape.prompt(prompt).into(), max_new: max_new as u32, sampling: Sampling::GREEDY, stages }
}

fn run(package: &Arc<Package>, request: &Request, setup: &Setup) -> Result<Generation, Error> {
    Ok(generate(package, request, setup, &mut Control::default(), |_| ControlFlow::Continue(()))?)
}

/// Seconds per token of hashing all that one stage over the whole model commits to: its id, the last layer's
/// tail, and the keys and values of every layer.
pub fn commitment_time(shape: &Shape) -> f64 {
    const TOKENS: usize = 64;
    let h = vec![1i32; shape.hidden];
    let down = vec![1i16; shape.intermediate];
    let block = vec![1u8; KV_BLOCK * 2 * shape.head_dim() * 2];
    let times: Vec<f64> = (0..9)
        .map(|_| {
            let mut list = ListBuilder::<Blake2b>::new();
            let begin = Instant::now();
            for token in 0..TOKENS {
                list.push_hash(row_leaf::<Blake2b>(&h[..1]));
                list.push_hash(tail_leaf::<Blake2b>(black_box(&h), [(&down[..], 0)]));
                if token % KV_BLOCK == 0 {
                    for _ in 0..shape.layers * shape.kv_heads {
                        list.push_hash(leaf_hash::<Blake2b>(&[black_box(&block)]));
                    }
                }
            }
            black_box(list.root());
            begin.elapsed().as_secs_f64() / TOKENS as f64
        })
        .collect();
    median(&times).unwrap_or_default()
}

/// Generates, then re-executes the transcript as a checker does. Returns the two times; an error if the
/// commitments differ.
pub fn recheck(
    shape: &Shape,
    package: &Arc<Package>,
    setup: &Setup,
    prompt: usize,
    new: usize,
) -> Result<(Duration, Duration), Error> {
    let request = request(shape, prompt, new, 1);
    let generation = run(package, &request, setup)?;
    let spec = StageSpec {
        first: 0,
        end: shape.layers as u32,
        prompt: Arc::clone(&request.prompt),
        max_new: request.max_new,
        sampling: request.sampling,
    };
    let begin = Instant::now();
    let replay = replay(package, spec, &generation.ids, None, setup, &mut Control::default())?;
    let checked = begin.elapsed();
    if generation.commits != [replay.commit] || replay.divergence.is_some() {
        return Err("the replay of an honest generation does not give its commitment".into());
    }
    Ok((generation.prefill + generation.decode, checked))
}

/// Generates on every backend, with several numbers of threads and stages, and compares ids and commitments.
/// Returns how many runs agreed, of how many.
pub fn agreement(shape: &Shape, package: &Arc<Package>) -> Result<(usize, usize), Error> {
    let (mut same, mut all) = (0, 0);
    for stages in [1, 2, 4] {
        let request = request(shape, 40, 24, stages);
        let expected = run(package, &request, &Setup::new(Backend::Scalar, 1))?;
        for backend in Backend::available() {
            for threads in [1, 2, 3] {
                let found = run(package, &request, &Setup::new(backend, threads))?;
                all += 1;
                same += usize::from(found.ids == expected.ids && found.commits == expected.commits);
            }
        }
    }
    Ok((same, all))
}
