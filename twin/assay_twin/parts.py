"""Section 11, parts: what lies in the file of each entry, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from .errors import TwinError
from .header import Flag, Header, Placement
from .primitives import Eps, Ints, rsh

Doubles = NDArray[np.float64]


class LinearShape(NamedTuple):
    """W `[out, inner]` ‖ W' (two planes) ‖ row scales ‖ bias."""

    name: str
    out: int
    inner: int
    bias: bool
    planes: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.out * (self.planes * self.inner + 4 + 4 * self.bias)


class NormShape(NamedTuple):
    """F_g ‖ m ‖ k ‖ g ‖ b."""

    name: str
    n: int
    bias: bool

    @property
    def size(self) -> int:
        """Bytes."""
        return 12 + 4 * self.n * (1 + self.bias)


class StaticsShape(NamedTuple):
    """A layer's static formats."""

    name: str
    n_q: int
    n_kv: int
    capped: bool

    @property
    def size(self) -> int:
        """Bytes."""
        return 4 * (5 + self.n_q * (5 if self.capped else 3) + self.n_kv)


class TablesShape(NamedTuple):
    """RoPE tables, `[tables, context, rot / 2, 2]`."""

    name: str
    shape: tuple[int, int, int, int]

    @property
    def size(self) -> int:
        """Bytes."""
        return 4 * int(np.prod(self.shape))


class ScalesShape(NamedTuple):
    """The row scales of a head that shares the embedding's W."""

    name: str
    out: int

    @property
    def size(self) -> int:
        """Bytes."""
        return 4 * self.out


Shape = Union[LinearShape, NormShape, StaticsShape, TablesShape, ScalesShape]


