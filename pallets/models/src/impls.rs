//! Registration, and what the other pallets read.

use crate::*;
use alloc::vec::Vec;
use assay_exact::{
    header::{Field, Header, HeaderError, Kind},
    merkle, work,
};
use assay_primitives::{
    hash::HostBlake2b,
    traits::{ModelDirectory, ModelInfo, ModelKind},
    AccountId, Balance, ModelId, PerStage, Span, SpanKey, WorkUnits, MAX_VECTOR, SPEC_ID, WORK_UNIT_MACS,
};
use frame::{prelude::*, token::fungible::MutateHold};

/// The id of the package that begins with this header: `list(blob(header), entries..)`.
pub fn model_root(header: &[u8], entries: &[H256]) -> ModelId {
    let first = merkle::blob::<HostBlake2b>(header);
    let leaves = core::iter::once(first).chain(entries.iter().map(|e| e.0));
    H256(merkle::list::<HostBlake2b, _>(leaves))
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_register(
        owner: AccountId,
        name: ModelName,
        header: HeaderBytes,
        entries: EntryRoots,
        templates: Templates,
    ) -> DispatchResult {
        let id = Self::validate(&name, &header, &entries, &templates)?;
        ensure!(!Models::<T>::contains_key(id), Error::<T>::AlreadyRegistered);
        let deposit = Self::deposit_for(&name, &header, &entries, &templates);
        T::Currency::hold(&HoldReason::Model.into(), &owner, deposit)?;
        let model = Model { owner: Some(owner.clone()), deposit, name, header, templates, active: true };
        Models::<T>::insert(id, model);
        Entries::<T>::insert(id, entries);
        Self::deposit_event(Event::ModelRegistered { model: id, owner, deposit });
        Ok(())
    }

    /// A genesis state has no caller to return an error to: one that cannot be built must not come into being, so this stops it
    /// and says what to change.
    #[allow(clippy::panic)]
    pub(crate) fn register_at_genesis(i: usize, model: &GenesisModel) {
        let (id, model, entries) = match Self::genesis_model(model) {
            Ok(parts) => parts,
            Err(wrong) => panic!("models.models[{i}] {:?}: {wrong}", model.name),
        };
        Models::<T>::insert(id, model);
        Entries::<T>::insert(id, entries);
    }

    /// Fails with the field that is wrong, and what it must be.
    fn genesis_model(genesis: &GenesisModel) -> Result<(ModelId, Model, EntryRoots), alloc::string::String> {
        use alloc::{format, string::ToString};
        let name = ModelName::try_from(genesis.name.as_bytes().to_vec())
            .map_err(|_| format!("name: at most {MAX_NAME} bytes of UTF-8"))?;
        let parsed = Header::parse(&genesis.header).map_err(|e| format!("header: {e}"))?;
        let header = HeaderBytes::try_from(genesis.header.clone())
            .map_err(|_| format!("header: {} bytes, at most {MAX_HEADER}", genesis.header.len()))?;
        let entries = EntryRoots::try_from(genesis.entries.clone())
            .map_err(|_| format!("entries: {} roots, at most {MAX_ENTRIES}", genesis.entries.len()))?;
        let mut templates = Templates::default();
        for cuts in &genesis.cuts {
            let firsts = core::iter::once(0).chain(cuts.iter().copied());
            let ends = cuts.iter().copied().chain(core::iter::once(parsed.layers as u16));
            let spans: Vec<Span> = firsts.zip(ends).map(|(first, end)| Span { first, end }).collect();
            let spans = PerStage::try_from(spans)
                .map_err(|_| format!("cuts: a template of {} stages", cuts.len().saturating_add(1)))?;
            templates.try_push(spans).map_err(|_| format!("cuts: at most {MAX_TEMPLATES} templates"))?;
        }
        let id = Self::validate(&name, &header, &entries, &templates).map_err(|error| match error {
            Error::BadName => format!("name: 1 to {MAX_NAME} bytes of UTF-8"),
            Error::WrongEntryCount => {
                let wanted = parsed.entries().count().saturating_sub(1);
                format!("entries: {} roots, but the header implies {wanted} besides its own", entries.len())
            }
            Error::VectorTooWide => {
                format!("header: d: an encoder's vector has at most {MAX_VECTOR} entries on this chain")
            }
            Error::NoTemplate => "cuts: at least one template; [] is one of a single stage".to_string(),
            Error::BadTemplate => {
                format!("cuts: first layers of the later stages, ascending, each from 1 to below {}", parsed.layers)
            }
            Error::DuplicateTemplate => "cuts: two templates are the same".to_string(),
            other => format!("{other:?}"),
        })?;
        if Models::<T>::contains_key(id) {
            return Err("the same package is given twice".to_string());
        }
        Ok((id, Model { owner: None, deposit: 0, name, header, templates, active: true }, entries))
    }

    /// Checks everything about a package that the chain can check, and computes its id.
    fn validate(
        name: &ModelName,
        header: &HeaderBytes,
        entries: &EntryRoots,
        templates: &Templates,
    ) -> Result<ModelId, Error<T>> {
        ensure!(!name.is_empty() && core::str::from_utf8(name).is_ok(), Error::<T>::BadName);
        let parsed = Header::parse(header).map_err(|error| match error {
            HeaderError::OutOfRange { field: Field::SpecId, .. } => Error::<T>::UnknownSpec,
            _ => Error::<T>::BadHeader,
        })?;
        ensure!(parsed.kind == Kind::Decoder || parsed.d <= MAX_VECTOR, Error::<T>::VectorTooWide);
        // All entries of the package but the header itself.
        let wanted = parsed.entries().count().saturating_sub(1);
        ensure!(entries.len() == wanted, Error::<T>::WrongEntryCount);
        ensure!(!templates.is_empty(), Error::<T>::NoTemplate);
        for (i, template) in templates.iter().enumerate() {
            ensure!(!template.is_empty(), Error::<T>::NoTemplate);
            ensure!(tiles(template, parsed.layers), Error::<T>::BadTemplate);
            ensure!(!templates.iter().take(i).any(|t| t == template), Error::<T>::DuplicateTemplate);
        }
        Ok(model_root(header, entries))
    }

    fn deposit_for(name: &ModelName, header: &HeaderBytes, entries: &EntryRoots, templates: &Templates) -> Balance {
        let bytes = name.len().saturating_add(header.len()).saturating_add(entries.encoded_size());
        let bytes = bytes.saturating_add(templates.encoded_size());
        T::DepositBase::get().saturating_add(T::DepositPerByte::get().saturating_mul(bytes as Balance))
    }

    pub(crate) fn ensure_owner_or_admin(origin: OriginFor<T>, model: &ModelId) -> DispatchResult {
        let found = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
        let Err(origin) = T::AdminOrigin::try_origin(origin) else { return Ok(()) };
        let who = ensure_signed(origin)?;
        ensure!(found.owner == Some(who), Error::<T>::NotOwner);
        Ok(())
    }

    pub(crate) fn do_deregister(model: ModelId) -> DispatchResult {
        ensure!(Users::<T>::get(model) == 0, Error::<T>::InUse);
        let found = Models::<T>::take(model).ok_or(Error::<T>::UnknownModel)?;
        Entries::<T>::remove(model);
        if let Some(owner) = &found.owner {
            T::Currency::release(&HoldReason::Model.into(), owner, found.deposit, Precision::BestEffort)?;
        }
        Self::deposit_event(Event::ModelRemoved { model, deposit: found.deposit });
        Ok(())
    }

    pub(crate) fn do_set_active(model: ModelId, active: bool) -> DispatchResult {
        Models::<T>::try_mutate(model, |found| {
            let found = found.as_mut().ok_or(Error::<T>::UnknownModel)?;
            if found.active != active {
                found.active = active;
                Self::deposit_event(Event::ModelActivated { model, active });
            }
            Ok(())
        })
    }

    fn header(model: &ModelId) -> Option<(Model, Header)> {
        let found = Models::<T>::get(model)?;
        let header = Header::parse(&found.header).ok()?;
        Some((found, header))
    }

    pub(crate) fn info_of(model: ModelId) -> Option<ModelInfo> {
        let (found, header) = Self::header(&model)?;
        Some(ModelInfo {
            id: model,
            name: found.name.into_inner(),
            spec_id: SPEC_ID,
            vocab: header.vocab,
            context: header.context,
            layers: u16::try_from(header.layers).ok()?,
            kind: match header.kind {
                Kind::Decoder => ModelKind::Decoder,
                Kind::Encoder => ModelKind::Encoder,
            },
            width: header.d,
            eos: header.eos,
            active: found.active,
        })
    }

    /// Every model, for the runtime API: too many for a transaction.
    pub fn all() -> Vec<ModelInfo> {
        Models::<T>::iter_keys().filter_map(Self::info_of).collect()
    }

    pub(crate) fn quote(
        model: ModelId,
        template: u8,
        input_len: u32,
        new_tokens: u32,
    ) -> Option<Vec<(Span, WorkUnits)>> {
        let (found, header) = Self::header(&model)?;
        let spans = found.templates.get(usize::from(template))?;
        if input_len == 0 || input_len.checked_add(new_tokens)? > header.context {
            return None;
        }
        let positions = match (header.kind, new_tokens) {
            // The last generated id is never fed back: it takes no position.
            (Kind::Decoder, 1..) => input_len.checked_add(new_tokens.checked_sub(1)?)?,
            (Kind::Encoder, 0) => input_len,
            _ => return None,
        };
        spans.iter().map(|s| Some((*s, span_units(&header, s, 0, positions, input_len.checked_sub(1)?)?))).collect()
    }

    /// Checks the pallet's invariants.
    ///
    /// 1. Every model's id is the root of its stored header and entries, and its templates tile its layers.
    /// 2. Only registered models have entries or users.
    /// 3. Each owner's hold is exactly the sum of its models' deposits.
    #[cfg(any(feature = "try-runtime", feature = "std"))]
    pub fn do_try_state() -> Result<(), frame::deps::sp_runtime::TryRuntimeError> {
        use alloc::collections::BTreeMap;
        use frame::token::fungible::InspectHold;
        let mut deposits: BTreeMap<AccountId, Balance> = BTreeMap::new();
        for (id, model) in Models::<T>::iter() {
            let root = Self::validate(&model.name, &model.header, &Entries::<T>::get(id), &model.templates)
                .map_err(|_| "1: a stored model would not be registered")?;
            ensure!(root == id, "1: a model's id is not its root");
            match &model.owner {
                Some(owner) => {
                    let sum = deposits.entry(owner.clone()).or_default();
                    *sum = sum.saturating_add(model.deposit);
                }
                None => ensure!(model.deposit == 0, "3: a deposit without owner"),
            }
        }
        ensure!(Entries::<T>::iter_keys().all(Models::<T>::contains_key), "2: entries of an unknown model");
        for (id, users) in Users::<T>::iter() {
            ensure!(Models::<T>::contains_key(id), "2: users of an unknown model");
            ensure!(users > 0, "2: a counter of no users is stored");
        }
        for (owner, sum) in deposits {
            ensure!(
                T::Currency::balance_on_hold(&HoldReason::Model.into(), &owner) == sum,
                "3: an owner's hold is not the sum of its deposits"
            );
        }
        Ok(())
    }
}

