"""Section 11, header: parsing, writing, and the limits of section 2 that it carries."""

from __future__ import annotations

import enum
from dataclasses import astuple, dataclass, fields

import numpy as np

from .errors import TwinError

SPEC_ID = 1
FIXED_WORDS = 23
DIGESTS = 64


class Kind(enum.IntEnum):
    """Word 1."""

    DECODER = 0
    ENCODER = 1


class Flag(enum.IntFlag):
    """Word 14."""

    SHARED_HEAD = 1 << 0
    LAYER_NORM = 1 << 1
    UNGATED = 1 << 2
    BIAS_QKV = 1 << 3
    BIAS_O = 1 << 4
    BIAS_MLP = 1 << 5
    QK_NORM = 1 << 6
    SCORE_CAP = 1 << 7
    POSITIONS = 1 << 8
    EMBEDDING_NORM = 1 << 9
    FINAL_NORM = 1 << 10
    ROUTER_OVER_ALL = 1 << 11
    FINAL_CAP = 1 << 12
    SECOND_PLANE = 1 << 13


class Activation(enum.IntEnum):
    """Word 15: the table of the gate."""

    S = 0
    G = 1
    GT = 2


class Placement(enum.IntEnum):
    """Word 16: where the norms are."""

    PRE = 0
    POST = 1
    SANDWICH = 2


class Pool(enum.IntEnum):
    """Word 21: how an encoder makes one row of all."""

    NONE = 0
    MEAN = 1
    FIRST = 2


@dataclass(frozen=True)
class Header:
    """The header's fields, in the order of its words; names as in section 2."""

    spec: int
    kind: int
    vocab: int
    context: int
    d: int
    layers: int
    n_q: int
    n_kv: int
    head_dim: int
    rot: int
    f: int
    experts: int
    experts_per_token: int
    f_h: int
    flags: int
    activation: int
    placement: int
    rope_tables: int
    c_l: int
    sigma_l: int
    cap_l: int
    pool: int
    eos: tuple[int, ...]
    tokenizer: bytes
    template: bytes

    def has(self, flag: Flag) -> bool:
        """Whether the flag is set."""
        return bool(self.flags & flag)

    @property
    def decoder(self) -> bool:
        """Whether this is a decoder."""
        return self.kind == Kind.DECODER

    @property
    def planes(self) -> int:
        """Planes of every linear's weights."""
        return 2 if self.has(Flag.SECOND_PLANE) else 1

    def to_bytes(self) -> bytes:
        """The header's bytes."""
        numbers = astuple(self)[: FIXED_WORDS - 1]
        words = np.array([*numbers, len(self.eos), *self.eos], dtype="<i4")
        return words.tobytes() + self.tokenizer + self.template

    @classmethod
    def parse(cls, data: bytes, name: str = "header.bin") -> Header:
        """Reads and checks a header; `name` is the file's, for errors."""
        if len(data) < 4 * FIXED_WORDS + DIGESTS:
            raise TwinError(f"{name}: {len(data)} bytes, a header has at least {4 * FIXED_WORDS + DIGESTS}")
        count = int.from_bytes(data[88:92], "little")
        if len(data) != 4 * FIXED_WORDS + 4 * count + DIGESTS:
            raise TwinError(f"{name}: {len(data)} bytes do not fit an eos count of {count}")
        words = np.frombuffer(data[:-DIGESTS], dtype="<i4").tolist()
        eos, tokenizer, template = tuple(words[FIXED_WORDS:]), data[-64:-32], data[-32:]
        header = cls(*words[: FIXED_WORDS - 1], eos, tokenizer, template)  # type: ignore[call-arg]
        header.check(name)
        return header

    def check(self, name: str = "header.bin") -> None:
        """Raises on the first field that breaks a limit of section 2 or a rule of section 11."""

        def within(field: str, low: int, high: int) -> None:
            value = getattr(self, field)
            if not low <= value <= high:
                raise TwinError(f"{name}: {field} is {value}, not in {low}..{high}")

        def require(holds: bool, text: str) -> None:
            if not holds:
                raise TwinError(f"{name}: {text}")

        for field in fields(self)[: FIXED_WORDS - 1]:
            within(field.name, 0, (1 << 31) - 1)
        within("spec", SPEC_ID, SPEC_ID)
        within("kind", 0, 1)
        within("vocab", 1, 1 << 20)
        within("context", 1, 1 << 17)
        within("d", 1, 1 << 14)
        within("layers", 1, 1 << 10)
        within("n_q", 1, 1 << 10)
        within("n_kv", 1, self.n_q)
        require(self.n_q % self.n_kv == 0, f"n_kv {self.n_kv} does not divide n_q {self.n_q}")
        within("head_dim", 1, 256)
        require(self.head_dim % 2 == 0, f"head_dim {self.head_dim} is odd")
        require(self.n_q * self.head_dim <= 1 << 16, f"n_q * head_dim is {self.n_q * self.head_dim}, above 2^16")
        within("rot", 0, self.head_dim)
        require(self.rot % 2 == 0, f"rot {self.rot} is odd")
        within("f", 1, 1 << 16)
        within("experts", 0, 1 << 10)
        within("experts_per_token", min(1, self.experts), min(64, self.experts))
        within("f_h", 4, 20)
        within("flags", 0, (1 << 14) - 1)
        within("activation", 0, 2)
        within("placement", 0, 2)
        within("rope_tables", 0, self.layers)
        require((self.rot == 0) == (self.rope_tables == 0), "rot is 0 exactly if there are no rope tables")
        capped = self.has(Flag.FINAL_CAP)
        within("c_l", 0, (1 << 23) - 1 if capped else 0)
        within("sigma_l", 0, 62 if capped else 0)
        within("cap_l", 0, (1 << 23) - 1 if capped else 0)
        decoder_only = Flag.SHARED_HEAD | Flag.FINAL_CAP
        if self.decoder:
            within("pool", 0, 0)
            require(self.has(Flag.FINAL_NORM), "flags: a decoder has a final norm (bit 10)")
        else:
            within("pool", 1, 2)
            require(not self.flags & decoder_only, f"flags {self.flags:#x}: bits 0 and 12 are a decoder's")
            require(not self.eos, "an encoder has no eos ids")
        require(self.experts > 0 or not self.has(Flag.ROUTER_OVER_ALL), "flags: bit 11 without experts")
        require(all(0 <= token < self.vocab for token in self.eos), "an eos id is not in the vocabulary")
        require(all(a < b for a, b in zip(self.eos, self.eos[1:])), "eos ids do not strictly ascend")
