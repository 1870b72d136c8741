"""The constants of section 1, computed when first imported and checked against the page's digests.

The page asks for 40 bits after the point. Entries are below 2^32, so 25 decimal digits would do; 50 are computed with.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

GATE_ONE = 1 << 24

# H of each table's bytes, from the page.
_DIGESTS = {
    "T1": "382887c142fc3f944514a26d45830f234b65fc91e47c7968f1e2b090d6a0d418",
    "T2": "dda8d3b509cd905fa09cbe95c11c12158e782a6e0c8b085e20705be16ce8c327",
    "S": "cfd6fa6c7a3db24b84c497797dc55911a44a809baf4b599078d91891250de755",
    "G": "b805ac3d5218aff7b8a94c9e6f9d0de5b7c116fe4cc7e1a9798862b034d03e9c",
    "GT": "c947dacf309c389f4f74babb0f43a8a43b0a74e97ce892a78a8ac821ec255a0a",
}


def _pi() -> Decimal:
    """Machin's formula."""

    def arctan_of_inverse(n: int) -> Decimal:
        total, power, k = Decimal(0), Decimal(1) / n, 0
        while abs(power) > Decimal("1e-55"):
            total += power / (2 * k + 1)
            power /= -n * n
            k += 1
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))


def _sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def _gelu_gate(pi: Decimal) -> Callable[[Decimal], Decimal]:
    root_pi = pi.sqrt()

    def gate(x: Decimal) -> Decimal:
        # erf z = 2 / sqrt(pi) * exp(-z^2) * sum of z (2 z^2)^k / (1 * 3 * .. * (2k + 1)): all terms are positive.
        z = x / Decimal(2).sqrt()
        term, total, k = z, z, 0
        while term > Decimal("1e-50"):
            k += 1
            term *= 2 * z * z / (2 * k + 1)
            total += term
        return (1 + 2 * total * (-z * z).exp() / root_pi) / 2

    return gate


def _tanh_gate(pi: Decimal) -> Callable[[Decimal], Decimal]:
    root = (2 / pi).sqrt()

    def gate(x: Decimal) -> Decimal:
        # (1 + tanh y) / 2 = 1 / (1 + exp(-2y))
        return _sigmoid(2 * root * (x + Decimal("0.044715") * x * x * x))

    return gate


def _table(name: str, entry: Callable[[int], Decimal], length: int) -> NDArray[np.int64]:
    # Entries are positive: half up is half away from zero.
    values = [int(entry(i).to_integral_value(ROUND_HALF_UP)) for i in range(length)]
    digest = blake2b(np.array(values, dtype="<u4").tobytes(), digest_size=32).hexdigest()
    if digest != _DIGESTS[name]:
        raise AssertionError(f"table {name} has digest {digest}, the page says {_DIGESTS[name]}")
    table = np.array(values, dtype=np.int64)
    table.flags.writeable = False
    return table


def _gate_table(name: str, gate: Callable[[Decimal], Decimal]) -> NDArray[np.int64]:
    return _table(name, lambda i: GATE_ONE * gate(Decimal(i) / 64), 1025)


with localcontext() as _context:
    _context.prec = 60
    _LN2 = Decimal(2).ln()
    T1 = _table("T1", lambda high: (_LN2 * (31 - Decimal(high) / 256)).exp(), 256)
    T2 = _table("T2", lambda low: (_LN2 * (31 - Decimal(low) / 65536)).exp(), 256)
    S = _gate_table("S", _sigmoid)
    G = _gate_table("G", _gelu_gate(_pi()))
    GT = _gate_table("GT", _tanh_gate(_pi()))
