"""Sections 3 to 5: linear maps, requantizing and norms, over a batch of token rows `[positions, n]`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .parts import Linear, Norm
from .primitives import Ints, bl, i64, rsh, sat32, scale32, unit


class A15(NamedTuple):
    """Linear inputs: `q` `[positions, n]` with abs(q) <= 2^14, and one exponent per row."""

    q: Ints
    e: Ints

    def rows(self, index: Ints) -> A15:
        """Some of the rows."""
        return A15(self.q[index], self.e[index])


def apply_linear(linear: Linear, x: A15, f_out: int) -> Ints:
    """Section 3, `[positions, out]` i32 in Q `f_out`."""
    scaled = scale32(linear.products(x.q), linear.m, linear.k - x.e[:, None] - f_out)
    return sat32(scaled + linear.bias)


def requantize(y: Ints, exponent: int) -> A15:
    """Section 4, each row of its own; abs(y) <= 2^62, `exponent` that of y."""
    e = np.array([max(0, bl(peak) - 14) for peak in np.abs(y).max(axis=-1)], dtype=np.int64)
    return A15(rsh(y, e[:, None]), exponent + e)


def normalize(norm: Norm, h: Ints, layer_norm: bool) -> Ints:
    """Section 5: y, of exponent -30 - F_g, along the last axis; abs(y) <= 2^62."""
    h = i64(h)
    c = h.shape[-1] * h - h.sum(axis=-1, keepdims=True) if layer_norm else h
    return unit(c, norm.eps) * norm.g + (norm.b << 30)


def norm_to_a15(norm: Norm, h: Ints, layer_norm: bool) -> A15:
    """A15(norm)."""
    return requantize(normalize(norm, h, layer_norm), -30 - norm.f_g)


def norm_to(f: int, norm: Norm, h: Ints, layer_norm: bool) -> Ints:
    """to(F, norm)."""
    return sat32(rsh(normalize(norm, h, layer_norm), 30 + norm.f_g - f))
