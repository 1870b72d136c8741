"""Section 9: embedding, layers, head and pooling, for the layers `first..end` of a model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .attention import attend_all, rotate
from .errors import TwinError
from .header import Flag, Header, Placement, Pool
from .merkle import i32_bytes
from .mlp import mlp
from .ops import A15, apply_linear, norm_to, norm_to_a15, requantize
from .package import Layer, Package
from .parts import Linear
from .primitives import NO_EPS, Ints, i64, lut, rsh, sat16, sat32, scale32, unit
from .tables import GATE_ONE, S


@dataclass
class Cache:
    """Keys and values of one layer, `[positions, n_kv, D]`."""

    k: Ints
    v: Ints

    def extend(self, k: Ints, v: Ints) -> None:
        """Appends positions."""
        self.k = np.concatenate([self.k, k])
        self.v = np.concatenate([self.v, v])


@dataclass
class Span:
    """The layers `first..end` and what they have computed so far."""

    package: Package
    first: int
    end: int
    positions: int = 0
    caches: list[Cache] = field(default_factory=list)
    # Per position: h after the attention line of the last layer ‖ the inputs of its down projections.
    tails: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        header = self.package.header
        if not 0 <= self.first < self.end <= header.layers:
            raise TwinError(f"layers {self.first}..{self.end} are no span of a model of {header.layers}")
        empty = np.zeros((0, header.n_kv, header.head_dim), np.int64)
        self.caches = [Cache(empty, empty) for _ in range(self.first, self.end)]

    @property
    def begins(self) -> bool:
        """Whether its input is ids."""
        return self.first == 0

    @property
    def ends(self) -> bool:
        """Whether its output is ids, or an embedding."""
        return self.end == self.package.header.layers

    def forward(self, h: Ints) -> Ints:
        """The next positions: rows `[positions, d]` in and out. An encoder is given all positions at once."""
        if not self.package.header.decoder and self.positions:
            raise TwinError("an encoder reads its text at once")
        for index, cache in zip(range(self.first, self.end), self.caches):
            layer = self.package.layer(index)
            h, tails = _layer(self.package, layer, cache, h, self.positions)
            if index == self.end - 1:
                self.tails += tails
        self.positions += len(h)
        return h


def embed(package: Package, ids: list[int], first: int) -> Ints:
    """The h rows of ids at the positions from `first` on."""
    header, p = package.header, package.positions

    def scaled(matrix: Linear, rows: Ints) -> Ints:
        a, m, k = matrix.rows(rows)
        return scale32(a, m, k - header.f_h)

    h = scaled(package.embed, i64(ids))
    if p is not None:
        h = h + scaled(p, np.arange(first, first + len(ids)))
    h = sat32(h)
    if package.embedding_norm is not None:
        h = norm_to(header.f_h, package.embedding_norm, h, header.has(Flag.LAYER_NORM))
    return h


def _layer(package: Package, layer: Layer, cache: Cache, h: Ints, first: int) -> tuple[Ints, list[bytes]]:
    """One layer, and the tail's leaf of each position."""
    header = package.header
    layer_norm, f_h = header.has(Flag.LAYER_NORM), header.f_h
    norms = layer.norms

    def attend(x: A15) -> Ints:
        return _attention(package, layer, cache, x, first)

    def before(name: str, rows: Ints) -> A15:
        if header.placement == Placement.POST:
            return requantize(rows, -f_h)
        return norm_to_a15(norms[name], rows, layer_norm)

    def joined(name: str, rows: Ints, update: Ints) -> Ints:
        if header.placement == Placement.SANDWICH:
            update = norm_to(f_h, norms[name + "'"], update, layer_norm)
        rows = sat32(rows + update)
        if header.placement == Placement.POST:
            rows = norm_to(f_h, norms[name], rows, layer_norm)
        return rows

    h = joined("n1", h, attend(before("n1", h)))
    out, downs = mlp(header, layer, before("n2", h))
    tails = [i32_bytes(row) + down for row, down in zip(h, downs)]
    return joined("n2", h, out), tails


def _attention(package: Package, layer: Layer, cache: Cache, x: A15, first: int) -> Ints:
    """attn, `[positions, d]` in Q F_o; its keys and values go into the cache."""
    header, statics, linears = package.header, layer.statics, layer.linears

    def heads(rows: Ints) -> Ints:
        return rows.reshape(len(rows), -1, header.head_dim)

    q = heads(apply_linear(linears["q"], x, 16))
    k = heads(apply_linear(linears["k"], x, 16))
    v = heads(sat16(apply_linear(linears["v"], x, -statics.e_v)))
    if header.has(Flag.QK_NORM):
        q = norm_to(16, layer.norms["q_norm"], q, layer_norm=False)
        k = norm_to(16, layer.norms["k_norm"], k, layer_norm=False)
    angles = None
    if statics.rope_table >= 0:
        angles = package.tables[statics.rope_table, first : first + len(q)]
    q, k = rotate(q, angles, statics.sigma_q), rotate(k, angles, statics.sigma_k)
    cache.extend(k, v)
    o = attend_all(q, cache.k, cache.v, first, statics, header.decoder)
    return apply_linear(linears["o"], requantize(o, statics.e_v - 8), statics.f_o)


def logits(package: Package, h: Ints) -> tuple[Ints, Ints]:
    """(L, L') of rows, `[positions, vocab]` i32 Q16."""
    header, norm = package.header, package.final_norm
    assert norm is not None
    raw = apply_linear(package.head, norm_to_a15(norm, h, header.has(Flag.LAYER_NORM)), 16)
    return raw, cap_logits(header, raw) if header.has(Flag.FINAL_CAP) else raw


def cap_logits(header: Header, raw: Ints) -> Ints:
    """L' of L with flag 12."""
    inner = 2 * lut(S, sat32(rsh(i64(raw) * header.c_l, header.sigma_l))) - GATE_ONE
    return sat32(rsh(inner * header.cap_l, 24))


def pooled(package: Package, h: Ints) -> Ints:
    """An encoder's embedding v, `[d]` i16 Q15, of its last rows."""
    header, norm = package.header, package.final_norm
    if norm is not None:
        h = norm_to(header.f_h, norm, h, header.has(Flag.LAYER_NORM))
    return embedding(h.sum(axis=0) if header.pool == Pool.MEAN else h[0])


def embedding(total: Ints) -> Ints:
    """v of S."""
    return sat16(rsh(unit(total, NO_EPS), 15))
