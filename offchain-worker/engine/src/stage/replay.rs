//! A checker's re-execution of a stage: one prefill over the whole transcript.

use std::sync::Arc;

use super::{transcript::end_at, Control, Progress, Setup, Stage, StageCommit, StageInput, StageSpec};
use crate::{package::Package, EngineError};

/// The result of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// What this stage commits to, given this input. In a last stage `out_root` is over the prompt and the ids
    /// drawn here, up to the first that ends the generation; if none does, the transcript ended too early, no
    /// honest stage has this output, and `out_root` is that of the empty list. So the commitment differs from the
    /// executor's whenever `divergence` is `Some`.
    pub commit: StageCommit,
    /// The first point at which the transcript is not one that an honest ring produces. Only the last stage
    /// can be blamed for it: it draws the ids, and ends the generation.
    pub divergence: Option<Divergence>,
}

/// A transcript that the model does not generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// Another id is drawn at a position.
    Draw {
        /// The position of the id.
        position: u32,
        /// The id that is drawn.
        expected: u32,
        /// The id of the transcript.
        found: u32,
    },
    /// The transcript goes on after an eos id.
    PastEnd {
        /// The position of the eos id.
        position: u32,
    },
    /// The transcript ends before an eos id and before `max_new`.
    EarlyEnd {
        /// The position of its last id.
        position: u32,
    },
}

/// Re-executes a stage over a finished transcript x_0..x_{T-1} in one prefill of its N = T - 1 positions.
///
/// `rows` are the boundary rows `[N, d]` for any stage but the first, which takes `None`: it reads the ids. The
/// last stage draws anew at every generated position. The caller compares the roots: `commit.in_root` first,
/// because rows that do not hash to the public root prove nothing about the executor.
///
/// # Errors
/// As [`Stage::open`]; a transcript that does not begin with the prompt or has an impossible length or id;
/// rows of another shape; cancellation.
pub fn replay(
    package: &Arc<Package>,
    spec: StageSpec,
    transcript: &[u32],
    rows: Option<&[i32]>,
    setup: &Setup,
    control: &mut Control<'_>,
) -> Result<Replay, EngineError> {
    let mut stage = Stage::open(package, spec, setup)?;
    check_transcript(&stage, transcript)?;
    let n = transcript.len() - 1;
    let d = stage.header().d as usize;
    let input = match (stage.is_first(), rows) {
        (true, None) => StageInput::Ids(&transcript[..n]),
        (false, Some(rows)) if rows.len() == n * d => StageInput::Rows(rows),
        (false, Some(rows)) if rows.len() % d == 0 => {
            return Err(EngineError::RowCount { expected: n, found: rows.len() / d })
        }
        (false, Some(rows)) => return Err(EngineError::RowWidth { width: d, found: rows.len() }),
        (true, Some(_)) => return Err(EngineError::InputKind { expected: "token ids", found: "boundary rows" }),
        (false, None) => return Err(EngineError::InputKind { expected: "boundary rows", found: "token ids" }),
    };

    let t_in = stage.spec().prompt.len();
    let mut draw_mismatch = None;
    stage.for_each_chunk(input, control, |stage, control, from, chunk, scratch| {
        if stage.is_last() {
            // The rows before the last prompt position draw nothing.
            let skipped = (t_in - 1).saturating_sub(from).min(chunk);
            let ids = stage.draw_after(scratch, skipped..chunk, (from + skipped) as u32);
            stage.append_until_end(&ids);
            draw_mismatch = draw_mismatch.or_else(|| {
                let positions = from + skipped + 1..;
                let (position, (expected, found)) = positions
                    .clone()
                    .zip(ids.into_iter().zip(transcript[positions.start..].iter().copied()))
                    .find(|(_, (drawn, found))| drawn != found)?;
                Some(Divergence::Draw { position: position as u32, expected, found })
            });
        }
        control.report(Progress { positions: (from + chunk) as u32, of: n as u32 });
    })?;
    if stage.is_first() {
        // The last id is part of the transcript but is never fed.
        stage.commitments.push_in_ids(&transcript[n..]);
    }
    if stage.is_last() && stage.transcript.end().is_none() {
        stage.commitments.clear_output();
    }
    let shape = shape_divergence(&stage, transcript);
    // The earlier of the two; at one position the draw.
    let divergence = match (draw_mismatch, shape) {
        (Some(draw), Some(shape)) if shape.position() < draw.position() => Some(shape),
        (Some(draw), _) => Some(draw),
        (None, shape) => shape,
    };
    Ok(Replay { commit: stage.commit(), divergence })
}

impl Divergence {
    /// The position of the id that diverges.
    pub const fn position(&self) -> u32 {
        match self {
            Self::Draw { position, .. } | Self::PastEnd { position } | Self::EarlyEnd { position } => *position,
        }
    }
}

fn check_transcript(stage: &Stage, transcript: &[u32]) -> Result<(), EngineError> {
    let spec = stage.spec();
    let t_in = u64::from(spec.t_in());
    let (min, max) = (t_in + 1, t_in + u64::from(spec.max_new));
    if !(min..=max).contains(&(transcript.len() as u64)) {
        return Err(EngineError::TranscriptLength { min, max, found: transcript.len() });
    }
    let vocab = stage.header().vocab;
    for (position, id) in (0u32..).zip(transcript) {
        if *id >= vocab {
            return Err(EngineError::TokenId { position: position.into(), id: *id, vocab });
        }
        match spec.prompt.get(position as usize) {
            Some(expected) if expected != id => {
                return Err(EngineError::Transcript { position, expected: *expected, found: *id })
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the transcript ends where a generation ends, and only there.
fn shape_divergence(stage: &Stage, transcript: &[u32]) -> Option<Divergence> {
    let (spec, eos) = (stage.spec(), &stage.header().eos);
    let last = transcript.len() - 1;
    (spec.prompt.len()..=last).find_map(|i| {
        let ends = end_at(eos, spec.prompt.len(), spec.max_new, i, transcript[i]).is_some();
        match (ends, i == last) {
            (true, false) => Some(Divergence::PastEnd { position: i as u32 }),
            (false, true) => Some(Divergence::EarlyEnd { position: i as u32 }),
            _ => None,
        }
    })
}
