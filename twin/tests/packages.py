"""Random packages, written straight from section 11: every flag, without a converter in between.

Two characters: `sane` packages have the magnitudes of a trained model, so that every intermediate value moves;
`wild` ones have every number anywhere within its limits, so that most of them saturate.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay_twin.header import Activation, Flag, Header, Kind, Placement, Pool
from assay_twin.merkle import blob_root, h, list_root, u32
from assay_twin.package import part_spans
from assay_twin.parts import (
    LinearShape,
    NormShape,
    ScalesShape,
    Shape,
    StaticsShape,
    TablesShape,
    entries,
)

# Where nothing else is asked for.
SMALL = Header(
    spec=1, kind=Kind.DECODER, vocab=37, context=40, d=24, layers=3, n_q=4, n_kv=2, head_dim=6, rot=6, f=35, experts=0,
    experts_per_token=0, f_h=14, flags=Flag.FINAL_NORM, activation=Activation.S, placement=Placement.PRE,
    rope_tables=1, c_l=0, sigma_l=0, cap_l=0, pool=Pool.NONE, eos=(), tokenizer=bytes(32), template=bytes(32),
)  # fmt: skip
# As a decoder, less what only decoders have.
ENCODER = {"kind": Kind.ENCODER, "pool": Pool.MEAN}
BIASES = Flag.BIAS_QKV | Flag.BIAS_O | Flag.BIAS_MLP


@dataclass(frozen=True)
class Case:
    """A package to make: fields of the header beside `SMALL`'s, and windows of the layers in turn."""

    name: str
    header: dict[str, Any] = field(default_factory=dict)
    flags: Flag = Flag(0)
    windows: tuple[int, ...] = (0,)
    # RoPE tables of the layers in turn; by default all use the first, if there is one.
    rope: tuple[int, ...] = ()
    wild: bool = False


CAP = {"c_l": 4473924, "sigma_l": 26, "cap_l": 30 << 16}

# Flags that an encoder may have, each alone.
ENCODER_FLAGS = (
    Flag.LAYER_NORM, Flag.UNGATED, Flag.BIAS_QKV, Flag.BIAS_O, Flag.BIAS_MLP, Flag.QK_NORM, Flag.SCORE_CAP,
    Flag.POSITIONS, Flag.EMBEDDING_NORM, Flag.SECOND_PLANE,
)  # fmt: skip


def _encoder(name: str, header: dict[str, Any], flags: Flag = Flag(0), wild: bool = False) -> list[Case]:
    """The same encoder with both poolings."""
    pools = (("mean", Pool.MEAN), ("first", Pool.FIRST))
    return [Case(f"{name}_{pool}", {**ENCODER, **header, "pool": p}, flags, wild=wild) for pool, p in pools]


