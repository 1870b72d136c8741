"""The command line: `python3 -m assay_twin generate|embed|inspect`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from .commit import Commitment
from .errors import TwinError
from .package import Package
from .run import Request, embed_text, even_spans, generate
from .sampling import TOP_P_OFF, Sampling


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        print(json.dumps(options.command(options), indent=None if options.json else 2))
    except (TwinError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="assay_twin", description="The independent twin of the exact engine.")
    commands = parser.add_subparsers(required=True)

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--package", required=True, help="package folder or archive")
        added.add_argument("--json", action="store_true", help="print one line of JSON")
        added.set_defaults(command=run)
        return added

    command("inspect", _inspect, "Hash every byte of a package and compare with its manifest.")
    runs = [
        command("generate", _generate, "Generate ids, and the commitment of each stage."),
        command("embed", _embed, "Embed a text, with the commitment of each stage."),
    ]
    for run in runs:
        run.add_argument("--ids", required=True, type=_ids, help="the text's ids, separated by commas")
        run.add_argument("--stages", type=int, default=1, help="divide the layers over this many stages")
    generating = runs[0]
    generating.add_argument("--max-new", type=int, default=16, help="most ids to generate")
    generating.add_argument("--temperature", default="0", help="0 takes the likeliest id; steps of 0.001, to 65.535")
    generating.add_argument("--top-k", type=int, default=0, help="0 for all")
    generating.add_argument("--top-p", default="1", help="above 0 to 1, in steps of 2^-16")
    generating.add_argument("--seed", type=_seed, default=bytes(32), help="a number, or 64 hexadecimal digits")
    return parser


def _ids(text: str) -> list[int]:
    return [int(token) for token in text.split(",")]


def _seed(text: str) -> bytes:
    if text.isdecimal() and int(text) < 1 << 64:
        return int(text).to_bytes(32, "little")
    seed = bytes.fromhex(text.removeprefix("0x"))
    if len(seed) != 32:
        raise ValueError("64 hexadecimal digits")
    return seed


def _units(name: str, text: str, one: int) -> int:
    try:
        return round(float(text) * one)
    except (ValueError, OverflowError):
        raise TwinError(f"{name} `{text}` is not a number") from None


def _open(options: argparse.Namespace) -> Package:
    package = Package(options.package)
    package.verify()
    return package


def _inspect(options: argparse.Namespace) -> dict:
    package = _open(options)
    entries = [{"file": name, "root": root.hex()} for name, root in package.entry_roots]
    return {"model_root": package.model_root.hex(), "entries": entries}


def _generate(options: argparse.Namespace) -> dict:
    package = _open(options)
    sampling = Sampling(
        _units("temperature", options.temperature, 1000),
        options.top_k,
        _units("top_p", options.top_p, TOP_P_OFF),
        options.seed,
    )
    request = Request(options.ids, options.max_new, sampling)
    found = generate(package, request, even_spans(package.header.layers, options.stages))
    return {
        "model_root": package.model_root.hex(),
        "prompt_length": len(request.prompt),
        "ids": found.ids,
        "stages": [stage_json(stage) for stage in found.stages],
    }


def _embed(options: argparse.Namespace) -> dict:
    package = _open(options)
    found = embed_text(package, options.ids, even_spans(package.header.layers, options.stages))
    return {
        "model_root": package.model_root.hex(),
        "embedding": found.values.tolist(),
        "stages": [stage_json(stage) for stage in found.stages],
    }


def stage_json(stage: Commitment) -> dict:
    """A commitment, as `assay-engine generate --json` prints it."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in vars(stage).items()}
