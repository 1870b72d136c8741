//! What the runtime API of inference answers, beside the pallets' own views.

use crate::{
    configs::system::RuntimeBlockWeights, Address, Runtime, RuntimeCall, Signature, SignedPayload, System, TxExtension,
    UncheckedExtrinsic,
};
use alloc::vec::Vec;
use assay_primitives::{
    api::{PreparedAnswer, ProviderView},
    AccountId, Answer, WorkerSignature, MAX_ANSWERS,
};
use codec::{Decode, Encode};
use polkadot_sdk::{
    frame_metadata_hash_extension::CheckMetadataHash,
    frame_support::dispatch::{DispatchClass, GetDispatchInfo},
    frame_system, pallet_transaction_payment,
    sp_runtime::{generic::Era, SaturatedConversion},
};

/// Blocks for which a worker's transaction lives: an answer that is not in by then has to be judged anew.
const MORTALITY: u64 = 64;

fn extension(nonce: u32, birth: u64) -> TxExtension {
    (
        frame_system::AuthorizeCall::new(),
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckMortality::from(Era::mortal(MORTALITY, birth)),
        frame_system::CheckNonce::from(nonce),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(0),
        CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    )
}

/// The payload of `call` for a worker with this nonce, born at block `birth`, or at the parent of the present block if that is
/// earlier: the hash of the present one enters the state only with its child. Another fork refuses what was signed. None if
/// `birth` is in the future or too long ago, and at genesis.
pub fn prepare(call: impl Into<RuntimeCall>, nonce: u32, birth: u64) -> Option<PreparedAnswer> {
    let present: u64 = System::block_number().saturated_into();
    if birth > present || present.saturating_sub(birth) >= MORTALITY {
        return None;
    }
    let birth = birth.min(present.checked_sub(1)?);
    let call = call.into();
    let extension = extension(nonce, birth);
    let payload = SignedPayload::new(call.clone(), extension.clone()).ok()?;
    Some(PreparedAnswer {
        payload: payload.using_encoded(|bytes| bytes.to_vec()),
        call: call.encode(),
        extension: extension.encode(),
    })
}

/// Joins what [`prepare`] gave and its signature.
pub fn assemble(worker: AccountId, prepared: PreparedAnswer, signature: WorkerSignature) -> Option<Vec<u8>> {
    let call = RuntimeCall::decode(&mut &prepared.call[..]).ok()?;
    let extension = TxExtension::decode(&mut &prepared.extension[..]).ok()?;
    Some(UncheckedExtrinsic::new_signed(call, Address::Id(worker), Signature::Sr25519(signature), extension).encode())
}

/// The call that gives as many of the first `answers` as fit into half of the largest extrinsic: the declared weight of an answer
/// holds all that it may set off, such as the end of its job, and several workers answer in one block. At least one; the worker gives the others in
/// the next block.
pub fn answer_call(mut answers: Vec<Answer>) -> Option<pallet_assay_verification::Call<Runtime>> {
    let limits = RuntimeBlockWeights::get();
    let budget = limits.get(DispatchClass::Operational).max_extrinsic.unwrap_or(limits.max_block) / 2;
    answers.truncate(MAX_ANSWERS as usize);
    loop {
        let call = pallet_assay_verification::Call::answer { answers: answers.clone().try_into().ok()? };
        if answers.len() <= 1 || call.get_dispatch_info().call_weight.all_lte(budget) {
            return (!answers.is_empty()).then_some(call);
        }
        answers.pop();
    }
}

/// Every provider.
pub fn providers() -> Vec<ProviderView> {
    pallet_assay_providers::Providers::<Runtime>::iter_keys().filter_map(crate::Providers::provider).collect()
}