def entries(header: Header) -> list[tuple[str, list[Shape]]]:
    """Every entry of `model_root` after the header, with its parts, in order."""
    d, layer_norm, planes = header.d, header.has(Flag.LAYER_NORM), header.planes
    tables = (header.rope_tables, header.context, header.rot // 2, 2)
    found: list[tuple[str, list[Shape]]] = [
        ("tables", [TablesShape("tables", tables)]),
        ("embed", [LinearShape("embed", header.vocab, d, False, planes)]),
    ]
    if header.has(Flag.POSITIONS):
        found.append(("positions", [LinearShape("positions", header.context, d, False, planes)]))
    if header.has(Flag.EMBEDDING_NORM):
        found.append(("embedding_norm", [NormShape("embedding_norm", d, layer_norm)]))
    found += [(f"layer-{i:03}", layer_parts(header)) for i in range(header.layers)]
    if header.has(Flag.FINAL_NORM):
        found.append(("final_norm", [NormShape("final_norm", d, layer_norm)]))
    if header.decoder:
        shared = header.has(Flag.SHARED_HEAD)
        own = LinearShape("head", header.vocab, d, False, planes)
        head: Shape = ScalesShape("head", header.vocab) if shared else own
        found.append(("head", [head]))
    return found


def layer_parts(header: Header) -> list[Shape]:
    """A layer's parts, in order."""
    d, f, layer_norm = header.d, header.f, header.has(Flag.LAYER_NORM)
    queries, keys = header.n_q * header.head_dim, header.n_kv * header.head_dim
    sandwich = header.placement == Placement.SANDWICH
    qkv_bias, o_bias, mlp_bias = (header.has(bit) for bit in (Flag.BIAS_QKV, Flag.BIAS_O, Flag.BIAS_MLP))

    def norms(name: str) -> list[Shape]:
        names = [name, name + "'"] if sandwich else [name]
        return [NormShape(n, d, layer_norm) for n in names]

    def linear(name: str, out: int, inner: int, bias: bool) -> LinearShape:
        return LinearShape(name, out, inner, bias, header.planes)

    parts: list[Shape] = [StaticsShape("statics", header.n_q, header.n_kv, header.has(Flag.SCORE_CAP))]
    parts += norms("n1")
    parts += [
        linear("q", queries, d, qkv_bias),
        linear("k", keys, d, qkv_bias),
        linear("v", keys, d, qkv_bias),
        linear("o", d, queries, o_bias),
    ]
    if header.has(Flag.QK_NORM):
        parts += [NormShape("q_norm", header.head_dim, False), NormShape("k_norm", header.head_dim, False)]
    parts += norms("n2")
    if header.experts:
        parts.append(linear("router", header.experts, d, mlp_bias))
    for e in range(max(1, header.experts)):
        at = f"{e}." if header.experts else ""
        if not header.has(Flag.UNGATED):
            parts.append(linear(at + "gate", f, d, mlp_bias))
        parts += [linear(at + "up", f, d, mlp_bias), linear(at + "down", d, f, mlp_bias)]
    return parts


@dataclass(frozen=True)
class Linear:
    """A linear map: planes of i8 `[out, in]`, row scales `(m, k)`, bias in the format of its output."""

    planes: tuple[NDArray[np.int8], ...]
    m: Ints
    k: Ints
    bias: Ints

    @cached_property
    def transposed(self) -> list[Doubles]:
        """Each plane transposed, for exact float64 products."""
        return [w.T.astype(np.float64) for w in self.planes]

    def products(self, q: Ints) -> Ints:
        """The sums of section 3 over rows `[positions, in]`. abs(sum) <= 2^37 for each plane, so that every partial sum
        is an integer that float64 holds, in any order."""
        sums = [(q.astype(np.float64) @ w).astype(np.int64) for w in self.transposed]
        return sums[0] if len(sums) == 1 else sums[0] + rsh(sums[1], 7)

    def rows(self, index: Ints | list[int]) -> tuple[Ints, Ints, Ints]:
        """Rows of an embedding as (a, m, k), the value being `a * m * 2^-k`: section 9."""
        a, k = self.planes[0][index].astype(np.int64), self.k[index][:, None]
        if len(self.planes) == 2:
            a, k = 128 * a + self.planes[1][index], k + 7
        return a, self.m[index][:, None], k

    @classmethod
    def read(cls, shape: LinearShape, data: memoryview, name: str) -> Linear:
        """From the part's bytes. Any bytes are a linear part."""
        at = shape.planes * shape.out * shape.inner
        w = np.frombuffer(data[:at], np.int8).reshape(shape.planes, shape.out, shape.inner)
        m, k = row_scales(data[at : at + 4 * shape.out])
        bias = words(data[at + 4 * shape.out :]) if shape.bias else np.zeros(shape.out, np.int64)
        return cls(tuple(w), m, k, bias)


@dataclass(frozen=True)
class Norm:
    """A norm: gains `g` and bias `b` in Q `f_g`."""

    f_g: int
    eps: Eps
    g: Ints
    b: Ints

    @classmethod
    def read(cls, shape: NormShape, data: memoryview, name: str) -> Norm:
        """From the part's bytes."""
        values = words(data)
        f_g, m, k = values[:3].tolist()
        check_range(f"{name}: F_g of {shape.name}", f_g, 0, 30)
        check_range(f"{name}: eps m of {shape.name}", m, 0, (1 << 24) - 1)
        check_range(f"{name}: eps k of {shape.name}", k, -256, 256)
        g = values[3 : 3 + shape.n]
        b = values[3 + shape.n :] if shape.bias else np.zeros(shape.n, np.int64)
        return cls(f_g, Eps(m, k), g, b)


@dataclass(frozen=True)
class Statics:
    """A layer's static formats; the arrays have one entry per query head, `sigma_k` one per kv head."""

    window: int
    rope_table: int
    e_v: int
    f_o: int
    f_d: int
    sigma_q: Ints
    c: Ints
    sigma_l: Ints
    sigma_k: Ints
    # Only with a soft-cap of the scores.
    c_0: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    sigma_0: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def read(cls, shape: StaticsShape, data: memoryview, name: str, header: Header) -> Statics:
        """From the part's bytes."""
        values = words(data)
        width = 5 if shape.capped else 3
        heads = values[5 : 5 + shape.n_q * width].reshape(shape.n_q, width).T
        sigma_k = values[5 + shape.n_q * width :]
        statics = cls(*values[:5].tolist(), *heads[:3], sigma_k, *heads[3:])  # type: ignore[call-arg]

        check_range(f"{name}: window", statics.window, 0, (1 << 31) - 1 if header.decoder else 0)
        check_range(f"{name}: rope table", statics.rope_table, -1, header.rope_tables - 1)
        check_range(f"{name}: e_v", statics.e_v, -64, 64)
        sandwich = header.placement == Placement.SANDWICH
        for field_name, value in (("F_o", statics.f_o), ("F_d", statics.f_d)):
            low, high = (-64, 64) if sandwich else (header.f_h, header.f_h)
            check_range(f"{name}: {field_name}", value, low, high)
        for field_name, shifts in (("sigma of q", heads[0]), ("sigma_l", heads[2]), ("sigma of k", sigma_k)):
            check_array(f"{name}: {field_name}", shifts, 0, 62)
        check_array(f"{name}: c", statics.c, 0, (1 << 23) - 1)
        check_array(f"{name}: c_0", statics.c_0, 0, (1 << 23) - 1)
        check_array(f"{name}: sigma_0", statics.sigma_0, 0, 62)
        return statics


def words(data: memoryview | bytes) -> Ints:
    """i32 words, as i64."""
    return np.frombuffer(data, "<i4").astype(np.int64)


def row_scales(data: memoryview | bytes) -> tuple[Ints, Ints]:
    """(m, k) of row scales."""
    scales = np.frombuffer(data, "<u4").astype(np.int64)
    return scales & 0xFFFFFF, scales >> 24


def check_range(what: str, value: int, low: int, high: int) -> None:
    """Raises unless `low <= value <= high`."""
    if not low <= value <= high:
        raise TwinError(f"{what} is {value}, not in {low}..{high}")


def check_array(what: str, values: Ints, low: int, high: int) -> None:
    """The same for each entry."""
    if values.size:
        check_range(what, int(values.min()), low, high)
        check_range(what, int(values.max()), low, high)
