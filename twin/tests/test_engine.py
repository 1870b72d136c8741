"""The twin beside the engine: every id and every root of whole texts, over

- the demo model,
- random packages with every flag of the specification,
- random checkpoints of every family, converted by the engine,
- all-MiniLM-L6-v2, if `ASSAY_MINILM` names its folder.

`ASSAY_ENGINE` names the engine's binary. What that engine refuses as a family that it does not know is skipped, with
its own words as the reason; anything else that it refuses is a failure.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay_twin.cli import stage_json
from assay_twin.errors import TwinError
from assay_twin.header import Flag
from assay_twin.package import Package
from assay_twin.run import Request, embed_text, even_spans, generate, replay
from assay_twin.sampling import Sampling

from . import checkpoints, packages
from .packages import Word

ENGINE = os.environ.get("ASSAY_ENGINE", "")
DEMO = Path(__file__).parents[2] / "models" / "demo" / "demo.assaypk"

MINILM = os.environ.get("ASSAY_MINILM", "")

UNSUPPORTED = re.compile(r"field `architectures`: \S+ is not supported")
SEED = bytes(range(100, 132))
SAMPLINGS = (
    Sampling(),
    Sampling(800, 0, 60000, SEED),
    Sampling(1300, 7, 65536, SEED),
    Sampling(65535, 30, 50000, bytes(32)),
)


def engine(*arguments: str) -> str:
    """What the engine prints; skips the test if it does not know what it is asked for."""
    done = subprocess.run([ENGINE, *arguments], capture_output=True, text=True, timeout=300)
    if done.returncode:
        unsupported = UNSUPPORTED.search(done.stderr)
        if unsupported:
            raise unittest.SkipTest(unsupported.group())
        raise AssertionError(f"assay-engine {' '.join(arguments)}: {done.stderr}")
    return done.stdout


class Comparison(unittest.TestCase):
    """Twin and engine over one package."""

    maxDiff = None

    def agree(self, make: Callable[[Path], Path], longest: int) -> None:
        """Compares over the package that `make` makes in a folder, on texts of at most `longest` ids."""
        with tempfile.TemporaryDirectory() as folder:
            path = make(Path(folder))
            engine("verify", str(path))
            package = Package(path)
            package.verify()
            layers = package.header.layers
            for run in runs(package, longest):
                stages = min(run.stages, layers)
                with self.subTest(ids=run.ids, stages=stages, sampling=run.sampling):
                    if package.header.decoder:
                        self._generate(package, path, run, stages)
                    else:
                        self._embed(package, path, run, stages)

    def _generate(self, package: Package, path: Path, run: Run, stages: int) -> None:
        s = run.sampling
        printed = engine(
            "generate", "--package", str(path), "--ids", ",".join(map(str, run.ids)),
            "--max-new-tokens", str(run.max_new),
            "--temperature", f"{s.temperature / 1000:.3f}", "--top-k", str(s.top_k), "--top-p", repr(s.top_p / 65536),
            "--seed", s.seed.hex(), "--stages", str(stages), "--backend", run.backend, "--json",
        )  # fmt: skip
        theirs = json.loads(printed)
        request = Request(run.ids, run.max_new, s)
        spans = even_spans(package.header.layers, stages)
        if run.decode:
            ours = generate(package, request, spans)
        else:
            # The engine decodes; the twin computes all positions at once and draws every id again.
            ours = replay(package, request, theirs["ids"], spans)
            new = ours.ids[len(run.ids) :]
            ended = [i for i, token in enumerate(new, 1) if token in package.header.eos]
            self.assertEqual(len(new), ended[0] if ended else run.max_new)
        self.assertEqual(theirs["model_root"], package.model_root.hex())
        self.assertEqual(theirs["ids"], ours.ids)
        self.assertEqual(theirs["stages"], [stage_json(stage) for stage in ours.stages])

    def _embed(self, package: Package, path: Path, run: Run, stages: int) -> None:
        printed = engine(
            "embed", "--package", str(path), "--ids", ",".join(map(str, run.ids)), "--stages", str(stages),
            "--backend", run.backend, "--json",
        )  # fmt: skip
        theirs = json.loads(printed)
        ours = embed_text(package, run.ids, even_spans(package.header.layers, stages))
        self.assertEqual(theirs["model_root"], package.model_root.hex())
        self.assertEqual(theirs["embedding"], ours.values.tolist())
        self.assertEqual(theirs["stages"], [stage_json(stage) for stage in ours.stages])


@unittest.skipUnless(ENGINE, "ASSAY_ENGINE does not name an engine")
class Engine(Comparison):
    """One test for each package, added below."""


@dataclass(frozen=True)
class Run:
    """One text. `decode`: the twin goes position by position too."""

    ids: list[int]
    max_new: int = 0
    sampling: Sampling = Sampling()
    stages: int = 1
    decode: bool = False
    backend: str = "auto"


def runs(package: Package, longest: int) -> list[Run]:
    """Texts for a package: one to four stages, greedy and sampled, blocks of K ‖ V begun and full, and as long as the
    context allows, but for `longest`."""
    vocab = package.header.vocab
    room = min(longest, package.header.context)

    def ids(i: int, length: int) -> list[int]:
        return [(7 + 31 * i + 13 * j * j) % vocab for j in range(length)]

    def backend(i: int) -> str:
        return "scalar" if i == 1 else "auto"

    if not package.header.decoder:
        lengths = (1, min(5, room), min(17, room), room)
        return [Run(ids(i, n), stages=i + 1, backend=backend(i)) for i, n in enumerate(lengths)]
    parts = ((1, min(9, room - 1)), (min(5, room - 1), min(13, room - 5)), (room - 1, 1), (min(17, room - 1), 0))
    return [
        Run(ids(i, prompt), new or room - prompt, SAMPLINGS[i], i + 1, decode=i == 0, backend=backend(i))
        for i, (prompt, new) in enumerate(parts)
    ]


# One number each beyond its limit: (package, words). A layer's parts are statics, n1, q, ..
BROKEN = {
    "plain": {
        "spec": Word("header.bin", 0, 0, 2),
        "kind": Word("header.bin", 0, 1, 2),
        "vocab": Word("header.bin", 0, 2, 0),
        "context": Word("header.bin", 0, 3, (1 << 17) + 1),
        "d": Word("header.bin", 0, 4, (1 << 14) + 1),
        "layers": Word("header.bin", 0, 5, 0),
        "n_q": Word("header.bin", 0, 6, 3),
        "head_dim": Word("header.bin", 0, 8, 258),
        "rot_above_head_dim": Word("header.bin", 0, 9, 8),
        "rot_odd": Word("header.bin", 0, 9, 3),
        "f_negative": Word("header.bin", 0, 10, -1),
        "experts_per_token_when_dense": Word("header.bin", 0, 12, 1),
        "f_h": Word("header.bin", 0, 13, 21),
        "flag_13": Word("header.bin", 0, 14, 1 << 13 | Flag.FINAL_NORM),
        "router_flag_when_dense": Word("header.bin", 0, 14, Flag.ROUTER_OVER_ALL | Flag.FINAL_NORM),
        "no_final_norm": Word("header.bin", 0, 14, 0),
        "activation": Word("header.bin", 0, 15, 3),
        "placement": Word("header.bin", 0, 16, 3),
        "rope_tables_above_layers": Word("header.bin", 0, 17, 4),
        "cap_without_its_flag": Word("header.bin", 0, 18, 1),
        "pool_of_a_decoder": Word("header.bin", 0, 21, 1),
        "table_entry": Word("tables.bin", 0, 5, -(1 << 30) - 1),
        "window": Word("layer-001.bin", 0, 0, -1),
        "rope_table_low": Word("layer-001.bin", 0, 1, -2),
        "rope_table_high": Word("layer-001.bin", 0, 1, 1),
        "e_v": Word("layer-001.bin", 0, 2, 65),
        "f_o_not_f_h": Word("layer-001.bin", 0, 3, 15),
        "f_d_not_f_h": Word("layer-001.bin", 0, 4, 13),
        "sigma_q": Word("layer-001.bin", 0, 5, 63),
        "c_high": Word("layer-001.bin", 0, 6, 1 << 23),
        "c_negative": Word("layer-001.bin", 0, 6, -1),
        "sigma_l": Word("layer-001.bin", 0, 7, 63),
        "sigma_k": Word("layer-001.bin", 0, 5 + 4 * 3, -1),
        "f_g": Word("layer-001.bin", 1, 0, 31),
        "eps_m_high": Word("layer-001.bin", 1, 1, 1 << 24),
        "eps_m_negative": Word("layer-001.bin", 1, 1, -1),
        "eps_k": Word("final_norm.bin", 0, 2, 257),
    },
    "gemma_like": {
        "f_o": Word("layer-002.bin", 0, 3, 65),
        "c_0": Word("layer-002.bin", 0, 8, 1 << 23),
        "sigma_0": Word("layer-002.bin", 0, 9, 63),
        "c_l": Word("header.bin", 0, 18, 1 << 23),
        "sigma_l_of_logits": Word("header.bin", 0, 19, 63),
        "cap_l": Word("header.bin", 0, 20, 1 << 23),
    },
    "eos": {"eos_beyond_vocab": Word("header.bin", 0, 32, 37), "eos_order": Word("header.bin", 0, 24, 0)},
    "experts": {"experts_per_token": Word("header.bin", 0, 12, 6)},
    "bert_like": {
        "window_of_an_encoder": Word("layer-000.bin", 0, 0, 4),
        "no_pool": Word("header.bin", 0, 21, 0),
        "shared_head_of_an_encoder": Word("header.bin", 0, 14, Flag.SHARED_HEAD),
    },
}


def open_all(path: Path) -> None:
    """Reads every entry of a package, as running it would."""
    package = Package(path)
    package.verify()
    for name in ("tables", "embed", "positions", "embedding_norm", "final_norm"):
        getattr(package, name)
    for layer in range(package.header.layers):
        package.layer(layer)


@unittest.skipUnless(ENGINE, "ASSAY_ENGINE does not name an engine")
class Refusal(unittest.TestCase):
    """What breaks a limit of the page has no semantics: neither runs it."""

    def test_package_with_a_number_beyond_its_limit_is_refused_by_both(self) -> None:
        cases = {case.name: case for case in packages.CASES}
        for base, words in BROKEN.items():
            for name, word in words.items():
                with self.subTest(package=base, number=name), tempfile.TemporaryDirectory() as folder:
                    path = Path(folder, "package")
                    packages.write(cases[base], path, word)
                    with self.assertRaises(TwinError):
                        open_all(path)
                    self.refused(path, cases[base], "0")

    def test_text_that_an_encoder_cannot_take_is_refused_by_both(self) -> None:
        cases = {case.name: case for case in packages.CASES}
        for base in ("bert_like", "encoder_one_of_everything_first", "encoder_long_mean"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "package")
                header = packages.write(cases[base], path)
                for ids in ([0] * (header.context + 1), [header.vocab]):
                    with self.subTest(package=base, ids=len(ids)):
                        with self.assertRaises(TwinError):
                            embed_text(Package(path), ids, [(0, header.layers)])
                        self.refused(path, cases[base], ",".join(map(str, ids)))

    def refused(self, path: Path, case: packages.Case, ids: str) -> None:
        """The engine ends with an error, and prints nothing."""
        command = ["embed"] if "pool" in case.header else ["generate", "--max-new-tokens", "1"]
        ran = subprocess.run(
            [ENGINE, *command, "--package", str(path), "--ids", ids, "--json"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        self.assertEqual((ran.returncode, ran.stdout), (1, ""), ran.stderr)


def _package(case: packages.Case) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        packages.write(case, folder / "package")
        return folder / "package"

    return make


def _checkpoint(checkpoint: checkpoints.Checkpoint) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        source, package = folder / "source", folder / "package"
        checkpoints.write(checkpoint, source)
        engine("convert", "--calibration", str(source / "calibration.txt"), str(source), str(package))
        return package

    return make


def _add(name: str, make: Callable[[Path], Path], longest: int) -> None:
    def test(self: Engine) -> None:
        self.agree(make, longest)

    setattr(Engine, f"test_{name}", test)


# Three short texts, as its tokenizer writes them: a query, a sentence, and a passage.
MINILM_TEXTS = (
    [101, 3046, 2009, 102],
    [101, 1037, 14704, 2003, 1037, 3193, 2046, 2019, 9140, 1012, 102],
    [101, *((1996 + 977 * i) % 28000 + 1000 for i in range(60)), 102],
)


@unittest.skipUnless(ENGINE and MINILM, "ASSAY_ENGINE and ASSAY_MINILM do not name an engine and a model")
class MiniLm(Comparison):
    """An encoder with trained weights."""

    def test_minilm(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "minilm")
            engine("convert", MINILM, str(path))
            package = Package(path)
            package.verify()
            for ids, stages in zip(MINILM_TEXTS, (1, 2, 6)):
                with self.subTest(ids=len(ids), stages=stages):
                    self._embed(package, path, Run(ids), stages)


_add("demo", lambda _: DEMO, 96)
for _case in packages.CASES:
    # An encoder's longest text is its context.
    _add(f"package_{_case.name}", _package(_case), 500 if "pool" in _case.header else 64)
for _one in checkpoints.CHECKPOINTS:
    _add(f"checkpoint_{_one.name}", _checkpoint(_one), 64)
