#!/usr/bin/env bash
# Starts a local network of four validators, asks it one question, shows the verified answer and who was paid what, and stops
# everything it started. `make demo` builds first and then runs this.
#
#   PROMPT="..."          the prompt
#   TOKENS=48             how many tokens to generate
#   KEEP=1                leave the network running afterwards, until Ctrl-C
set -euo pipefail

BIN=${BIN:?set BIN to the folder of assay-node and assay, as make demo does}
PROMPT=${PROMPT:-"The Rust ownership model means that"}
TOKENS=${TOKENS:-48}
work=$(mktemp -d "${TMPDIR:-/tmp}/assay-demo.XXXXXX")
pids=()

stop() {
    status=$?
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ "$status" -eq 0 ]; then rm -rf "$work"; else
        echo "demo: failed with status $status; the nodes' logs are in $work" >&2
        tail -n 5 "$work"/*.log >&2 || true
    fi
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT TERM

# Three free ports for each node, asked of the system.
mapfile -t ports < <(python3 - <<'PY'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(12)]
for s in sockets:
    print(s.getsockname()[1])
PY
)

echo "demo: starting four validators on this machine (logs in $work)"
"$BIN/assay-node" build-spec --chain local --raw --disable-default-bootnode >"$work/local.json" 2>"$work/build-spec.log"
bootnode=()
names=(alice bob charlie dave)
for i in 0 1 2 3; do
    name=${names[$i]}
    p2p=${ports[$((i * 3))]} rpc=${ports[$((i * 3 + 1))]} prometheus=${ports[$((i * 3 + 2))]}
    "$BIN/assay-node" key generate-node-key --file "$work/$name.key" 2>"$work/$name.peer"
    peer=$(tail -n 1 "$work/$name.peer")
    "$BIN/assay-node" --chain "$work/local.json" --"$name" --base-path "$work/$name" \
        --listen-addr "/ip4/127.0.0.1/tcp/$p2p" --public-addr "/ip4/127.0.0.1/tcp/$p2p" --no-mdns --allow-private-ip \
        --node-key-file "$work/$name.key" --rpc-port "$rpc" --prometheus-port "$prometheus" --no-telemetry --no-hardware-benchmarks \
        "${bootnode[@]}" >"$work/$name.log" 2>&1 &
    pids+=($!)
    [ "$i" -gt 0 ] || bootnode=(--bootnodes "/ip4/127.0.0.1/tcp/$p2p/p2p/$peer")
done
url="ws://127.0.0.1:${ports[1]}"

echo "demo: waiting for the network to be ready"
for attempt in $(seq 1 60); do
    for i in "${!pids[@]}"; do
        kill -0 "${pids[$i]}" 2>/dev/null || { echo "demo: node ${names[$i]} stopped" >&2; exit 1; }
    done
    # Ready: every provider announced its peer id (on-chain), so the workers can find each other.
    if "$BIN/assay" --url "$url" --json providers >"$work/providers.json" 2>/dev/null &&
        [ "$(grep -vc '"peer":""' "$work/providers.json")" -eq 4 ]; then
        break
    fi
    [ "$attempt" -lt 60 ] || { echo "demo: the network was not ready after two minutes" >&2; exit 1; }
    sleep 2
done

printf 'demo: asking: %s\n\n' "$PROMPT"
printf '%s' "$PROMPT"
"$BIN/assay" --url "$url" infer --suri //Eve --max-new-tokens "$TOKENS" "$PROMPT"

if [ "${KEEP:-0}" = 1 ]; then
    printf '\ndemo: the network is up at %s; Ctrl-C stops it\n' "$url"
    trap 'exit 0' INT TERM
    wait
fi
echo "demo: done"
