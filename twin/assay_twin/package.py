"""A package on disk: a folder with one file per entry, or the same files in one archive (docs/converter.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .errors import TwinError
from .header import Flag, Header
from .merkle import blob_root, h, list_root
from .parts import (
    Linear,
    LinearShape,
    Norm,
    NormShape,
    Shape,
    Statics,
    StaticsShape,
    TablesShape,
    check_array,
    entries,
    row_scales,
    words,
)
from .primitives import Ints

ALIGNMENT = 64
ARCHIVE_MAGIC = b"assaypk1"
HEADER, MANIFEST, TOKENIZER, TEMPLATE = "header.bin", "manifest.json", "tokenizer.json", "chat_template.jinja"


@dataclass(frozen=True)
class Layer:
    """A layer's parts by name."""

    statics: Statics
    norms: dict[str, Norm]
    linears: dict[str, Linear]


class Files:
    """The named files of a folder or of an archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: dict[str, memoryview] | None = None
        if path.is_file():
            self._archive = _read_archive(path)
        elif not path.is_dir():
            raise TwinError(f"{path}: there is no such package")

    def find(self, name: str) -> memoryview | None:
        """A file's bytes, or None."""
        if self._archive is not None:
            return self._archive.get(name)
        path = self.path / name
        return memoryview(path.read_bytes()) if path.is_file() else None

    def read(self, name: str) -> memoryview:
        """A file's bytes."""
        data = self.find(name)
        if data is None:
            raise TwinError(f"{self.path}: {name} is missing")
        return data


def _read_archive(path: Path) -> dict[str, memoryview]:
    data = memoryview(path.read_bytes())
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        if len(data) - at < size:
            raise TwinError(f"{path}: the archive's index is cut short")
        at += size
        return bytes(data[at - size : at])

    if take(len(ARCHIVE_MAGIC)) != ARCHIVE_MAGIC:
        raise TwinError(f"{path}: not an archive of a package")
    files = {}
    for _ in range(int.from_bytes(take(4), "little")):
        name = take(int.from_bytes(take(4), "little")).decode("utf-8", "replace")
        offset, size = (int.from_bytes(take(8), "little") for _ in range(2))
        if offset + size > len(data):
            raise TwinError(f"{path}: {name} ends after the archive")
        files[name] = data[offset : offset + size]
    return files