CASES = [
    Case("plain"),
    Case("shared_head", flags=Flag.SHARED_HEAD),
    Case("layer_norm", flags=Flag.LAYER_NORM),
    Case("ungated", {"activation": Activation.GT}, Flag.UNGATED),
    Case("qkv_bias", flags=Flag.BIAS_QKV),
    Case("all_biases", flags=BIASES),
    Case("qk_norm", flags=Flag.QK_NORM),
    Case("qk_norm_beside_layer_norm", flags=Flag.QK_NORM | Flag.LAYER_NORM),
    Case("score_cap", flags=Flag.SCORE_CAP),
    Case("position_matrix_without_rope", {"rot": 0, "rope_tables": 0}, Flag.POSITIONS),
    Case("embedding_norm", flags=Flag.EMBEDDING_NORM),
    Case("final_cap", CAP, Flag.FINAL_CAP),
    Case("two_planes", flags=Flag.SECOND_PLANE),
    Case("two_planes_shared_head", flags=Flag.SECOND_PLANE | Flag.SHARED_HEAD | BIASES),
    Case("two_planes_experts", {"experts": 4, "experts_per_token": 2}, Flag.SECOND_PLANE | Flag.POSITIONS),
    Case("sandwich", {"placement": Placement.SANDWICH, "activation": Activation.GT}),
    Case("post", {"placement": Placement.POST}),
    Case("gelu_gate", {"activation": Activation.G}),
    Case("partial_rotation", {"rot": 2}),
    Case("sliding_windows", windows=(5, 0, 1)),
    Case("two_rope_tables", {"rope_tables": 2}, rope=(0, 1, -1)),
    Case("experts", {"experts": 5, "experts_per_token": 2}),
    Case("experts_over_all", {"experts": 4, "experts_per_token": 3}, Flag.ROUTER_OVER_ALL | Flag.BIAS_MLP),
    Case("experts_ungated", {"experts": 3, "experts_per_token": 1}, Flag.UNGATED),
    Case("one_of_everything", {"vocab": 1, "d": 1, "n_q": 1, "n_kv": 1, "head_dim": 2, "rot": 2, "f": 1, "layers": 1}),
    Case("wide", {"d": 130, "n_q": 6, "n_kv": 3, "head_dim": 34, "rot": 30, "f": 257, "layers": 2}),
    Case("eos", {"eos": tuple(range(0, 37, 4))}),
    Case(
        "gemma_like",
        {"placement": Placement.SANDWICH, "activation": Activation.GT, "rope_tables": 2, **CAP},
        Flag.SHARED_HEAD | Flag.QK_NORM | Flag.SCORE_CAP | Flag.FINAL_CAP,
        windows=(4, 0),
        rope=(0, 1),
    ),
    Case(
        "everything",
        {"placement": Placement.SANDWICH, "experts": 4, "experts_per_token": 2, "rope_tables": 2, "rot": 4, **CAP},
        BIASES | Flag.LAYER_NORM | Flag.QK_NORM | Flag.SCORE_CAP | Flag.POSITIONS | Flag.EMBEDDING_NORM
        | Flag.ROUTER_OVER_ALL | Flag.FINAL_CAP | Flag.SHARED_HEAD | Flag.SECOND_PLANE,
        windows=(3, 0, 7),
        rope=(1, -1, 0),
    ),
    Case("wild", wild=True),
    Case("wild_layer_norm_with_biases", flags=BIASES | Flag.LAYER_NORM | Flag.EMBEDDING_NORM, wild=True),
    Case("wild_sandwich", {"placement": Placement.SANDWICH}, BIASES | Flag.QK_NORM | Flag.SCORE_CAP, wild=True),
    Case("wild_post_ungated", {"placement": Placement.POST}, Flag.UNGATED | BIASES, wild=True),
    Case("wild_two_planes", flags=Flag.SECOND_PLANE | Flag.SHARED_HEAD | BIASES, wild=True),
    Case("wild_experts", {"experts": 5, "experts_per_token": 3}, Flag.BIAS_MLP, wild=True),
    Case("wild_cap", {"c_l": (1 << 23) - 1, "sigma_l": 9, "cap_l": (1 << 23) - 1}, Flag.FINAL_CAP, wild=True),
    *_encoder("encoder", {}),
    *_encoder("encoder_without_final_norm", {"flags": 0}),
    *(
        Case(f"encoder_{flag.name.lower()}", {**ENCODER, "pool": (Pool.MEAN, Pool.FIRST)[i % 2]}, flag)
        for i, flag in enumerate(ENCODER_FLAGS)
    ),
    Case(
        "bert_like",
        {**ENCODER, "flags": 0, "placement": Placement.POST, "activation": Activation.G, "rot": 0, "rope_tables": 0},
        BIASES | Flag.LAYER_NORM | Flag.UNGATED | Flag.POSITIONS | Flag.EMBEDDING_NORM | Flag.SECOND_PLANE,
    ),
    Case("encoder_sandwich", {**ENCODER, "placement": Placement.SANDWICH, "activation": Activation.GT}),
    Case("encoder_two_rope_tables", {**ENCODER, "rope_tables": 2, "rot": 2}, rope=(1, -1, 0)),
    Case("encoder_experts", {**ENCODER, "experts": 4, "experts_per_token": 2}, Flag.QK_NORM | Flag.SCORE_CAP),
    *_encoder(
        "encoder_one_of_everything",
        {
            "vocab": 1, "context": 1, "d": 1, "layers": 1, "n_q": 1, "n_kv": 1, "head_dim": 2, "rot": 0,
            "rope_tables": 0, "f": 1,
        },
    ),
    *_encoder(
        "encoder_one_layer",
        {"d": 23, "layers": 1, "n_q": 3, "n_kv": 1, "head_dim": 8, "rot": 6, "f": 41, "context": 19},
        BIASES | Flag.LAYER_NORM,
    ),
    *_encoder(
        "encoder_heads_that_do_not_divide",
        {"d": 65, "layers": 4, "n_q": 10, "n_kv": 5, "head_dim": 14, "rot": 4, "f": 129, "context": 33},
        Flag.UNGATED | Flag.BIAS_QKV,
    ),
    *_encoder(
        "encoder_wide",
        {"d": 130, "layers": 2, "n_q": 6, "n_kv": 3, "head_dim": 34, "rot": 30, "f": 257, "placement": Placement.POST},
        Flag.LAYER_NORM | Flag.EMBEDDING_NORM,
    ),
    *_encoder("encoder_long", {"layers": 2, "context": 403}, Flag.POSITIONS | Flag.LAYER_NORM),
    *_encoder(
        "encoder_everything",
        {"placement": Placement.SANDWICH, "experts": 4, "experts_per_token": 3, "rope_tables": 2, "rot": 4},
        BIASES | Flag.LAYER_NORM | Flag.QK_NORM | Flag.SCORE_CAP | Flag.POSITIONS | Flag.EMBEDDING_NORM
        | Flag.ROUTER_OVER_ALL,
    ),
    *_encoder("wild_encoder", {}, BIASES | Flag.LAYER_NORM, wild=True),
    *_encoder(
        "wild_encoder_post",
        {"placement": Placement.POST, "flags": 0},
        BIASES | Flag.UNGATED | Flag.POSITIONS | Flag.EMBEDDING_NORM | Flag.LAYER_NORM | Flag.SECOND_PLANE,
        wild=True,
    ),
    *_encoder(
        "wild_encoder_sandwich",
        {"placement": Placement.SANDWICH, "experts": 3, "experts_per_token": 2},
        BIASES | Flag.QK_NORM | Flag.SCORE_CAP | Flag.ROUTER_OVER_ALL,
        wild=True,
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Word:
    """A value to write over one i32 of a part: the file, the part's place in it, the word's place in the part."""

    file: str
    part: int
    index: int
    value: int


def write(case: Case, folder: Path, broken: Word | None = None) -> Header:
    """Makes the package in a new folder, with its manifest; `broken` is written before anything is hashed."""
    rng = np.random.default_rng(list(case.name.encode()))
    tokenizer = tokenizer_json(case.header.get("vocab", SMALL.vocab))
    header = replace(SMALL, tokenizer=h(tokenizer), template=h(b""), **case.header)
    header = replace(header, flags=int(header.flags | case.flags))
    plain: dict[str, Any] = {name: int(value) for name, value in vars(header).items() if isinstance(value, int)}
    header = replace(header, **plain)
    header.check(case.name)

    files = {"header.bin": [header.to_bytes()]}
    layer = 0
    for entry, shapes in entries(header):
        if entry.startswith("layer-"):
            made = [_layer_part(shape, case, header, layer, rng) for shape in shapes]
            layer += 1
        else:
            made = [_part(shape, case, header, rng) for shape in shapes]
        files[entry + ".bin"] = made
    if broken:
        part = bytearray(files[broken.file][broken.part])
        part[4 * broken.index : 4 * broken.index + 4] = broken.value.to_bytes(4, "little", signed=True)
        files[broken.file][broken.part] = bytes(part)

    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    shapes_of = dict(entries(header))
    listed, roots = [], []
    for name, parts in files.items():
        is_layer = name.startswith("layer-")
        root = list_root(map(blob_root, parts)) if is_layer else blob_root(parts[0])
        data = parts[0] if name == "header.bin" else _aligned(shapes_of[name.removesuffix(".bin")], parts)
        (folder / name).write_bytes(data)
        listed.append({"file": name, "bytes": len(data), "root": root.hex()})
        roots.append(root)
    manifest = {"format": 1, "spec": 1, "model_root": list_root(roots).hex(), "entries": listed}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return header


def tokenizer_json(vocab: int) -> bytes:
    """A tokenizer whose words `t0`, `t1`, .. are its ids."""
    words = {f"t{i}": i for i in range(vocab)}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "t0"}
    tokenizer: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None, "model": model,
    }  # fmt: skip
    return json.dumps(tokenizer).encode()


