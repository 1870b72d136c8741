#!/usr/bin/env bash
# Runs zombienet tests against a built node, on loopback, and stops every node that they started.
#
#   zombienet/run.sh NODE [TEST.zndsl ...]        all tests of this folder if none is named
#
# The command lines are those beside the node. MODELS=skip leaves out the tests that need published models (84 and 93 MB).
#
# The last line is `zombienet: N passed, N failed`. On failure the nodes' logs stay, and their folder is named.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
ASSAY_NODE=$(realpath "${1:?usage: run.sh NODE [TEST.zndsl ...]}")
shift
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=("$here"/*.zndsl)

# `npm ci` only where the lock has changed since the last time.
if ! cmp -s "$here/package-lock.json" "$here/node_modules/.installed-lock"; then
    echo "zombienet: installing the command line"
    (cd "$here" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$here/package-lock.json" "$here/node_modules/.installed-lock"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/assay-zombienet.XXXXXX")
runner=
passed=0 failed=0

# The runner has its own process group, and its nodes are in it.
stop_runner() {
    [ -n "$runner" ] || return 0
    kill -TERM -- "-$runner" 2>/dev/null || true
    sleep 1
    kill -KILL -- "-$runner" 2>/dev/null || true
    wait "$runner" 2>/dev/null || true
    runner=
}
finish() {
    status=$?
    trap - EXIT INT TERM
    stop_runner
    if [ "$status" -eq 0 ]; then rm -rf "$work"; else echo "zombienet: logs are in $work" >&2; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

bin=$(dirname "$ASSAY_NODE")
export ASSAY_NODE ASSAY_SPEC="$work/local-raw.json" ASSAY_CLI="$bin/assay" ASSAY_ENGINE="${ASSAY_ENGINE:-$bin/assay-engine}"
"$ASSAY_NODE" export-chain-spec --chain local --raw --output "$ASSAY_SPEC" >/dev/null 2>"$work/spec.log"

for test in "${tests[@]}"; do
    name=$(basename "$test" .zndsl)
    case $name in
    embed) model=minilm ;;
    chat) model=smollm2 ;;
    *) model= ;;
    esac
    if [ -n "$model" ]; then
        if [ "${MODELS:-fetch}" = skip ]; then
            echo "zombienet: $name is left out (MODELS=skip)"
            continue
        fi
        echo "zombienet: converting $model"
        export ASSAY_MODEL=$work/$model
        [ -e "$ASSAY_MODEL" ] ||
            "$ASSAY_ENGINE" convert "$("$here/../scripts/model.sh" "$model")" "$ASSAY_MODEL" >"$work/convert.log" 2>&1 ||
            { cat "$work/convert.log"; exit 1; }
    fi
    echo "zombienet: $name"
    set -m
    TMPDIR="$work" FORCE_COLOR=0 "$here/node_modules/.bin/zombienet" --provider native --dir "$work/$name" --force \
        --logType text --spawn-concurrency 4 test "$test" >"$work/$name.log" 2>&1 &
    runner=$!
    set +m
    if wait "$runner"; then ok=0; else ok=$?; fi
    stop_runner

    grep -E '✅|❌' "$work/$name.log" || true
    p=$(grep -c '✅' "$work/$name.log" || true)
    f=$(grep -c '❌ [a-z]*:' "$work/$name.log" || true)
    # A network that did not start passed nothing and failed once.
    if [ "$ok" -ne 0 ] && [ "${f:-0}" -eq 0 ]; then f=1; fi
    if [ "${p:-0}" -eq 0 ] && [ "${f:-0}" -eq 0 ]; then f=1; fi
    if [ "${f:-0}" -ne 0 ]; then tail -n 40 "$work/$name.log"; fi
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0}))
done

echo "zombienet: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
