"""Section 9, sampling: the id that is drawn from a row of logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import TwinError
from .merkle import h, u32
from .primitives import Ints, softmax

TOP_P_OFF = 1 << 16


@dataclass(frozen=True)
class Sampling:
    """Temperature in thousandths, top_k (0 = off), top_p in 1..65536 (65536 = off), a seed of 32 bytes."""

    temperature: int = 0
    top_k: int = 0
    top_p: int = TOP_P_OFF
    seed: bytes = bytes(32)

    def check(self) -> None:
        """Raises on the first parameter out of range."""
        for name, value, low, high in (
            ("temperature", self.temperature, 0, 65535),
            ("top_k", self.top_k, 0, (1 << 32) - 1),
            ("top_p", self.top_p, 1, TOP_P_OFF),
            ("length of the seed", len(self.seed), 32, 32),
        ):
            if not low <= value <= high:
                raise TwinError(f"{name} is {value}, not in {low}..{high}")


def draw(raw: Ints, capped: Ints, sampling: Sampling, position: int) -> int:
    """The id at `position` (that is p + 1), of the logits L and L' `[vocab]` of the position before it."""
    t = sampling.temperature
    if t == 0:
        return int(np.argmax(raw))
    weights = softmax(capped, (94548462 + (t >> 1)) // t, 16)
    # By (L descending, id ascending).
    order = np.argsort(-raw, kind="stable")
    if sampling.top_k:
        order = order[: sampling.top_k]
    # At most 2^20 weights of 2^24, times 2^16.
    sums = np.cumsum(weights[order])
    enough = sums << 16 >= sampling.top_p * sums[-1]
    kept = np.sort(order[: int(np.argmax(enough)) + 1])
    sums = np.cumsum(weights[kept])
    x = int.from_bytes(h(b"\4" + sampling.seed + u32(position))[:8], "little")
    r = (x * int(sums[-1])) >> 64
    return int(kept[int(np.argmax(sums > r))])
