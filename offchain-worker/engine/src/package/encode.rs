//! The bytes of parts, for whoever writes packages. Statics and norm constants encode themselves
//! (`assay_exact::statics`).

use assay_exact::{linear::Planes, statics::NormConstants};

/// A linear part of one plane: `w` i8 row-major `[out, in]`, `scales` `[out]` packed, `bias` `[out]` if any.
pub fn linear(w: &[i8], scales: &[u32], bias: Option<&[i32]>) -> Vec<u8> {
    linear_of(w.into(), scales, bias)
}

/// A linear part of one plane or, in a model with flag 13, of two; otherwise as [`linear`].
pub fn linear_of(w: Planes<'_>, scales: &[u32], bias: Option<&[i32]>) -> Vec<u8> {
    let (bias, second) = (bias.unwrap_or_default(), w.second.unwrap_or_default());
    let mut bytes = Vec::with_capacity(w.first.len() + second.len() + 4 * (scales.len() + bias.len()));
    bytes.extend_from_slice(bytemuck::cast_slice(w.first));
    bytes.extend_from_slice(bytemuck::cast_slice(second));
    extend(&mut bytes, scales.iter().map(|v| v.to_le_bytes()));
    extend(&mut bytes, bias.iter().map(|v| v.to_le_bytes()));
    bytes
}

/// The head of a model that shares the embedding's weights: its own row scales, packed.
pub fn scales(scales: &[u32]) -> Vec<u8> {
    linear(&[], scales, None)
}

/// A norm part: `gain` Q`f_g`, `bias` Q`f_g` (LayerNorm only).
pub fn norm(constants: NormConstants, gain: &[i32], bias: Option<&[i32]>) -> Vec<u8> {
    let bias = bias.unwrap_or_default();
    let mut bytes = Vec::with_capacity(NormConstants::BYTES + 4 * (gain.len() + bias.len()));
    bytes.extend_from_slice(&constants.encode());
    extend(&mut bytes, gain.iter().chain(bias).map(|v| v.to_le_bytes()));
    bytes
}

/// Rope tables: per table, position and pair: c, s in Q30.
pub fn rope_tables(entries: &[i32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 * entries.len());
    extend(&mut bytes, entries.iter().map(|v| v.to_le_bytes()));
    bytes
}

fn extend(bytes: &mut Vec<u8>, words: impl Iterator<Item = [u8; 4]>) {
    words.for_each(|word| bytes.extend_from_slice(&word));
}
