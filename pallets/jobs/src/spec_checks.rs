//! What can be wrong with a specification: one error for each.

use crate::{pallet::*, VersionedParams};
use alloc::vec::Vec;
use assay_primitives::{
    market::{self, StageWork},
    traits::ModelDirectory,
    JobInput, JobSpec, JobTask, Params, Span, VerificationMode, MAX_NEW_TOKENS, MAX_SEATS, MAX_STAGES, SPEC_ID,
};
use frame::prelude::*;

/// A specification that a job can be made of.
pub(crate) struct Checked {
    /// The template's spans, in order.
    pub spans: Vec<Span>,
    /// Work of each stage if every token that the job allows is generated.
    pub work: Vec<StageWork>,
}

impl<T: Config> Pallet<T> {
    /// The parameters of new jobs, with their version.
    pub(crate) fn current_params() -> Result<(u32, Params), Error<T>> {
        let version = CurrentParams::<T>::get();
        let VersionedParams { params, .. } = ParamsOf::<T>::get(version).ok_or(Error::<T>::ParamsMissing)?;
        Ok((version, params))
    }

    /// Checks everything about a specification that does not depend on who is there to serve it.
    pub(crate) fn check_spec(spec: &JobSpec) -> Result<Checked, Error<T>> {
        let info = T::Models::info(spec.model).ok_or(Error::<T>::ModelUnknown)?;
        ensure!(info.active, Error::<T>::ModelInactive);
        ensure!(info.spec_id == SPEC_ID, Error::<T>::SpecUnsupported);
        let spans = T::Models::template(spec.model, spec.template).ok_or(Error::<T>::TemplateUnknown)?;
        ensure!(!spans.is_empty() && spans.len() <= MAX_STAGES as usize, Error::<T>::TemplateUnknown);

        let JobInput::Inline(prompt) = &spec.input else { return Err(Error::<T>::BlobUnsupported) };
        ensure!(!prompt.is_empty(), Error::<T>::PromptEmpty);
        ensure!(prompt.iter().all(|id| *id < info.vocab), Error::<T>::TokenOutOfVocabulary);
        ensure!(info.kind.does(&spec.task), Error::<T>::TaskUnfit);
        if let JobTask::Generate { max_new_tokens, sampling } = &spec.task {
            ensure!(*max_new_tokens > 0, Error::<T>::NewTokensZero);
            ensure!(*max_new_tokens <= MAX_NEW_TOKENS, Error::<T>::NewTokensTooMany);
            ensure!((1..=65_536).contains(&sampling.top_p), Error::<T>::TopPOutOfRange);
        }
        ensure!(spec.positions().1 <= info.context, Error::<T>::ContextExceeded);

        match spec.mode {
            VerificationMode::None => ensure!(spec.insured == 0, Error::<T>::InsuredUnverified),
            VerificationMode::Quorum { k } => {
                ensure!(k >= 2, Error::<T>::QuorumTooSmall);
                ensure!(u32::from(k) <= MAX_SEATS, Error::<T>::QuorumTooLarge);
            }
        }
        ensure!(spec.extra_ticks <= T::MaxExtraTicks::get(), Error::<T>::ExtraTicksTooMany);

        let work = spans
            .iter()
            .map(|span| Self::stage_work(spec, *span))
            .collect::<Option<Vec<_>>>()
            .ok_or(Error::<T>::CostOverflow)?;
        Ok(Checked { spans, work })
    }

    /// Work of a stage if every token that the job allows is generated.
    pub(crate) fn stage_work(spec: &JobSpec, span: Span) -> Option<StageWork> {
        market::max_stage_work::<T::Models>(spec, span).map(|work| StageWork { max: work, prefill: work })
    }
}
