#!/usr/bin/env python3
"""Writes src/tables/*.rs from the definitions of section 1 of docs/exact.md.

Needs mpmath. Every entry is rounded half away from zero from 60 decimal digits; the script fails if an
entry lies so near a tie that another evaluation could round it differently. The hashes that the page
states are checked by a test of the crate, not here.
"""

import hashlib
import pathlib
import struct

from mpmath import mp, mpf, erf, exp, floor, sqrt, tanh, pi

mp.dps = 60
OUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "tables"


def rha(x):
    """Round half away from zero, x >= 0."""
    n = int(floor(x + mpf(1) / 2))
    tie_distance = abs(x - floor(x) - mpf(1) / 2)
    assert tie_distance > mpf("1e-6"), x
    return n


def sigmoid(x):
    return 1 / (1 + exp(-x))


def gauss(x):
    return (1 + erf(x / sqrt(2))) / 2


def gauss_tanh(x):
    return (1 + tanh(sqrt(2 / pi) * (x + mpf("0.044715") * x**3))) / 2


TABLES = {
    "t1": ("T1", "`T1[h] = rha(2^(31 - h/256))`: the upper byte of a fraction.",
           [rha(mpf(2) ** (31 - mpf(h) / 256)) for h in range(256)]),
    "t2": ("T2", "`T2[l] = rha(2^(31 - l/65536))`: the lower byte of a fraction.",
           [rha(mpf(2) ** (31 - mpf(l) / 65536)) for l in range(256)]),
    "s": ("S", "Logistic gate: `S[i] = rha(2^24 / (1 + exp(-i/64)))`.",
          [rha(2**24 * sigmoid(mpf(i) / 64)) for i in range(1025)]),
    "g": ("G", "Exact GELU gate: `G[i] = rha(2^24 * (1 + erf(x / sqrt 2)) / 2)`, `x = i/64`.",
          [rha(2**24 * gauss(mpf(i) / 64)) for i in range(1025)]),
    "gt": ("GT", "Tanh GELU gate: `GT[i] = rha(2^24 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2)`, `x = i/64`.",
           [rha(2**24 * gauss_tanh(mpf(i) / 64)) for i in range(1025)]),
}

for stem, (name, doc, values) in TABLES.items():
    digest = hashlib.blake2b(struct.pack(f"<{len(values)}I", *values), digest_size=32).hexdigest()
    text = f"// Written by scripts/generate_tables.py.\n\n/// {doc}\n#[rustfmt::skip]\npub static {name}: [u32; {len(values)}] = [\n"
    per_line = 8 if len(values) == 256 else 12
    for i in range(0, len(values), per_line):
        text += "    " + " ".join(f"{v}," for v in values[i:i + per_line]) + "\n"
    text += "];\n"
    (OUT / f"{stem}.rs").write_text(text)
    print(name, digest)
