#!/usr/bin/env bash
# Spec12: a testnet whose nodes have a network namespace each. The network drops packets and makes the partition, totals
# are exact afterwards, and `down` leaves nothing behind, not even of a testnet whose `up` was killed.
#
# Usage: namespaces_test.sh LVS_BINARY            77: skipped, the machine does not allow it
set -euo pipefail
own_network_flags=-nm
source "$(dirname "$0")/own_network.sh"

mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns || { echo "skipped: nothing may be mounted here"; exit 77; }
folder=$(mktemp -d)
net=(--dir "$folder/net")
trap '"$lvs" testnet down "${net[@]}" >/dev/null 2>&1; rm -rf "$folder"' EXIT
fail() { echo "$*" >&2; exit 1; }
nothing_left() {
  [[ -z $(ip netns list) ]] || fail "namespaces are left: $(ip netns list)"
  ! ip -brief link | grep -q '^lvs' || fail "links are left: $(ip -brief link)"
}

# Unavailable namespaces are an error for `namespaces` and a note for `auto`, which falls back to loopback.
said=$(PATH=$folder "$lvs" testnet up "${net[@]}" --nodes 1 --network namespaces 2>&1) && fail "made without ip"
[[ $said == *"no network namespaces here: cannot run ip"*"--network loopback"* ]] || fail "$said"
said=$(PATH=$folder "$lvs" testnet up "${net[@]}" --nodes 1 --micro-nodes 50 --network auto 2>&1) || fail "$said"
[[ $said == *"note: on loopback"* && $said == *127.0.0.1* ]] || fail "$said"
"$lvs" testnet down "${net[@]}" >/dev/null
out=$("$lvs" testnet up "${net[@]}" --nodes 1 --micro-nodes 50 --network namespaces 2>&1) || {
  [[ $out == *"no network namespaces here"* ]] && { echo "skipped: $out"; exit 77; }
  fail "$out"
}
"$lvs" testnet down "${net[@]}" >/dev/null
nothing_left

"$lvs" testnet up "${net[@]}" --nodes 3 --micro-nodes 100 --loss 10% --network auto
[[ $(ip netns list | wc -l) == 3 ]] || fail "not three namespaces: $(ip netns list)"
"$lvs" testnet load "${net[@]}" --rate 100 --for 5s --durability nodes:2 --record "$folder/1.json" 2>/dev/null
dropped() { ip netns exec "$1" nft list ruleset | grep -E "$2 counter packets [1-9]"; }
names=$(ip netns list | cut -d' ' -f1 | sort)
for name in $names; do dropped "$name" 'numgen random mod 1000000 < 100000' || fail "$name lost nothing"; done

# Both sides of a partition go on. The single node keeps what it took until the partition heals.
"$lvs" testnet partition "${net[@]}" 0,1/2
"$lvs" testnet load "${net[@]}" --rate 100 --for 3s --record "$folder/2.json" --report "$folder/run" 2>/dev/null &&
  fail "a report passed in a partition"
for name in $names; do dropped "$name" 'ip saddr \{?.*' >/dev/null || fail "$name is not severed"; done
"$lvs" testnet kill "${net[@]}" 1 --hard
"$lvs" testnet start "${net[@]}" 1
"$lvs" testnet heal "${net[@]}"
"$lvs" testnet verify "${net[@]}" --record "$folder/1.json" --record "$folder/2.json" --within 60s

# `down` cleans up after all nodes were killed, and after an `up` was killed.
for pid in "$folder"/net/node-*/pid; do kill -9 "$(cat "$pid")"; done
"$lvs" testnet down "${net[@]}"
nothing_left
"$lvs" testnet up "${net[@]}" --nodes 3 --micro-nodes 100 --network namespaces >/dev/null &
up=$!
until [[ $(ip netns list | wc -l) -ge 2 ]]; do sleep 0.01; done
kill -9 "$up"
wait "$up" || true
"$lvs" testnet down "${net[@]}" >/dev/null
nothing_left
