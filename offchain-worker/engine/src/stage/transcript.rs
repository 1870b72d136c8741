//! The ids of a job as one stage knows them.

use assay_exact::header::Header;

use super::StageSpec;

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The model's end-of-sequence id was drawn.
    Eos,
    /// `max_new` ids were drawn.
    MaxNew,
}

/// Ids in order. The last stage starts with the prompt and appends what it draws; the first stage, if it is
/// another, appends what it is fed; the stages between know none.
#[derive(Debug)]
pub(super) struct Transcript {
    ids: Vec<u32>,
    prompt: std::sync::Arc<[u32]>,
    max_new: u32,
    eos: Vec<u32>,
    draws: bool,
}

impl Transcript {
    pub fn new(header: &Header, spec: &StageSpec) -> Self {
        let draws = spec.end == header.layers;
        Self {
            ids: if draws { spec.prompt.to_vec() } else { Vec::new() },
            prompt: spec.prompt.clone(),
            max_new: spec.max_new,
            eos: header.eos.clone(),
            draws,
        }
    }

    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Ids that the first stage computes, or that end the generation. A last stage knows them already.
    pub fn feed(&mut self, ids: &[u32]) {
        if !self.draws {
            self.ids.extend_from_slice(ids);
        }
    }

    pub fn draw(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
    }

    /// The id that must stand at `position`, if this stage knows.
    pub fn known(&self, position: u32) -> Option<u32> {
        let position = position as usize;
        self.prompt.get(position).or_else(|| self.ids.get(position)).copied()
    }

    /// Position and id of the newest generated id.
    pub fn last_generated(&self) -> Option<(u32, u32)> {
        let position = self.ids.len().checked_sub(1)?;
        (position >= self.prompt.len()).then(|| (position as u32, self.ids[position]))
    }

    /// Whether and why the newest generated id ends the generation.
    pub fn end(&self) -> Option<EndReason> {
        let (position, id) = self.last_generated()?;
        self.end_at(position, id)
    }

    /// Whether the id `id`, generated at `position`, would end the generation.
    pub fn end_at(&self, position: u32, id: u32) -> Option<EndReason> {
        end_at(&self.eos, self.prompt.len(), self.max_new, position as usize, id)
    }
}

/// Whether the generated id at `position` ends the generation.
pub(super) fn end_at(eos: &[u32], t_in: usize, max_new: u32, position: usize, id: u32) -> Option<EndReason> {
    if eos.binary_search(&id).is_ok() {
        return Some(EndReason::Eos);
    }
    (position + 1 - t_in >= max_new as usize).then_some(EndReason::MaxNew)
}
