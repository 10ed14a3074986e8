# Tests source this file first: it restarts the test in a network namespace of its own, which the test takes for the
# host, so that the machine's network stays untouched. `lvs` is the binary under test. The exit code is 77 where the
# machine does not allow namespaces.
#
#   own_network_flags=-nm     # of unshare; names of network namespaces are of the mount namespace
#   source "$(dirname "$0")/own_network.sh"
lvs=$1

if [[ ${2:-} != inside ]]; then
  for tool in unshare nft ip; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool here"; exit 77; }
  done
  unshare "$own_network_flags" true 2>/dev/null || { echo "skipped: no network namespace may be made here"; exit 77; }
  exec unshare "$own_network_flags" "$0" "$lvs" inside
fi
ip link set lo up
