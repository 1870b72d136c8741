"""Section 11, commitments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .graph import Cache
from .merkle import h, i16_bytes, list_root, u32
from .primitives import Ints
from .sampling import Sampling

# Positions per leaf of K ‖ V.
BLOCK = 16


@dataclass(frozen=True)
class Commitment:
    """What a stage commits to."""

    first: int
    end: int
    positions: int
    in_root: bytes
    out_root: bytes
    kv_root: bytes
    tail_root: bytes
    stage_root: bytes


def kv_root(caches: Sequence[Cache]) -> bytes:
    """Of the caches of a span's layers."""
    return list_root(
        _head_root(cache.k[:, head], cache.v[:, head]) for cache in caches for head in range(cache.k.shape[1])
    )


def _head_root(k: Ints, v: Ints) -> bytes:
    rows = np.concatenate([k, v], axis=1)
    return list_root(i16_bytes(rows[at : at + BLOCK]) for at in range(0, len(rows), BLOCK))


def stage_root(
    model_root: bytes,
    span: tuple[int, int],
    prompt_length: int,
    request: tuple[int, Sampling] | None,
    roots: tuple[bytes, bytes, bytes, bytes],
) -> bytes:
    """`request` is (max_new, sampling), None for an encoder; `roots` are in, out, kv, tail."""
    if request is None:
        parameters = bytes(4 * 4 + 32)
    else:
        max_new, sampling = request
        parameters = u32(max_new, sampling.temperature, sampling.top_k, sampling.top_p) + sampling.seed
    return h(b"\3" + u32(1) + model_root + u32(*span, prompt_length) + parameters + b"".join(roots))