/// Whether the spans cover `0..layers` exactly once, in order, none of them empty.
fn tiles(spans: &[Span], layers: u32) -> bool {
    let end = spans.iter().try_fold(0u16, |at, s| (s.first == at && s.end > s.first).then_some(s.end));
    end.is_some_and(|end| u32::from(end) == layers)
}

/// Work units of the positions `from..to` in a span, with the head for those from `heads_from` on, if it has one. None if it does
/// not fit.
fn span_units(header: &Header, span: &Span, from: u32, to: u32, heads_from: u32) -> Option<WorkUnits> {
    let (first, end) = (u32::from(span.first), u32::from(span.end));
    let split = match header.kind {
        Kind::Decoder => heads_from.clamp(from, to.max(from)),
        // No head; and all positions are one piece, because each sees them all.
        Kind::Encoder => to.max(from),
    };
    // One row of logits, from the definition of a job's work: the same job with one generated id and with none.
    let head = work::job_work(header, first, end, 1, 1).checked_sub(work::job_work(header, first, end, 1, 0))?;
    let without = work::span_work(header, first, end, from, split);
    let with = work::span_work(header, first, end, split, to);
    // The sums of `work` saturate: at the limit they are no longer a count.
    if without == u64::MAX || with == u64::MAX {
        return None;
    }
    let unused = head.checked_mul(u64::from(split.checked_sub(from)?))?;
    Some(without.checked_sub(unused)?.checked_add(with)?.div_ceil(WORK_UNIT_MACS))
}

