#!/usr/bin/env bash
# Spec12: a cluster in a network namespace of its own that loses a fifth of all TCP packets between its nodes, with 80 ms
# of delay on top. TCP crawls there; contributions held by two nodes are still acknowledged, and totals are exact.
#
# Usage: packet_loss_test.sh LVS_BINARY            77: skipped, the machine does not allow it
set -euo pipefail
own_network_flags=-n
source "$(dirname "$0")/own_network.sh"

folder=$(mktemp -d)
trap '"$lvs" testnet down --dir "$folder/net" >/dev/null; rm -rf "$folder"' EXIT
nft add table inet lossy 2>/dev/null || { echo "skipped: nftables does not work here"; exit 77; }
nft 'add chain inet lossy input { type filter hook input priority 0; }'
"$lvs" testnet up --nodes 3 --micro-nodes 100 --delay 80ms --dir "$folder/net" >/dev/null
ports=$(grep -h '^listen:' "$folder"/net/node-*/node.yaml | tr -d '"' | sed 's/.*://' | paste -sd,)
for direction in dport sport; do
  nft "add rule inet lossy input meta l4proto tcp tcp $direction { $ports } numgen random mod 100 < 20 counter drop"
done
"$lvs" testnet load --dir "$folder/net" --rate 200 --for 20s --durability nodes:2 --record "$folder/load.json" 2>/dev/null
nft list table inet lossy | grep -E 'counter packets [1-9][0-9]+' || { echo "nothing was dropped"; exit 1; }
"$lvs" testnet verify --dir "$folder/net" --record "$folder/load.json" --within 5s
