//! Every digest of the protocol, domain-separated (protocol section 1). All are BLAKE2b-256 of a tag and SCALE.

use crate::{hash::HostBlake2b, AccountId, JobHash, JobSpec, Opening, Span, WorkCtx};
use alloc::vec::Vec;
use assay_exact::commit::StageRootInput;
use codec::Encode;
use polkadot_sdk::{sp_core::H256, sp_io::hashing::blake2_256};

fn tagged(tag: &[u8], body: impl Encode) -> H256 {
    let mut bytes = Vec::with_capacity(tag.len() + body.size_hint());
    bytes.extend_from_slice(tag);
    body.encode_to(&mut bytes);
    H256(blake2_256(&bytes))
}

/// Identity of a job: `H("assay/job/v1" ‖ genesis ‖ client ‖ nonce ‖ SCALE(spec) ‖ params_version)`. `nonce` is the client's
/// own count of jobs. Never a global counter: a counter means another job in another fork.
pub fn job_hash(genesis: H256, client: &AccountId, nonce: u32, spec: &JobSpec, params_version: u32) -> JobHash {
    tagged(b"assay/job/v1", (genesis, client, nonce, spec, params_version))
}

/// A commitment: `H("assay/commit/v1" ‖ SCALE(ctx) ‖ author ‖ stage_root)`, `author` the controller. No salt: whoever
/// computed the root can open it, and a copied digest opens for nobody else.
pub fn commit(ctx: &WorkCtx, author: &AccountId, stage_root: H256) -> H256 {
    tagged(b"assay/commit/v1", (ctx, author, stage_root))
}

/// What a producer signs over the rows it handed on: `H("assay/handoff/v1" ‖ SCALE(ctx) ‖ n_rows ‖ root)`. `ctx` is the
/// producer's, as executor.
pub fn handoff(ctx: &WorkCtx, n_rows: u32, root: H256) -> H256 {
    tagged(b"assay/handoff/v1", (ctx, n_rows, root))
}

/// What the last stage signs over each streamed token: `H("assay/token/v1" ‖ SCALE(ctx) ‖ seq ‖ running root)`. The running
/// root is `ids_root` of the prompt and the `seq` ids generated so far.
pub fn token_frame(ctx: &WorkCtx, seq: u32, running_root: H256) -> H256 {
    tagged(b"assay/token/v1", (ctx, seq, running_root))
}

/// Seed of the draw of one stage's checkers: `H("assay/draw/v1" ‖ job ‖ attempt ‖ stage ‖ tranche ‖ vrf_1 ‖ .. ‖ vrf_A)`.
/// Nothing chosen after assignment enters it.
pub fn draw_seed(job: JobHash, attempt: u32, stage: u8, tranche: u8, vrfs: &[[u8; 32]]) -> H256 {
    let mut flat = Vec::with_capacity(vrfs.len() * 32);
    vrfs.iter().for_each(|v| flat.extend_from_slice(v));
    let mut bytes = b"assay/draw/v1".to_vec();
    (job, attempt, stage, tranche).encode_to(&mut bytes);
    bytes.extend_from_slice(&flat);
    H256(blake2_256(&bytes))
}

/// `list(x_0..x_{T-1})` over the prompt's ids and the generated ones (`docs/exact.md`, section 11).
pub fn ids_root(prompt: &[u32], output: &[u32]) -> H256 {
    H256(assay_exact::commit::ids_root::<HostBlake2b>(prompt.iter().chain(output).copied()))
}

/// `list(v)` of a text's vector (`docs/exact.md`, section 11): what an embedding's last stage hands on.
pub fn vector_root(vector: &[i16]) -> H256 {
    H256(assay_exact::commit::embedding_root::<HostBlake2b>(vector))
}

/// The root of a stage of a job (`docs/exact.md`, section 11) that received the rows under `in_root`.
pub fn stage_root(spec: &JobSpec, span: Span, in_root: H256, opening: &Opening) -> H256 {
    let input = StageRootInput {
        model_root: spec.model.0,
        first_layer: span.first.into(),
        end_layer: span.end.into(),
        t_in: spec.input_len(),
        generation: spec.task.generation(),
        in_root: in_root.0,
        out_root: opening.out_root.0,
        kv_root: opening.kv_root.0,
        tail_root: opening.tail_root.0,
    };
    H256(input.root::<HostBlake2b>())
}

/// Breaks ties of the auction, differently for every job, so that no account is favoured.
pub fn tie_break(job: JobHash, controller: &AccountId) -> H256 {
    tagged(b"assay/tie/v1", (job, controller))
}

/// What a new worker key signs to prove possession: `H("assay/worker/v1" ‖ genesis ‖ controller ‖ key epoch)`.
pub fn worker_proof(genesis: H256, controller: &AccountId, key_epoch: u32) -> H256 {
    tagged(b"assay/worker/v1", (genesis, controller, key_epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn ctx() -> WorkCtx {
        WorkCtx {
            genesis: H256::repeat_byte(1),
            kind: 0,
            id: H256::repeat_byte(2),
            epoch: 3,
            stage: 4,
            range: (0, 5),
            role: Role::Executor,
        }
    }

    #[test]
    fn digests_are_separated_by_domain_context_and_author() {
        let a = AccountId::new([7; 32]);
        let b = AccountId::new([8; 32]);
        let root = H256::repeat_byte(9);
        let base = commit(&ctx(), &a, root);
        assert_ne!(base, commit(&ctx(), &b, root));
        assert_ne!(base, commit(&WorkCtx { role: Role::Checker, ..ctx() }, &a, root));
        assert_ne!(base, commit(&WorkCtx { epoch: 4, ..ctx() }, &a, root));
        assert_ne!(handoff(&ctx(), 1, root), token_frame(&ctx(), 1, root));
        assert_ne!(handoff(&ctx(), 1, root), handoff(&ctx(), 2, root));
        let v = [[1u8; 32], [2u8; 32]];
        assert_ne!(draw_seed(root, 0, 0, 0, &v), draw_seed(root, 0, 0, 0, &v[..1]));
        assert_ne!(draw_seed(root, 0, 0, 0, &v), draw_seed(root, 0, 1, 0, &v));
    }

    #[test]
    fn ids_root_is_one_list_over_prompt_and_output() {
        assert_eq!(ids_root(&[1, 2], &[3]), ids_root(&[1], &[2, 3]));
        assert_ne!(ids_root(&[1, 2], &[3]), ids_root(&[1, 2], &[]));
        // The known answer of docs/exact.md for an empty list.
        let empty = "43eef4c3b1d1ab172d0e67b4343716cd593b650761af8abd368840bce94828dc";
        assert_eq!(alloc::format!("{:x}", ids_root(&[], &[])), empty);
    }

    #[test]
    fn commit_equals_the_written_formula() {
        let a = AccountId::new([7; 32]);
        let root = H256::repeat_byte(9);
        let mut bytes = b"assay/commit/v1".to_vec();
        bytes.extend([1u8; 32]);
        bytes.push(0);
        bytes.extend([2u8; 32]);
        bytes.extend(3u32.to_le_bytes());
        bytes.push(4);
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(5u32.to_le_bytes());
        bytes.push(0);
        bytes.extend([7u8; 32]);
        bytes.extend([9u8; 32]);
        assert_eq!(commit(&ctx(), &a, root), H256(blake2_256(&bytes)));
    }
}
