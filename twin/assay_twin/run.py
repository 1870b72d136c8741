"""Whole texts: generation position by position, replay of all positions at once, and embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .commit import Commitment, kv_root, stage_root
from .errors import TwinError
from .graph import Span, embed, logits, pooled
from .merkle import i16_bytes, ids_root, list_root, row_root
from .package import Package
from .primitives import Ints
from .sampling import Sampling, draw

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Request:
    """What to generate."""

    prompt: list[int]
    max_new: int
    sampling: Sampling = Sampling()


@dataclass(frozen=True)
class Generation:
    """All ids, the prompt's included, and each stage's commitment."""

    ids: list[int]
    stages: list[Commitment]


@dataclass(frozen=True)
class Embedding:
    """v, `[d]` i16 Q15, and each stage's commitment."""

    values: Ints
    stages: list[Commitment]


@dataclass
class _Chain:
    """The stages of a model, and the rows at each boundary between them."""

    package: Package
    spans: list[Span]
    boundaries: list[list[Ints]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.boundaries = [[] for _ in self.spans[1:]]

    def forward(self, ids: list[int]) -> Ints:
        """The last stage's rows for the next ids."""
        rows = embed(self.package, ids, self.spans[0].positions)
        for i, span in enumerate(self.spans):
            rows = span.forward(rows)
            if i < len(self.boundaries):
                self.boundaries[i].append(rows)
        return rows

    def commit(
        self, ids: list[int], prompt_length: int, request: tuple[int, Sampling] | None, out_root: bytes
    ) -> list[Commitment]:
        """The commitments; `out_root` is the last stage's."""
        inner = [row_root(np.concatenate(rows)) for rows in self.boundaries]
        joints = [ids_root(ids), *inner, out_root]
        commitments = []
        for span, in_root, out in zip(self.spans, joints, joints[1:]):
            roots = (in_root, out, kv_root(span.caches), list_root(span.tails))
            root = stage_root(self.package.model_root, (span.first, span.end), prompt_length, request, roots)
            commitments.append(Commitment(span.first, span.end, span.positions, *roots, root))
        return commitments


def even_spans(layers: int, stages: int) -> list[tuple[int, int]]:
    """The layers divided over the stages; where that leaves a rest, the first ones have one layer more."""
    if not 1 <= stages <= layers:
        raise TwinError(f"{stages} stages cannot share {layers} layers")
    cuts = [layers // stages * i + min(i, layers % stages) for i in range(stages + 1)]
    return list(zip(cuts, cuts[1:]))


def _chain(package: Package, spans: Spans) -> _Chain:
    ends = [0, *(end for _, end in spans)]
    if [first for first, _ in spans] != ends[:-1] or ends[-1] != package.header.layers:
        raise TwinError(f"the spans {list(spans)} do not cover the layers 0..{package.header.layers} in order")
    return _Chain(package, [Span(package, first, end) for first, end in spans])


def _check_ids(package: Package, ids: Sequence[int], more: int) -> None:
    header = package.header
    if not ids:
        raise TwinError("there are no ids")
    for token in ids:
        if not 0 <= token < header.vocab:
            raise TwinError(f"id {token} is not in the vocabulary of {header.vocab}")
    if len(ids) + more > header.context:
        raise TwinError(f"{len(ids)} ids and {more} new ones exceed the context of {header.context}")


def _check_request(package: Package, request: Request) -> None:
    if not package.header.decoder:
        raise TwinError("an encoder does not generate")
    if request.max_new < 1:
        raise TwinError(f"max_new is {request.max_new}, not at least 1")
    request.sampling.check()
    _check_ids(package, request.prompt, request.max_new)


def generate(package: Package, request: Request, spans: Spans) -> Generation:
    """Prefill, then one position at a time."""
    _check_request(package, request)
    chain = _chain(package, spans)
    ids = list(request.prompt)
    fed = 0
    while True:
        rows = chain.forward(ids[fed:])
        fed = len(ids)
        raw, capped = logits(package, rows[-1:])
        token = draw(raw[0], capped[0], request.sampling, fed)
        ids.append(token)
        if token in package.header.eos or len(ids) - len(request.prompt) == request.max_new:
            break
    commitments = chain.commit(ids, len(request.prompt), (request.max_new, request.sampling), ids_root(ids))
    return Generation(ids, commitments)


def replay(package: Package, request: Request, ids: list[int], spans: Spans) -> Generation:
    """What a checker does: all positions of `ids` at once, and every generated id drawn again."""
    _check_request(package, request)
    _check_ids(package, ids, 0)
    chain = _chain(package, spans)
    rows = chain.forward(ids[:-1])
    raw, capped = logits(package, rows[len(request.prompt) - 1 :])
    drawn = [
        draw(raw[i], capped[i], request.sampling, len(request.prompt) + i)
        for i in range(len(ids) - len(request.prompt))
    ]
    again = list(request.prompt) + drawn
    commitments = chain.commit(again, len(request.prompt), (request.max_new, request.sampling), ids_root(again))
    return Generation(again, commitments)


def embed_text(package: Package, ids: list[int], spans: Spans) -> Embedding:
    """An encoder's embedding of a text."""
    if package.header.decoder:
        raise TwinError("a decoder gives no embedding")
    _check_ids(package, ids, 0)
    chain = _chain(package, spans)
    values = pooled(package, chain.forward(list(ids)))
    commitments = chain.commit(ids, len(ids), None, list_root([i16_bytes(values)]))
    return Embedding(values, commitments)
