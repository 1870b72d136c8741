#!/usr/bin/env python3
"""Runs the twin's tests, and with ASSAY_ENGINE=BINARY the comparison with that engine.

The last line is `twin: N passed, M failed`. Needs numpy. Names of tests as arguments select some, as `python3 -m
unittest -k` does.
"""

from __future__ import annotations

import os
import sys
import time
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Runs; the exit status."""
    sys.path.insert(0, str(FOLDER))
    # An overflow, or an invalid cast, that numpy notices is a failure.
    sys.warnoptions.append("error")
    loader = unittest.TestLoader()
    if sys.argv[1:]:
        loader.testNamePatterns = [f"*{name}*" for name in sys.argv[1:]]
    began = time.monotonic()
    suite = loader.discover(str(FOLDER / "tests"), top_level_dir=str(FOLDER))
    result = unittest.TextTestRunner(stream=sys.stdout, warnings="error").run(suite)

    # A test with several failed parts is one.
    failed = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    skipped = {test.id(): reason for test, reason in result.skipped if test.id() not in failed}
    if not os.environ.get("ASSAY_ENGINE"):
        print("no engine: set ASSAY_ENGINE to compare with one")
    else:
        for name, reason in sorted(skipped.items()):
            print(f"not compared: {name.rpartition('.')[2]}: {reason}")
    passed = result.testsRun - len(failed) - len(skipped)
    print(f"{time.monotonic() - began:.0f} s; {len(skipped)} not supported by the engine")
    print(f"twin: {passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