def _aligned(shapes: list[Shape], parts: list[bytes]) -> bytes:
    spans = part_spans(shapes)
    data = bytearray(spans[-1].stop)
    for span, part in zip(spans, parts):
        data[span] = part
    return bytes(data)


def _layer_part(shape: Shape, case: Case, header: Header, layer: int, rng: np.random.Generator) -> bytes:
    if not isinstance(shape, StaticsShape):
        return _part(shape, case, header, rng)
    window = case.windows[layer % len(case.windows)]
    rope = case.rope or (0 if header.rope_tables else -1,)
    sandwich = header.placement == Placement.SANDWICH
    if case.wild:
        f_o, f_d = rng.integers(-64, 65, 2) if sandwich else (header.f_h, header.f_h)
        fixed = [window, rope[layer % len(rope)], rng.integers(-64, 65), f_o, f_d]
        per_head = [63, 1 << 23, 63] + ([1 << 23, 63] if shape.capped else [])
        heads = rng.integers(0, per_head, (header.n_q, len(per_head)))
        keys = rng.integers(0, 63, header.n_kv)
    else:
        # Queries and keys within 2^15 * 2^-11, scores in units of 2^-22: section 10.
        f_o, f_d = (header.f_h - 2, header.f_h + 1) if sandwich else (header.f_h, header.f_h)
        fixed = [window, rope[layer % len(rope)], -11, f_o, f_d]
        scale = 1 / math.sqrt(header.head_dim)
        heads = np.empty((header.n_q, 5 if shape.capped else 3), np.int64)
        for row in heads:
            row[0] = rng.integers(34, 37)
            if shape.capped:
                cap = 4.0
                row[1:3] = _constant(cap * math.log2(math.e) / 2**8)
                row[3:5] = _constant(2.0 ** (17 - 22) * scale / cap)
            else:
                row[1:3] = _constant(2.0 ** (16 - 22) * math.log2(math.e) * scale)
        keys = rng.integers(34, 37, header.n_kv)
    return _words([*fixed, *heads.ravel(), *keys])


