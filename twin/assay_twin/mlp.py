"""Section 8: the MLP and experts."""

from __future__ import annotations

import numpy as np

from .header import Flag, Header
from .merkle import i16_bytes, i32_bytes
from .ops import A15, apply_linear, requantize
from .package import Layer
from .primitives import Ints, inv, lut, rsh, sat32, softmax
from .tables import GT, G, S

GATES = (S, G, GT)
# log2(e) in the scale of section 8: 94548 * 2^-16 for Q16 differences.
ROUTER_C, ROUTER_SHIFT = 94548, 16


def gated(table: Ints, gate: Ints, up: Ints) -> A15:
    """The input of the down projection; both factors of the last product are at most 2^31."""
    return requantize(rsh(gate * lut(table, gate), 24) * up, -32)


def ungated(table: Ints, up: Ints) -> A15:
    """The same without a gate."""
    return requantize(up * lut(table, up), -40)


def down_input(header: Header, layer: Layer, prefix: str, x: A15) -> A15:
    """The input of the down projection of the MLP whose linears begin with `prefix`."""
    table = GATES[header.activation]
    up = apply_linear(layer.linears[prefix + "up"], x, 16)
    if header.has(Flag.UNGATED):
        return ungated(table, up)
    return gated(table, apply_linear(layer.linears[prefix + "gate"], x, 16), up)


def route(logits: Ints, chosen_count: int, over_all: bool) -> tuple[Ints, Ints]:
    """The chosen experts of each row, in the order of the choice, and their p in Q24: both `[positions, k]`."""
    chosen = np.argsort(-logits, axis=1, kind="stable")[:, :chosen_count]
    weights = softmax(logits, ROUTER_C, ROUTER_SHIFT)
    kept = np.take_along_axis(weights, chosen, axis=1)
    totals = (weights if over_all else kept).sum(axis=1)
    inverses = np.array([inv(int(z)) for z in totals], dtype=np.int64)
    return chosen, rsh(kept * inverses[:, :1], inverses[:, 1:] + 6)


def combine(p: Ints, downs: Ints) -> Ints:
    """out: `p` `[k]`, `downs` `[k, d]`; at most 64 products of 2^55."""
    return sat32(rsh((p[:, None] * downs).sum(axis=0), 24))


def mlp(header: Header, layer: Layer, x: A15) -> tuple[Ints, list[bytes]]:
    """The MLP's output `[positions, d]` in Q F_d, and for each position the inputs of its down projections, as the
    tail hashes them."""
    f_d = layer.statics.f_d
    if not header.experts:
        inner = down_input(header, layer, "", x)
        return apply_linear(layer.linears["down"], inner, f_d), [_tail(q, e) for q, e in zip(*inner)]

    logits = apply_linear(layer.linears["router"], x, 16)
    chosen, p = route(logits, header.experts_per_token, header.has(Flag.ROUTER_OVER_ALL))
    downs = np.zeros((*chosen.shape, header.d), np.int64)
    tails = [[b""] * chosen.shape[1] for _ in chosen]
    for expert in np.unique(chosen):
        position, slot = np.nonzero(chosen == expert)
        inner = down_input(header, layer, f"{expert}.", x.rows(position))
        downs[position, slot] = apply_linear(layer.linears[f"{expert}.down"], inner, f_d)
        for at, to, q, e in zip(position, slot, *inner):
            tails[at][to] = _tail(q, e)
    out = np.stack([combine(weights, rows) for weights, rows in zip(p, downs)])
    return out, [b"".join(parts) for parts in tails]


def _tail(q: Ints, e: int) -> bytes:
    return i16_bytes(q) + i32_bytes(e)
