#!/usr/bin/env bash
# Builds llama.cpp (MIT), to which `make bench-engine` compares the engine, for the processor of this machine, and prints the
# Python interpreter that can load it. Builds once (about 10 minutes on two cores); may run as often as one likes.
#
# It comes from the Python package index, by pip, as the source distribution of its bindings, llama-cpp-python: one pinned
# version whose SHA-256 pip checks. It lands in a virtual environment in the cache folder; the product never uses it.
set -euo pipefail

CACHE=${ASSAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}
PYTHON=${PYTHON:-/usr/bin/python3}
FOLDER=$CACHE/llama-cpp
PACKAGE=llama-cpp-python
VERSION=0.3.36
SHA256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
# The one package that the bindings themselves import. Those of the high-level interface are left out: it is not used.
NEEDS=typing-extensions
NEEDS_VERSION=4.16.0
NEEDS_SHA256=481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8
BUILD_BACKEND=scikit-build-core==1.1.2
# `native` code, with the matrix products of llamafile, as llama.cpp's own build has them.
OPTIONS="-DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"

die() { printf 'llama-cpp: %s\n' "$*" >&2; exit 1; }

# Code for one processor must not be taken for another's, nor bindings for one Python for another's.
processor=$(grep -m1 -E '^(flags|Features)' /proc/cpuinfo | sha256sum | cut -c1-16)
python=$("$PYTHON" --version 2>&1) || die "there is no Python at $PYTHON: run make setup, or set PYTHON"
source="$PACKAGE $VERSION $SHA256 $OPTIONS; $python; processor $processor"

if [ "$(cat "$FOLDER/source" 2>/dev/null)" != "$source" ]; then
    "$PYTHON" -m pip --version >/dev/null 2>&1 || die "$PYTHON has no pip: install Debian's python3-pip, or run make setup"
    mkdir -p "$CACHE"
    rm -rf "$FOLDER"
    work=$(mktemp -d "$CACHE/llama-cpp.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    printf 'llama-cpp: building %s %s (about 10 minutes on two cores)\n' "$PACKAGE" "$VERSION" >&2
    printf '%s==%s --hash=sha256:%s\n' "$PACKAGE" "$VERSION" "$SHA256" "$NEEDS" "$NEEDS_VERSION" "$NEEDS_SHA256" >"$work/requirements.txt"
    printf '%s\n' "$BUILD_BACKEND" >"$work/constraints.txt"
    "$PYTHON" -m venv --without-pip "$FOLDER" || die "$PYTHON cannot make a virtual environment in $FOLDER"
    # pip's own folder for temporary files, so that a stop leaves nothing behind.
    mkdir "$work/tmp"
    TMPDIR=$work/tmp PIP_CONSTRAINT=$work/constraints.txt PIP_BUILD_CONSTRAINT=$work/constraints.txt \
        CMAKE_ARGS=$OPTIONS CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) \
        "$PYTHON" -m pip --python "$FOLDER/bin/python" install --disable-pip-version-check --no-cache-dir --no-deps \
        --no-binary "$PACKAGE" --require-hashes -r "$work/requirements.txt" >"$CACHE/llama-cpp.log" 2>&1 ||
        die "pip cannot build $PACKAGE $VERSION; what it said is in $CACHE/llama-cpp.log"
    printf '%s\n' "$source" >"$FOLDER/source"
fi
printf '%s\n' "$FOLDER/bin/python"
