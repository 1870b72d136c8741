//! One stage of a ring, as a state machine without input or output: rows go in, pieces of work, rows and handoffs come out.
//!
//! Positions are the only truth. Every boundary is a list that grows by position; what arrives twice is ignored, what leaves a
//! gap is asked for again, so lost, repeated and late messages, and a restart of either neighbour, all heal in the same way.

use crate::engine::{LocalModel, Rows, Stage, StageSpec};
use assay_exact::{hash::Blake2b, merkle::ListBuilder};
use assay_primitives::{Output, StageRef, WorkerSignature};
use polkadot_sdk::sp_core::H256;
use std::collections::BTreeMap;

/// Rows between two signed handoffs (protocol section 1).
pub const HANDOFF_EVERY: u32 = 32;
/// Most positions computed, and sent, in one piece.
pub const CHUNK_POSITIONS: usize = 128;
/// Most bytes of rows in one piece: far below the limit of a message, so that stages overlap.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// How many rows of this width go into one piece.
pub fn chunk_rows(width: Option<u32>) -> usize {
    let bytes = width.unwrap_or(1).max(1) as usize * 4;
    (CHUNK_BYTES / bytes).clamp(1, CHUNK_POSITIONS)
}

/// Rows in messages of a good size, each with the number of its first row, from row `from` on.
pub fn pieces(rows: &Rows, from: usize) -> impl Iterator<Item = (usize, Rows)> + '_ {
    let step = chunk_rows(rows.width());
    (from..rows.len()).step_by(step).map(move |start| (start, rows.slice(start, start + step)))
}

/// Rows of one boundary, with their running root.
pub struct Boundary {
    rows: Rows,
    list: ListBuilder<Blake2b>,
    roots: BTreeMap<u32, H256>,
}

impl Boundary {
    /// No rows yet.
    pub fn new(rows: Rows) -> Self {
        let mut boundary = Self { rows: rows.slice(0, 0), list: ListBuilder::new(), roots: BTreeMap::new() };
        let _ = boundary.append(&rows);
        boundary
    }

    /// Number of rows.
    pub fn len(&self) -> u32 {
        self.list.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Root of all rows so far.
    pub fn root(&self) -> H256 {
        H256(self.list.root())
    }

    /// Root of the first `n` rows, where it is known: at the end and at every multiple of [`HANDOFF_EVERY`].
    pub fn root_at(&self, n: u32) -> Option<H256> {
        match n == self.len() {
            true => Some(self.root()),
            false => self.roots.get(&n).copied(),
        }
    }

    /// Appends rows; false if they are of another kind.
    #[must_use]
    pub fn append(&mut self, more: &Rows) -> bool {
        if !self.rows.append(more) {
            return false;
        }
        let (list, roots) = (&mut self.list, &mut self.roots);
        more.leaves(|leaf| {
            list.push_hash(leaf);
            if list.len() % u64::from(HANDOFF_EVERY) == 0 {
                roots.insert(list.len() as u32, H256(list.root()));
            }
        });
        true
    }
}

/// The upstream's signature over rows; verified against its worker key before it gets here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHandoff {
    /// Rows covered.
    pub n_rows: u32,
    /// Their root.
    pub root: H256,
    /// No more follow.
    pub last: bool,
    /// The signature.
    pub signature: WorkerSignature,
}

/// What became of rows that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// They continue the boundary.
    New,
    /// All known already.
    Known,
    /// Rows before them are missing, from this position on.
    Gap(u32),
    /// No honest upstream sends this.
    Wrong(&'static str),
}

/// A piece of work for the engine.
pub struct Work {
    /// The engine's state, given back by [`StageRun::computed`].
    pub engine: Box<dyn Stage>,
    /// What to compute.
    pub input: Rows,
    /// Whether the ring waits for it, token by token.
    pub decode: bool,
}

