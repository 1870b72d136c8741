"""Whole random models: what the page promises of every one of them, flag by flag."""

import tempfile
import unittest
from pathlib import Path

from assay_twin.errors import TwinError
from assay_twin.header import Header
from assay_twin.package import Package
from assay_twin.run import Request, embed_text, even_spans, generate, replay
from assay_twin.sampling import Sampling

from .packages import CASES, Case, write

SAMPLED = Sampling(1500, 20, 60000, bytes(range(32)))


class Models(unittest.TestCase):
    """Stages join, decoding equals replay, and the division does not matter; one test for each package, added below."""

    def consistent(self, case: Case) -> None:
        """Checks the case's package."""
        with tempfile.TemporaryDirectory() as folder:
            write(case, Path(folder, "p"))
            package = Package(Path(folder, "p"))
            package.verify()
            ids = [token % package.header.vocab for token in (5, 0, 17, 36, 2)]
            if package.header.decoder:
                self._decoder(package, ids)
            else:
                self._encoder(package, (ids * 4)[: package.header.context])

    def _decoder(self, package: Package, ids: list[int]) -> None:
        header = package.header
        for sampling in (Sampling(), SAMPLED):
            request = Request(ids, 14, sampling)
            whole = generate(package, request, [(0, header.layers)])
            self.assertLessEqual(len(whole.ids), len(ids) + 14)
            self.assertEqual(replay(package, request, whole.ids, [(0, header.layers)]), whole)
            parts = replay(package, request, whole.ids, even_spans(header.layers, min(3, header.layers)))
            self.assertEqual(parts.ids, whole.ids)
            for before, after in zip(parts.stages, parts.stages[1:]):
                self.assertEqual(before.out_root, after.in_root)
            self.assertEqual(parts.stages[-1].out_root, parts.stages[0].in_root)
            self.assertEqual(parts.stages[-1].tail_root, whole.stages[0].tail_root)

    def _encoder(self, package: Package, ids: list[int]) -> None:
        layers = package.header.layers
        whole = embed_text(package, ids, [(0, layers)])
        parts = embed_text(package, ids, even_spans(layers, layers))
        self.assertEqual(whole.values.tolist(), parts.values.tolist())
        self.assertEqual(whole.stages[-1].out_root, parts.stages[-1].out_root)
        self.assertEqual(whole.stages[-1].tail_root, parts.stages[-1].tail_root)


class Refusals(unittest.TestCase):
    def test_package_with_one_bit_flipped_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write(CASES[0], Path(folder, "p"))
            path = Path(folder, "p", "layer-001.bin")
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
            with self.assertRaisesRegex(TwinError, "layer-001.bin has root"):
                Package(Path(folder, "p")).verify()

    def test_package_with_a_short_file_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write(CASES[0], Path(folder, "p"))
            path = Path(folder, "p", "embed.bin")
            path.write_bytes(path.read_bytes()[:-1])
            with self.assertRaisesRegex(TwinError, "embed.bin has .* bytes, its parts need"):
                Package(Path(folder, "p")).verify()

    def test_header_beyond_a_limit_is_refused_by_field(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            header = write(CASES[0], Path(folder, "p"))
        for field, value in (
            ("spec", 2), ("kind", 2), ("vocab", 0), ("context", (1 << 17) + 1), ("n_kv", 3), ("head_dim", 7),
            ("rot", 8), ("f", -1), ("experts_per_token", 1), ("f_h", 21), ("flags", 1 << 14), ("flags", 0),
            ("activation", 3), ("rope_tables", 4), ("rope_tables", 0), ("c_l", 1), ("pool", 1), ("eos", (3, 3)),
            ("eos", (37,)),
        ):  # fmt: skip
            with self.subTest(field=field, value=value):
                data = Header(**{**vars(header), field: value}).to_bytes()
                with self.assertRaisesRegex(TwinError, "header.bin: "):
                    Header.parse(data)

    def test_requests_that_no_model_answers_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write(CASES[0], Path(folder, "p"))
            package = Package(Path(folder, "p"))
            for request in (
                Request([], 1), Request([37], 1), Request([-1], 1), Request([1], 0), Request([1] * 30, 11),
                Request([1], 1, Sampling(top_p=0)), Request([1], 1, Sampling(temperature=65536)),
            ):  # fmt: skip
                with self.subTest(request=request), self.assertRaises(TwinError):
                    generate(package, request, [(0, 3)])
            with self.assertRaises(TwinError):
                generate(package, Request([1], 1), [(0, 1), (2, 3)])
            with self.assertRaises(TwinError):
                embed_text(package, [1], [(0, 3)])


def _add(case: Case) -> None:
    def test(self: Models) -> None:
        self.consistent(case)

    setattr(Models, f"test_{case.name}", test)


for _case in CASES:
    _add(_case)
