#!/usr/bin/env bash
# A whole node on twelve simulated plates at 80 samples a second, with its coordinator: how soon it says something, what memory and
# processor time it takes. benches/node.sh; STROLL is the program (target/release/stroll), SECONDS_MAX how long it is watched (60).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stroll=$(realpath "${STROLL:-target/release/stroll}")
work=$(mktemp -d)
pids=()
tidy() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
  rm -rf "$work"
}
trap tidy EXIT

sed 's/^plates = 4$/plates = 6/' deploy/corner.toml >"$work/store.toml"
{
  printf '[node]\nname = "shelf"\nstore = "store.toml"\nbroker = "mqtt://127.0.0.1:1883"\n'
  gpio=4
  for shelf in 1 2; do
    printf '[[hx711]]\nclock_gpio = %d\ndata = [\n' $((shelf + 1))
    for plate in 1 2 3 4 5 6; do printf '  { gpio = %d, plate = "1.%d.%d" },\n' $((gpio++)) $shelf $plate; done
    printf ']\n'
  done
} >"$work/node.toml"
{
  printf 'seed = 7\n'
  for shelf in 1 2; do for plate in 1 2 3 4 5 6; do
    printf '[[load]]\nat_s = 0\nplate = "1.%d.%d"\ngrams = 3171\n' $shelf $plate
  done; done
  # A bottle goes half a second after the start, and comes and goes every five.
  for ((at = 0; at < 600; at += 5)); do
    printf '[[load]]\nat_s = %d.5\nplate = "1.1.1"\ngrams = %s\n' $at "$( ((at % 10 == 0)) && echo -528.5 || echo 528.5)"
  done
} >"$work/situation.toml"
simulated=(--config "$work/node.toml" --simulate "$work/situation.toml")
"$stroll" calibrate "${simulated[@]}" --by bench --creep-s 1 >"$work/calibrate.log" 2>&1 || { cat "$work/calibrate.log"; exit 1; }
"$stroll" coordinator --store "$work/store.toml" --journal "$work/store.sqlite" --listen 127.0.0.1:0 --mqtt-listen 127.0.0.1:0 \
  >"$work/coordinator.log" 2>&1 &
pids+=($!)
for _ in {1..100}; do grep -q mqtt:// "$work/coordinator.log" && break; sleep 0.1; done
broker=$(grep -o 'mqtt://[0-9.:]*' "$work/coordinator.log" | head -n 1)
began=$(date +%s%6N)
STROLL_NODE_BROKER=$broker "$stroll" node "${simulated[@]}" >"$work/node.log" 2>&1 &
node=$!
pids+=("$node")
sleep "${SECONDS_MAX:-60}"
python3 - "$node" <<'PYTHON'
import os, sys
node = sys.argv[1]
status = dict(line.split(":", 1) for line in open(f"/proc/{node}/status"))
stat = open(f"/proc/{node}/stat").read().rsplit(")", 1)[1].split()
ticks = os.sysconf("SC_CLK_TCK")
cpu_s = (int(stat[11]) + int(stat[12])) / ticks
ran_s = float(open("/proc/uptime").read().split()[0]) - int(stat[19]) / ticks
print("most memory               ", status["VmHWM"].strip())
print(f"processor time             {cpu_s:.2f} s of {ran_s:.0f} s: {100 * cpu_s / ran_s:.2f} % of a core, the simulation of pins and cells included")
PYTHON
# The outbox is the node's alone while it runs.
kill "$node" && wait "$node" || true
python3 - "$work/shelf.sqlite" "$began" <<'PYTHON'
import json, sqlite3, sys
path, began = sys.argv[1], int(sys.argv[2])
rows = sqlite3.connect(path).execute("SELECT stamped FROM observation ORDER BY sequence")
rows = [json.loads(text) for text, in rows]
first = next(row for row in rows if row["observation"]["type"] == "shelf")
said_s = (first["clock"]["wall_us"] - began) / 1e6
print(f"start to first observation {said_s:.2f} s, of a bottle that went at 0.5 s; {len(rows)} observations in all")
PYTHON