/// What a step brought about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Produced {
    /// Rows for the next stage with the position of the first.
    pub rows: Option<(u32, Rows)>,
    /// Ids that the last stage drew.
    pub drawn: Vec<u32>,
}

/// A handoff that is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandoffDue {
    /// Rows covered.
    pub n_rows: u32,
    /// Their root.
    pub root: H256,
    /// No more follow.
    pub last: bool,
}

/// See the module.
pub struct StageRun {
    at: StageRef,
    stages: u8,
    spec: StageSpec,
    model: LocalModel,
    input: Boundary,
    output: Boundary,
    engine: Option<Box<dyn Stage>>,
    /// Positions given to the engine.
    fed: u32,
    /// Positions to compute in all, once known.
    total: Option<u32>,
    /// Handoffs of upstream that are ahead of its rows, by rows covered.
    ahead: BTreeMap<u32, SignedHandoff>,
    /// Upstream's final handoff, equal to what was received.
    upstream: Option<SignedHandoff>,
    /// Newest handoff that was given out to be signed.
    handed: Option<HandoffDue>,
    /// Upstream signed something else than it sent, or sends something else than before: nothing more can come of this attempt.
    broken: Option<&'static str>,
}

impl StageRun {
    /// Begins stage `at` of a ring of `stages`.
    pub fn new(at: StageRef, stages: u8, spec: StageSpec, model: LocalModel, engine: Box<dyn Stage>) -> Self {
        let (first, last) = (at.stage == 0, at.stage + 1 == stages);
        let ids = || Boundary::new(Rows::Ids(spec.prompt.to_vec()));
        let hidden = || Boundary::new(Rows::empty(Some(model.width)));
        let input = if first { ids() } else { hidden() };
        let output = match (last, spec.embeds()) {
            (true, false) => ids(),
            (true, true) => Boundary::new(Rows::Vector(Vec::new())),
            (false, _) => hidden(),
        };
        // Nothing is generated that would tell it only later.
        let total = spec.embeds().then_some(spec.prompt.len() as u32);
        Self {
            at,
            stages,
            spec,
            model,
            input,
            output,
            engine: Some(engine),
            fed: 0,
            total,
            ahead: BTreeMap::new(),
            upstream: None,
            handed: None,
            broken: None,
        }
    }

    /// Which stage.
    pub fn at(&self) -> StageRef {
        self.at
    }

    /// What it computes.
    pub fn spec(&self) -> &StageSpec {
        &self.spec
    }

    /// What it received.
    pub fn input(&self) -> &Boundary {
        &self.input
    }

    /// What it produced.
    pub fn output(&self) -> &Boundary {
        &self.output
    }

    /// Whether the ids go in here.
    pub fn is_first(&self) -> bool {
        self.at.stage == 0
    }

    /// Whether the ids are drawn here.
    pub fn is_last(&self) -> bool {
        self.at.stage + 1 == self.stages
    }

    /// A ring of one: its own upstream, nothing to hand off.
    pub fn is_alone(&self) -> bool {
        self.stages == 1
    }

    /// Whether another stage feeds it: all do of a ring, but an embedding's stages are a line from the input to the vector.
    pub fn is_fed(&self) -> bool {
        !(self.is_alone() || self.spec.embeds() && self.is_first())
    }

    /// Whether it feeds another stage.
    pub fn feeds(&self) -> bool {
        !(self.is_alone() || self.spec.embeds() && self.is_last())
    }

    /// The stage before it around the ring.
    pub fn upstream_of(&self) -> StageRef {
        StageRef { stage: (self.at.stage + self.stages - 1) % self.stages, ..self.at }
    }

    /// The stage after it around the ring.
    pub fn downstream_of(&self) -> StageRef {
        StageRef { stage: (self.at.stage + 1) % self.stages, ..self.at }
    }

    /// Why the attempt can no longer succeed here, if so.
    pub fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    /// Ends the attempt here.
    pub fn give_up(&mut self, reason: &'static str) {
        self.broken.get_or_insert(reason);
    }

