"""Section 14: work units."""

from __future__ import annotations

from .header import Flag, Header

MAX = (1 << 64) - 1


def span_work(header: Header, first: int, end: int, start: int, positions: int, logit_rows: int, text: int = 0) -> int:
    """Layers `first..end` at the positions `start..start + positions`; `text` is an encoder's length."""
    h = header
    width = h.head_dim
    inner = (2 if h.has(Flag.UNGATED) else 3) * h.d * h.f
    if h.experts:
        inner = h.experts * h.d + h.experts_per_token * (inner + h.d)
    linears = h.d * (h.n_q + 2 * h.n_kv) * width + h.n_q * width * h.d + inner
    total = 0
    for p in range(start, start + positions):
        keys = p + 1 if h.decoder else text
        total += (end - first) * (h.planes * linears + 2 * h.n_q * width * keys)
    if first == 0:
        total += h.planes * positions * h.d * (2 if h.has(Flag.POSITIONS) else 1)
    if h.decoder and end == h.layers:
        total += h.planes * logit_rows * h.vocab * h.d
    return min(total, MAX)
