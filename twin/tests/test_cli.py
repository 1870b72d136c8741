"""The command line."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

from assay_twin.cli import main
from assay_twin.merkle import ids_root

from .packages import CASES, write


class CommandLine(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def package(self, name: str) -> str:
        write(next(case for case in CASES if case.name == name), self.root / name)
        return str(self.root / name)

    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(arguments)
        return status, out.getvalue(), err.getvalue()

    def test_generate_prints_ids_and_roots_of_every_stage(self) -> None:
        package = self.package("plain")
        status, out, _ = self.run_main(
            "generate", "--package", package, "--ids", "1,2", "--max-new", "3", "--temperature", "0.9", "--top-k", "9",
            "--top-p", "0.9", "--seed", "7", "--stages", "2", "--json",
        )  # fmt: skip
        self.assertEqual((status, out.count("\n")), (0, 1))
        found = json.loads(out)
        self.assertEqual((found["ids"][:2], len(found["ids"]), found["prompt_length"]), ([1, 2], 5, 2))
        self.assertEqual([(stage["first"], stage["end"]) for stage in found["stages"]], [(0, 2), (2, 3)])
        self.assertEqual(found["stages"][1]["out_root"], ids_root(found["ids"]).hex())

    def test_embed_prints_the_embedding(self) -> None:
        status, out, _ = self.run_main("embed", "--package", self.package("bert_like"), "--ids", "1,2,3", "--json")
        self.assertEqual((status, len(json.loads(out)["embedding"])), (0, 24))

    def test_inspect_prints_the_manifests_roots(self) -> None:
        package = self.package("plain")
        status, out, _ = self.run_main("inspect", "--package", package, "--json")
        manifest = json.loads(Path(package, "manifest.json").read_text())
        self.assertEqual((status, json.loads(out)["model_root"]), (0, manifest["model_root"]))

    def test_bad_input_is_an_error_and_not_a_trace(self) -> None:
        package = self.package("plain")
        for arguments, text in (
            (["--package", str(self.root / "none"), "--ids", "1"], "no such package"),
            (["--package", package, "--ids", "99"], "not in the vocabulary"),
            (["--package", package, "--ids", "1", "--stages", "4"], "cannot share"),
            (["--package", package, "--ids", "1", "--top-p", "2"], "top_p is 131072"),
            (["--package", package, "--ids", "1", "--temperature", "hot"], "not a number"),
        ):
            with self.subTest(text=text):
                status, _, err = self.run_main("generate", *arguments)
                self.assertEqual(status, 1)
                self.assertIn(text, err)
