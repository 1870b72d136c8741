#!/usr/bin/env bash
# Measures the weights of every pallet and writes pallets/*/src/weights.rs. For a quiet machine like the ones that validators run.
#
#   scripts/weights.sh [PALLET ...]        models, providers, staking, jobs, verification, slashing if none is named
#   scripts/weights.sh --check             only says whether the benchmarks compile
#
# STEPS and REPEAT say how much is measured (20 and 10). The first run compiles the bencher and a runtime of its own: half an hour
# on two cores.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${ASSAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}
# Of the same SDK release as the runtime.
bencher=frame-omni-bencher
version=0.28.0
check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
pallets=("$@")
[ ${#pallets[@]} -gt 0 ] || pallets=(models providers staking jobs verification slashing)

# shellcheck source=/dev/null
. "$cache/env"
cd "$root"

if [ -z "$check" ] && ! "$cache/tools/bin/$bencher" --version 2>/dev/null | grep -q "$version"; then
    echo "weights: compiling $bencher $version"
    OPENSSL_NO_VENDOR=1 CARGO_TARGET_DIR="$cache/bencher-target" \
        cargo install --locked "$bencher" --version "$version" --root "$cache/tools"
fi

# The runtime alone, for Wasm alone, as substrate-wasm-builder compiles it: with the benchmarks of the SDK it would be compiled
# for this machine too, which nothing here needs.
echo "weights: compiling the runtime with its benchmarks"
if [ -n "$check" ]; then
    # Nobody reads a warning here.
    RUSTFLAGS="--cfg substrate_runtime -D warnings" CARGO_TARGET_DIR="$cache/weights-target" \
        cargo ${WASM_BUILD_TOOLCHAIN:+"+$WASM_BUILD_TOOLCHAIN"} check --locked --release -p assay-runtime --lib \
        --target wasm32v1-none --no-default-features --features runtime-benchmarks
    exit
fi
RUSTFLAGS="-C link-arg=--export-table -C link-arg=--export=__heap_base -C link-arg=--import-memory --cfg substrate_runtime" \
CARGO_TARGET_DIR="$cache/weights-target" \
    cargo ${WASM_BUILD_TOOLCHAIN:+"+$WASM_BUILD_TOOLCHAIN"} rustc --locked --release -p assay-runtime --lib --crate-type cdylib --target wasm32v1-none \
    --no-default-features --features runtime-benchmarks
wasm=$cache/weights-target/wasm32v1-none/release/assay_runtime.wasm

for pallet in "${pallets[@]}"; do
    echo "weights: pallet-assay-$pallet"
    "$cache/tools/bin/$bencher" v1 benchmark pallet \
        --runtime "$wasm" --genesis-builder runtime --genesis-builder-preset development \
        --pallet "pallet_assay_$pallet" --extrinsic '*' --extra \
        --steps "${STEPS:-20}" --repeat "${REPEAT:-10}" \
        --heap-pages 4096 --template scripts/weights.hbs --output "pallets/$pallet/src/weights.rs"
done
cargo fmt
