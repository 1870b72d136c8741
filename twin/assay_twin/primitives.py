"""Section 1: the scalar functions, over int64 arrays of any shape.

numpy's int64 wraps silently, so every product here is one whose bound the page gives; the bound stands beside it.
What is needed once per row (`inv`, the root in `unit`) is done with Python's unbounded integers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .tables import GATE_ONE, T1, T2

Ints = NDArray[np.int64]

I32_MIN, I32_MAX = -(1 << 31), (1 << 31) - 1
I16_MAX = (1 << 15) - 1


class Eps(NamedTuple):
    """The real `m * 2^-k`."""

    m: int
    k: int


NO_EPS = Eps(0, 0)


def i64(a: ArrayLike) -> Ints:
    """`a` as int64."""
    return np.asarray(a, dtype=np.int64)


def rsh(a: ArrayLike, s: ArrayLike) -> Ints:
    """`a * 2^-s`, halves rounded up; abs(a) <= 2^62, s >= 0. Both broadcast."""
    a, s = i64(a), i64(s)
    within = np.clip(s, 0, 62)
    half = np.where(within > 0, np.left_shift(1, np.maximum(within - 1, 0)), 0)
    # abs(a) + half <= 2^62 + 2^61
    return np.where(s >= 63, 0, (a + half) >> within)


def sat32(a: ArrayLike) -> Ints:
    """Clamp to an i32."""
    return np.clip(i64(a), I32_MIN, I32_MAX)


def sat16(a: ArrayLike) -> Ints:
    """Clamp to -32767..32767."""
    return np.clip(i64(a), -I16_MAX, I16_MAX)


def scale32(a: ArrayLike, m: ArrayLike, s: ArrayLike) -> Ints:
    """`a * m * 2^-s` as an i32; abs(a * m) < 2^61, 0 <= m < 2^24, any s."""
    product, s = i64(a) * i64(m), i64(s)
    right = sat32(rsh(product, np.maximum(s, 0)))
    # A product outside i32 saturates under any left shift, and 31 places take every other one out of i32, so that
    # clamping both changes nothing and keeps the shifted value below 2^62.
    left = sat32(sat32(product) << np.clip(-s, 0, 31))
    return np.where(s >= 0, right, left)


def bl(u: int) -> int:
    """Bit length, 0 for 0."""
    return int(u).bit_length()


def exp2neg(u: ArrayLike) -> Ints:
    """2^-u in Q24, u >= 0 in Q16."""
    u = i64(u)
    whole = u >> 16
    # T1 * T2 <= 2^62
    product = T1[(u >> 8) & 255] * T2[u & 255]
    return np.where(whole >= 25, 0, rsh(product, 38 + np.minimum(whole, 25)))


def lut(table: Ints, g: ArrayLike) -> Ints:
    """The gate `table` (1,025 entries) at g in Q16; Q24."""
    g = i64(g)
    a = np.minimum(np.abs(g), (1 << 20) - 1)
    i = a >> 10
    v = table[i] + rsh((table[i + 1] - table[i]) * (a & 1023), 10)
    return np.where(g < 0, GATE_ONE - v, v)


def inv(z: int) -> tuple[int, int]:
    """(R, B) with 1 / z ~ R * 2^-(30 + B); z >= 1."""
    b = bl(z)
    normal = z >> (b - 32) if b >= 32 else z << (32 - b)
    return (1 << 62) // normal, b


def softmax(s: ArrayLike, c: int, r: int) -> Ints:
    """Unnormalized weights in Q24 along the last axis; abs(s) < 2^38."""
    s = i64(s)
    top = s.max(axis=-1, keepdims=True)
    # (M - s) * c < 2^39 * 2^23; c_T of sampling is up to 2^27, on differences below 2^32.
    return exp2neg(np.minimum(rsh((top - s) * c, r), 40 << 16))


def eps_at(eps: Eps, s: int) -> int:
    """E(s)."""
    n = eps.k + 2 * s
    return int(rsh(eps.m, n)) if n >= 0 else min(eps.m << -n, 1 << 60)


def unit(c: ArrayLike, eps: Eps) -> Ints:
    """`c / sqrt(sum c^2 + eps)` in Q30 along the last axis; max abs(c) <= 2^48, at most 2^14 entries."""
    c = i64(c)
    rows = c.reshape(-1, c.shape[-1])
    peaks = np.abs(rows).max(axis=1)
    shifts = np.array([max(0, bl(peak) - 23) for peak in peaks], dtype=np.int64)
    x = rsh(rows, shifts[:, None])
    # Entries are at most 2^23 (the rounding of rsh included), 2^14 of them sum to at most 2^60.
    sums = (x * x).sum(axis=1)
    reciprocals, places = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for row, (s, total) in enumerate(zip(shifts, sums)):
        v = max(1, int(total) + eps_at(eps, int(s)))
        half_z = (62 - bl(v)) // 2
        reciprocals[row] = (1 << 61) // math.isqrt(v << (2 * half_z))
        places[row] = 31 - half_z
    # x * R <= 2^23 * 2^31
    return rsh(x * reciprocals[:, None], places[:, None]).reshape(c.shape)