class Package:
    """An opened package: its header is checked, its entries are read when first used.

    `entry_roots` and `model_root` hash every byte.
    """

    def __init__(self, path: str | Path) -> None:
        self.files = Files(Path(path))
        self.header = Header.parse(bytes(self.files.read(HEADER)))
        self._shapes = dict(entries(self.header))
        self._layers: dict[int, Layer] = {}
        self._check_digests()

    def _check_digests(self) -> None:
        template = self.files.find(TEMPLATE)
        for name, data, digest in (
            (TOKENIZER, self.files.read(TOKENIZER), self.header.tokenizer),
            (TEMPLATE, template if template is not None else b"", self.header.template),
        ):
            if h(bytes(data)) != digest:
                raise TwinError(f"{self.files.path}: {name} is not the one that the header names")

    # Roots

    @cached_property
    def entry_roots(self) -> list[tuple[str, bytes]]:
        """The root of each entry of `model_root`'s list, by file name."""
        roots = [(HEADER, blob_root(self.files.read(HEADER)))]
        for entry, shapes in self._shapes.items():
            parts = self._split(entry)
            is_layer = isinstance(shapes[0], StaticsShape)
            root = list_root(blob_root(part) for part in parts) if is_layer else blob_root(parts[0])
            roots.append((entry + ".bin", root))
        return roots

    @cached_property
    def model_root(self) -> bytes:
        """The root that names the model."""
        return list_root(root for _, root in self.entry_roots)

    def verify(self) -> None:
        """Compares the manifest, if there is one, with the roots that the files have."""
        data = self.files.find(MANIFEST)
        if data is None:
            return
        try:
            manifest = json.loads(bytes(data))
            named = [(entry["file"], entry["root"]) for entry in manifest["entries"]]
            model_root = manifest["model_root"]
        except (ValueError, KeyError, TypeError) as error:
            raise TwinError(f"{self.files.path}: {MANIFEST}: {error!r}; it needs `model_root` and `entries`") from None
        for (file, root), (other_file, other) in zip(self.entry_roots, named):
            if (file, root.hex()) != (other_file, other):
                raise TwinError(f"{self.files.path}: {file} has root {root.hex()}, {MANIFEST} has {other_file} {other}")
        if len(named) != len(self.entry_roots):
            raise TwinError(
                f"{self.files.path}: {MANIFEST} has {len(named)} entries, the model {len(self.entry_roots)}"
            )
        if model_root != self.model_root.hex():
            raise TwinError(f"{self.files.path}: model root {self.model_root.hex()}, {MANIFEST} has {model_root}")

    # Entries

    @cached_property
    def tables(self) -> Ints:
        """RoPE, `[tables, context, rot / 2, 2]` of (c, s) in Q30."""
        (shape,) = self._shapes["tables"]
        assert isinstance(shape, TablesShape)
        values = words(self._split("tables")[0])
        check_array(f"{self.files.path}: entry of tables.bin", values, -(1 << 30), 1 << 30)
        return values.reshape(shape.shape)

    @cached_property
    def embed(self) -> Linear:
        """E."""
        return self._linear("embed")

    @cached_property
    def positions(self) -> Linear | None:
        """P, with flag 8."""
        return self._linear("positions") if self.header.has(Flag.POSITIONS) else None

    @cached_property
    def embedding_norm(self) -> Norm | None:
        """With flag 9."""
        return self._norm("embedding_norm") if self.header.has(Flag.EMBEDDING_NORM) else None

    @cached_property
    def final_norm(self) -> Norm | None:
        """With flag 10."""
        return self._norm("final_norm") if self.header.has(Flag.FINAL_NORM) else None

    @cached_property
    def head(self) -> Linear:
        """A decoder's head: its own W, or the embedding's, with its own scales."""
        (shape,) = self._shapes["head"]
        if isinstance(shape, LinearShape):
            return self._linear("head")
        m, k = row_scales(self._split("head")[0])
        return Linear(self.embed.planes, m, k, np.zeros(self.header.vocab, np.int64))

    def layer(self, index: int) -> Layer:
        """A layer."""
        if index not in self._layers:
            self._layers[index] = self._read_layer(f"layer-{index:03}")
        return self._layers[index]

    def _read_layer(self, entry: str) -> Layer:
        name = f"{self.files.path}: {entry}.bin"
        norms, linears, statics = {}, {}, None
        for shape, data in zip(self._shapes[entry], self._split(entry)):
            if isinstance(shape, StaticsShape):
                statics = Statics.read(shape, data, name, self.header)
            elif isinstance(shape, NormShape):
                norms[shape.name] = Norm.read(shape, data, name)
            elif isinstance(shape, LinearShape):
                linears[shape.name] = Linear.read(shape, data, name)
        assert statics is not None
        return Layer(statics, norms, linears)

    def _linear(self, entry: str) -> Linear:
        (shape,) = self._shapes[entry]
        assert isinstance(shape, LinearShape)
        return Linear.read(shape, self._split(entry)[0], f"{self.files.path}: {entry}.bin")

    def _norm(self, entry: str) -> Norm:
        (shape,) = self._shapes[entry]
        assert isinstance(shape, NormShape)
        return Norm.read(shape, self._split(entry)[0], f"{self.files.path}: {entry}.bin")

    def _split(self, entry: str) -> list[memoryview]:
        """The bytes of each part of an entry's file."""
        name = entry + ".bin"
        data = self.files.read(name)
        spans = part_spans(self._shapes[entry])
        if len(data) != spans[-1].stop:
            raise TwinError(f"{self.files.path}: {name} has {len(data)} bytes, its parts need {spans[-1].stop}")
        return [data[span] for span in spans]


def part_spans(shapes: list[Shape]) -> list[slice]:
    """Where the parts lie in their file: each at a multiple of 64 bytes, nothing after the last."""
    spans, at = [], 0
    for shape in shapes:
        at = -(-at // ALIGNMENT) * ALIGNMENT
        spans.append(slice(at, at + shape.size))
        at += shape.size
    return spans