def _constant(value: float) -> tuple[int, int]:
    """(c, shift) with c in [2^22, 2^23)."""
    mantissa, exponent = math.frexp(value)
    return min(int(mantissa * 2**23), 2**23 - 1), 23 - exponent


def _part(shape: Shape, case: Case, header: Header, rng: np.random.Generator) -> bytes:
    if isinstance(shape, LinearShape):
        embedding = shape.name in ("embed", "positions")
        low = -128 if case.wild else -127
        w = rng.integers(low, 128, shape.planes * shape.out * shape.inner).astype(np.int8).tobytes()
        # Rows of about unit length, or embeddings of about unit size.
        bias = b""
        if shape.bias:
            high = 1 << (31 if case.wild else 14)
            bias = _words(rng.integers(-high, high, shape.out))
        return w + _scales(shape.out, 1 if embedding else shape.inner, case, rng) + bias
    if isinstance(shape, ScalesShape):
        return _scales(shape.out, header.d, case, rng)
    if isinstance(shape, TablesShape):
        if case.wild:
            return _words(rng.integers(-(1 << 30), (1 << 30) + 1, int(np.prod(shape.shape))))
        tables, context, pairs, _ = shape.shape
        angle = np.arange(context)[None, :, None] / np.array([50.0, 7.0])[:tables, None, None] ** (
            np.arange(pairs) / max(1, pairs)
        )
        return _words(np.rint(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * 2**30).ravel())
    assert isinstance(shape, NormShape)
    if case.wild:
        fixed = rng.integers([0, 0, -256], [31, 1 << 24, 257])
        values = rng.integers(-(1 << 31), 1 << 31, shape.n * (1 + shape.bias))
    else:
        fixed = np.array([16, 1 << 23, 20])
        sizes = np.repeat([math.sqrt(shape.n), 1.0], [shape.n, shape.n * shape.bias]) * 2**16
        values = np.rint(rng.uniform(0.5, 1.5, len(sizes)) * sizes).astype(np.int64)
    return _words([*fixed, *values])


def _scales(rows: int, inner: int, case: Case, rng: np.random.Generator) -> bytes:
    m = rng.integers(0 if case.wild else 1 << 23, 1 << 24, rows)
    if case.wild:
        k = rng.integers(0, 64, rows)
    else:
        # 73 is the deviation of uniform weights of 8 bits, 2^23.5 the middle of m.
        k = np.full(rows, round(23.5 + math.log2(73 * math.sqrt(inner))))
    return u32(*(m + (k << 24)).tolist())


def _words(values: Any) -> bytes:
    return np.asarray(values, dtype=np.float64).astype("<i4").tobytes()