    /// Upstream's final handoff, once it fits.
    pub fn final_handoff(&self) -> Option<&SignedHandoff> {
        self.upstream.as_ref()
    }

    /// First position that upstream has yet to deliver; none if nothing is missing.
    pub fn missing(&self) -> Option<u32> {
        let complete = self.total.is_some_and(|n| match self.is_first() {
            true => self.input.len() > n,
            false => self.input.len() >= n,
        });
        (self.is_fed() && self.broken.is_none() && !(complete && self.upstream.is_some())).then(|| self.input.len())
    }

    /// Whether it waits for its upstream and has nothing to do meanwhile.
    pub fn is_starved(&self) -> bool {
        self.engine.is_some() && self.missing().is_some() && !self.has_work()
    }

    /// Rows from upstream.
    pub fn accept(&mut self, start: u32, rows: &Rows) -> Accepted {
        let have = self.input.len();
        if !self.is_fed() {
            return Accepted::Wrong("rows for a stage that no other feeds");
        }
        if rows.width() != self.input.rows().width() {
            return Accepted::Wrong("rows of another kind or width");
        }
        let end = start.saturating_add(rows.len() as u32);
        if end <= have {
            return Accepted::Known;
        }
        if start > have {
            return Accepted::Gap(have);
        }
        let fresh = rows.slice((have - start) as usize, rows.len());
        if let Some(reason) = self.refuse(&fresh) {
            return Accepted::Wrong(reason);
        }
        if !self.input.append(&fresh) {
            return Accepted::Wrong("rows of another kind or width");
        }
        self.note_end();
        self.settle_handoffs();
        Accepted::New
    }