impl<T: Config> ModelDirectory for Pallet<T> {
    fn info(model: ModelId) -> Option<ModelInfo> {
        Self::info_of(model)
    }

    fn template(model: ModelId, template: u8) -> Option<Vec<Span>> {
        Some(Models::<T>::get(model)?.templates.get(usize::from(template))?.to_vec())
    }

    fn has_span(key: &SpanKey) -> bool {
        Models::<T>::get(key.model).is_some_and(|m| m.templates.iter().any(|t| t.contains(&key.span)))
    }

    fn work(key: &SpanKey, from: u32, to: u32, heads_from: u32) -> Option<WorkUnits> {
        let (_, header) = Self::header(&key.model)?;
        if to > header.context || u32::from(key.span.end) > header.layers || key.span.first >= key.span.end || from > to
        {
            return None;
        }
        span_units(&header, &key.span, from, to, heads_from)
    }

    fn add_user(model: ModelId) -> DispatchResult {
        let found = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
        ensure!(found.active, Error::<T>::Inactive);
        Users::<T>::try_mutate(model, |n| {
            *n = n.checked_add(1).ok_or(ArithmeticError::Overflow)?;
            Ok(())
        })
    }

    fn remove_user(model: ModelId) {
        Users::<T>::mutate_exists(model, |n| {
            let left = n.unwrap_or_default().checked_sub(1);
            if left.is_none() {
                defensive!("a job left a model that it never joined");
            }
            *n = left.filter(|n| *n > 0);
        });
    }
}
