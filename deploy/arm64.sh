#!/usr/bin/env bash
# Installs the arm64 package into an arm64 root and runs the node there, emulated, on simulated converters; a coordinator on
# this machine has to see its picks. Prints figures.
#
#   deploy/arm64.sh target/debian/stroll_*_arm64.deb       wants root, mmdebstrap and qemu-user-static, and a Debian mirror
#
# STROLL is the coordinator's program (target/release/stroll), SUITE the release (bookworm). With ROOT_TAR a root is kept in that
# file, and taken from there the next time.
set -euo pipefail
package=$(realpath "${1:?"give the package that deploy/package.sh arm64 made"}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stroll=$(realpath "${STROLL:-target/release/stroll}")
work=$(mktemp -d /tmp/stroll-arm64.XXXXXX)
root=$work/root
pids=()
tidy() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap tidy EXIT
say() { printf '%-58s %s\n' "$1" "$2"; }

# The kernel hands programs for arm64 to the emulator, also within the root (flag F).
entry=/proc/sys/fs/binfmt_misc
[[ -e $entry/register ]] || mount -t binfmt_misc binfmt_misc "$entry"
[[ -e $entry/qemu-aarch64 ]] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$entry/register"

tar=${ROOT_TAR:-$work/root.tar}
[[ -e $tar ]] || mmdebstrap --quiet --skip=check/qemu --architectures=arm64 --variant=apt \
  --include=adduser,init-system-helpers,systemd "${SUITE:-bookworm}" "$tar"
mkdir "$root" && tar -C "$root" -xf "$tar"
mount -t proc proc "$root/proc"
cp "$package" "$root/tmp/stroll.deb"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
inside apt-get install --quiet --quiet --yes --no-install-recommends /tmp/stroll.deb >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; exit 1; }
say "installed" "$(inside dpkg-query -W -f '${Package} ${Version} ${Architecture}, ${Installed-Size} KiB' stroll)"
say "the program is" "$(inside stroll --version), $(inside uname -m)"
say "its user" "$(inside id stroll)"
say "/etc/stroll" "$(stat -c '%A %U' "$root/etc/stroll" | tr '\n' ' ')$(inside stat -c '%A %U:%G %n' /etc/stroll/node.toml)"
inside systemd-analyze verify --man=no /usr/lib/systemd/system/stroll-node.service /usr/lib/systemd/system/stroll-coordinator.service
say "its units" "systemd-analyze verify finds nothing"

# What an owner changed outlives a reinstallation.
sed -i 's/^queue_s = 2 /queue_s = 3 /' "$root/etc/stroll/node.toml"
inside apt-get install --quiet --quiet --yes --reinstall /tmp/stroll.deb >>"$work/apt.log" 2>&1
grep -q '^queue_s = 3 ' "$root/etc/stroll/node.toml"
say "installed again" "the owner's node.toml is kept"

# The store, on this machine.
install -d -m 0700 "$work/store"
head -c 24 /dev/urandom | base64 | tr -d '\n' >"$work/key" && chmod 600 "$work/key"
"$stroll" coordinator --store deploy/corner.toml --journal "$work/store/store.sqlite" --console-key-file "$work/key" \
  --listen 127.0.0.1:0 --mqtt-listen 127.0.0.1:0 >"$work/coordinator.log" 2>&1 &
pids+=($!)
for _ in {1..100}; do grep -q mqtt:// "$work/coordinator.log" && break; sleep 0.1; done
console=$(grep -o 'http://[0-9.:]*' "$work/coordinator.log" | head -n 1)
broker=$(grep -o 'mqtt://[0-9.:]*' "$work/coordinator.log" | head -n 1)
state() { curl --silent --fail -H "Authorization: Bearer $(cat "$work/key")" "$console/state.json"; }

# The node, as its service's user, in the arm64 root.
as_node() { inside setpriv --reuid stroll --regid stroll --init-groups env STROLL_NODE_BROKER="$broker" HOME=/ "$@"; }
simulated=(--config /etc/stroll/node.toml --simulate /usr/share/stroll/situation.toml)
as_node stroll calibrate "${simulated[@]}" --by arm64.sh --creep-s 1 >"$work/calibrate.log" 2>&1 || { cat "$work/calibrate.log"; exit 1; }
say "calibrated, emulated" "$(grep -o '[0-9]* of [0-9]* plates calibrated' "$work/calibrate.log")"
began=$(date +%s.%N)
as_node stroll node "${simulated[@]}" >"$work/node.log" 2>&1 &
pids+=($!)
for _ in {1..600}; do
  seen=$(state | python3 -c 'import json, sys
for event in json.load(sys.stdin)["events"]:
    print(event["sentence"])' | grep 'g left shelf' || true)
  [[ $(grep -c . <<<"$seen") -ge 2 ]] && break
  sleep 0.1
done
[[ $(grep -c . <<<"$seen") -ge 2 ]] || { cat "$work/node.log" "$work/coordinator.log"; state; exit 1; }
say "two picks at the coordinator, seconds after the node's start" "$(date +%s.%N | awk -v b="$began" '{printf "%.1f", $1 - b}')"
sed 's/^/    /' <<<"$seen"
node=$(pgrep --newest --parent "${pids[1]}" || echo "${pids[1]}")
say "memory of node and emulator" "$(awk '/VmRSS/ {print $2, $3}' "/proc/$node/status")"
say "processor time of node and emulator" "$(ps -o cputimes= -p "$node" | tr -d ' ') s of $(ps -o etimes= -p "$node" | tr -d ' ') s"
echo "passed"