    /// Why an honest upstream cannot send these rows after those it sent.
    fn refuse(&self, fresh: &Rows) -> Option<&'static str> {
        let most = self.spec.prompt.len() + self.spec.max_new() as usize;
        match (fresh, self.input.rows()) {
            (Rows::Ids(ids), Rows::Ids(known)) => {
                if ids.iter().any(|id| *id >= self.model.vocab) {
                    return Some("an id outside of the vocabulary");
                }
                // Nothing follows the id that ends generation.
                let (t_in, max_new) = (self.spec.prompt.len(), self.spec.max_new());
                let mut ended = self.model.is_complete(known, t_in, max_new);
                for (i, id) in ids.iter().enumerate() {
                    if ended {
                        return Some("ids after the end of generation");
                    }
                    ended = self.model.ends(known.len() + i + 1 - t_in, *id, max_new);
                }
                None
            }
            // What came behind the last position would be committed to as received, and never be computed.
            _ if self.end().is_some_and(|end| self.input.len() + fresh.len() as u32 > end) => {
                Some("rows after the last position")
            }
            _ if self.spec.embeds() => None,
            _ => (self.input.len() as usize + fresh.len() >= most).then_some("more rows than the job has positions"),
        }
    }

    /// Where upstream's rows end, once the ids or its final handoff tell it.
    fn end(&self) -> Option<u32> {
        self.total.or_else(|| self.ahead.values().find(|handoff| handoff.last).map(|handoff| handoff.n_rows))
    }

    /// A handoff from upstream.
    pub fn accept_handoff(&mut self, handoff: SignedHandoff) {
        if !self.is_fed() || self.upstream.is_some() {
            return;
        }
        // Only the newest few can matter: the final one, and the next to be reached.
        if self.ahead.len() < 128 {
            match self.ahead.get(&handoff.n_rows) {
                Some(known) if known.last => {}
                _ => {
                    self.ahead.insert(handoff.n_rows, handoff);
                }
            }
        }
        self.settle_handoffs();
    }

    /// Compares the handoffs that are covered by received rows with them.
    fn settle_handoffs(&mut self) {
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > self.input.len() {
                return;
            }
            let handoff = entry.remove();
            // Not at a multiple that was kept: a handoff in between proves nothing that the final one does not.
            let Some(root) = self.input.root_at(handoff.n_rows) else { continue };
            if root != handoff.root {
                self.broken = Some("upstream signed another root than that of the rows it sent");
                return;
            }
            if !handoff.last || handoff.n_rows != self.input.len() {
                continue;
            }
            // Only the ids that it draws tell the last stage where generation ends, and the newest may have reached the others
            // before it is noted here: it leaves from the inference thread. Draw first, then judge.
            let drawing = self.fed < handoff.n_rows || self.engine.is_none();
            if self.total.is_none() && self.is_last() && drawing {
                self.ahead.insert(handoff.n_rows, handoff);
                return;
            }
            if !self.is_first() && !self.is_last() && !self.spec.embeds() {
                self.total = Some(handoff.n_rows);
            }
            match self.ends_at(handoff.n_rows) {
                true => self.upstream = Some(handoff),
                false => {
                    self.broken = Some("upstream's final handoff is over another number of rows than was computed")
                }
            }
            return;
        }
    }

    /// Whether the input ends with this many rows, as far as this stage can know.
    fn ends_at(&self, n: u32) -> bool {
        let t_in = self.spec.prompt.len() as u32;
        match self.total {
            Some(total) if self.spec.embeds() => n == total,
            Some(total) if self.is_first() => n == total + 1,
            Some(total) => n == total && (t_in..t_in + self.spec.max_new()).contains(&n),
            // Every row is computed and no end was drawn: it comes too early.
            None => false,
        }
    }

    /// Notes the number of positions where the ids tell it.
    fn note_end(&mut self) {
        let ids = match (self.input.rows(), self.output.rows()) {
            (Rows::Ids(ids), _) if self.is_first() => ids,
            (_, Rows::Ids(ids)) if self.is_last() => ids,
            _ => return,
        };
        if !self.spec.embeds() && self.model.is_complete(ids, self.spec.prompt.len(), self.spec.max_new()) {
            self.total = Some(ids.len() as u32 - 1);
        }
    }

    /// End of the positions that can be computed now.
    fn available(&self) -> u32 {
        if self.spec.embeds() {
            // Every position sees every other one: all of them, or none.
            return self.total.filter(|total| self.input.len() >= *total).unwrap_or(self.fed);
        }
        let given = match self.is_last() {
            // Each draw decides the next position's id: also when a restarted stage is given all its rows again at once.
            true => self.input.len().min(self.output.len()),
            false => self.input.len(),
        };
        self.total.map_or(given, |total| given.min(total))
    }

    fn has_work(&self) -> bool {
        self.fed < self.available()
    }

    /// The next piece of work, if there is one and the engine is free.
    pub fn next_work(&mut self) -> Option<Work> {
        if self.broken.is_some() || !self.has_work() {
            return None;
        }
        let engine = self.engine.take()?;
        let from = self.fed as usize;
        let width = self.model.width;
        let to = match self.spec.embeds() {
            true => self.available() as usize,
            false => (self.available() as usize).min(from + chunk_rows(Some(width))),
        };
        self.fed = to as u32;
        let decode = to >= self.spec.prompt.len() && !self.spec.embeds();
        Some(Work { engine, input: self.input.rows().slice(from, to), decode })
    }

    /// The engine's answer to the last piece. Fails if it is not what that piece can give.
    pub fn computed(&mut self, engine: Box<dyn Stage>, out: Rows) -> Result<Produced, &'static str> {
        self.engine = Some(engine);
        if !self.is_last() {
            let start = self.output.len();
            if start + out.len() as u32 != self.fed || !self.output.append(&out) {
                return Err("the engine returned another number or kind of rows than it was given");
            }
            return Ok(Produced { rows: Some((start, out)), drawn: Vec::new() });
        }
        if self.spec.embeds() {
            let fits = matches!(&out, Rows::Vector(v) if v.len() == self.model.width as usize);
            if !fits || !self.output.append(&out) {
                return Err("the engine's last stage returned no vector of the model's width");
            }
            return Ok(Produced::default());
        }
        let Rows::Ids(drawn) = out else { return Err("the engine's last stage returned no ids") };
        let t_in = self.spec.prompt.len() as u32;
        let expected = (self.fed + 1).saturating_sub(t_in.max(self.output.len()));
        if drawn.len() as u32 != expected {
            return Err("the engine drew another number of ids than the positions it was given");
        }
        if drawn.is_empty() {
            return Ok(Produced::default());
        }
        let start = self.output.len();
        let rows = Rows::Ids(drawn.clone());
        if !self.output.append(&rows) || (self.is_alone() && !self.input.append(&rows)) {
            return Err("the engine's last stage returned no ids");
        }
        self.note_end();
        self.settle_handoffs();
        Ok(Produced { rows: (!self.is_alone()).then_some((start, rows)), drawn })
    }

    /// Whether all output is there.
    pub fn is_complete(&self) -> bool {
        self.output_complete()
    }

    fn output_complete(&self) -> bool {
        self.total.is_some_and(|n| match (self.is_last(), self.spec.embeds()) {
            (true, true) => self.output.len() == 1,
            (true, false) => self.output.len() == n + 1,
            (false, _) => self.output.len() == n,
        })
    }

    /// The handoff that is now due to be signed, if one is: over the newest multiple of [`HANDOFF_EVERY`], or the final one.
    pub fn handoff_due(&mut self) -> Option<HandoffDue> {
        if !self.feeds() || self.broken.is_some() {
            return None;
        }
        let last = self.output_complete();
        let n_rows = match last {
            true => self.output.len(),
            false => self.output.len() / HANDOFF_EVERY * HANDOFF_EVERY,
        };
        let begun = if self.is_last() { self.spec.prompt.len() as u32 } else { 0 };
        if n_rows <= begun || self.handed.is_some_and(|h| h.n_rows >= n_rows && (h.last || !last)) {
            return None;
        }
        let due = HandoffDue { n_rows, root: self.output.root_at(n_rows)?, last };
        self.handed = Some(due);
        Some(due)
    }

    /// Rows from position `from` on, in pieces, for a neighbour that missed them.
    pub fn replay_output(&self, from: u32) -> impl Iterator<Item = (u32, Rows)> + '_ {
        let rows = self.output.rows();
        pieces(rows, from as usize).map(|(start, piece)| (start as u32, piece))
    }

    /// The answer, once it is complete: of the last stage.
    pub fn answer(&self) -> Option<Output> {
        match self.output.rows() {
            _ if !self.is_last() || !self.output_complete() => None,
            Rows::Vector(v) => v.clone().try_into().ok().map(Output::Vector),
            _ => self.generated().to_vec().try_into().ok().map(Output::Ids),
        }
    }

    /// Whether upstream delivered more than the engine was given.
    pub fn is_overfed(&self) -> bool {
        // The last id is received by the first stage, and never computed.
        self.input.len() > self.fed + u32::from(self.is_first())
    }

    /// The engine's state, once everything is computed and the upstream's final handoff is there: only then can the stage
    /// commit.
    pub fn take_finished(&mut self) -> Option<Box<dyn Stage>> {
        let computed = self.total.is_some_and(|n| self.fed == n) && self.output_complete();
        if computed && self.broken.is_none() && (!self.is_fed() || self.upstream.is_some()) {
            return self.engine.take();
        }
        None
    }

    /// All T ids, where this stage knows them.
    pub fn ids(&self) -> &[u32] {
        match (self.input.rows(), self.output.rows()) {
            (Rows::Ids(ids), _) if self.is_first() => ids,
            (_, Rows::Ids(ids)) if self.is_last() => ids,
            _ => &[],
        }
    }

    /// The generated ids, in the first and last stage.
    pub fn generated(&self) -> &[u32] {
        self.ids().get(self.spec.prompt.len()..).unwrap_or(&[])
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
