"""Section 11: BLAKE2b-256, `list` and `blob`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike

PIECE = 4096


def h(data: bytes) -> bytes:
    """H: BLAKE2b with a 256-bit digest and no key."""
    return blake2b(data, digest_size=32).digest()


def list_root(items: Iterable[bytes]) -> bytes:
    """`list` of the byte strings."""
    level = [h(b"\0" + item) for item in items]
    count = len(level)
    while len(level) > 1:
        joined = [h(b"\1" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = joined + level[len(joined) * 2 :]
    top = level[0] if level else bytes(32)
    return h(b"\2" + count.to_bytes(8, "little") + top)


def blob_root(data: bytes | memoryview) -> bytes:
    """`blob` of the bytes: the list of their 4,096-byte pieces."""
    return list_root(bytes(data[at : at + PIECE]) for at in range(0, len(data), PIECE))


def u32(*values: int) -> bytes:
    """Little endian words."""
    return b"".join(int(value).to_bytes(4, "little") for value in values)


def i32_bytes(row: ArrayLike) -> bytes:
    """Values that fit an i32, as such."""
    return np.asarray(row).astype("<i4").tobytes()


def i16_bytes(row: ArrayLike) -> bytes:
    """Values that fit an i16, as such."""
    return np.asarray(row).astype("<i2").tobytes()


def ids_root(ids: Sequence[int]) -> bytes:
    """The list of the ids, a u32 each."""
    return list_root(u32(token) for token in ids)


def row_root(rows: ArrayLike) -> bytes:
    """The list of i32 rows `[positions, d]`."""
    return list_root(i32_bytes(row) for row in np.asarray(rows))
