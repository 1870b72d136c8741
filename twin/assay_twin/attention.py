"""Sections 6 and 7: rotation and attention of one layer."""

from __future__ import annotations

import numpy as np

from .parts import Statics
from .primitives import Ints, exp2neg, inv, lut, rsh, sat16, sat32
from .tables import GATE_ONE, S

# Weights are at most 2^24 and values below 2^15, so that sums over this many positions are exact in float64.
_CHUNK = 1 << 14
# Below every score (2^38), and near enough that (M - s) * c stays below 2^62.
_MASKED = -(1 << 38)


def rotate(x: Ints, angles: Ints | None, sigma: Ints) -> Ints:
    """Section 6 on `[positions, heads, D]` i32 Q16; `angles` `[positions, rot / 2, 2]`, or None without rotation."""
    shift = sigma[None, :, None]
    # x * 2^30 <= 2^61
    out = sat16(rsh(x << 30, shift))
    if angles is None:
        return out
    half = angles.shape[1]
    a, b = x[..., :half], x[..., half : 2 * half]
    c, s = angles[:, None, :, 0], angles[:, None, :, 1]
    # Two products of at most 2^61 each.
    out[..., :half] = sat16(rsh(a * c - b * s, shift))
    out[..., half : 2 * half] = sat16(rsh(a * s + b * c, shift))
    return out


def attend(q: Ints, k: Ints, v: Ints, visible: np.ndarray, c: int, sigma_l: int, cap: tuple[int, int] | None) -> Ints:
    """Section 7 for one head: `q` `[queries, D]`, `k` and `v` `[keys, D]`, `visible` `[queries, keys]`; 256 * O / Z."""
    # 256 * 2^30 = 2^38: exact.
    s = (q.astype(np.float64) @ k.T.astype(np.float64)).astype(np.int64)
    if cap is not None:
        c_0, sigma_0 = cap
        s = 2 * lut(S, sat32(rsh(s * c_0, sigma_0))) - GATE_ONE
    s = np.where(visible, s, _MASKED)
    top = s.max(axis=1, keepdims=True)
    weights = exp2neg(np.minimum(rsh((top - s) * c, sigma_l), 40 << 16))
    weights = np.where(visible, weights, 0)
    sums = np.zeros((len(q), v.shape[1]), np.int64)
    for at in range(0, len(v), _CHUNK):
        chunk = weights[:, at : at + _CHUNK].astype(np.float64) @ v[at : at + _CHUNK].astype(np.float64)
        sums += chunk.astype(np.int64)
    inverses = np.array([inv(int(z)) for z in weights.sum(axis=1)], dtype=np.int64)
    r, b = inverses[:, :1], inverses[:, 1:]
    # abs(O) < 2^15 * Z and Z < 2^B, so that both factors are at most 2^31.
    return rsh(rsh(sums, b - 16) * r, 38)


def visible_keys(first: int, queries: int, window: int, decoder: bool) -> np.ndarray:
    """Which keys `0..first + queries` each of the positions `first..first + queries` sees."""
    p = np.arange(first, first + queries)[:, None]
    j = np.arange(first + queries)[None, :]
    if not decoder:
        return np.ones((queries, first + queries), dtype=bool)
    return (j <= p) & ((j > p - window) if window > 0 else True)


def attend_all(q: Ints, k: Ints, v: Ints, first: int, statics: Statics, decoder: bool) -> Ints:
    """Every query head: `q` `[queries, n_q, D]`, `k` and `v` `[keys, n_kv, D]`; joined rows `[queries, n_q * D]`."""
    n_q, n_kv = q.shape[1], k.shape[1]
    visible = visible_keys(first, len(q), statics.window, decoder)
    heads = []
    for head in range(n_q):
        kv = head * n_kv // n_q
        cap = (int(statics.c_0[head]), int(statics.sigma_0[head])) if statics.c_0.size else None
        c, sigma_l = int(statics.c[head]), int(statics.sigma_l[head])
        heads.append(attend(q[:, head], k[:, kv], v[:, kv], visible, c, sigma_l, cap))
    return np.concatenate(heads, axis=1)
