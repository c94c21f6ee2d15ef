#!/usr/bin/env bash
# Runs every test, and installs what they need where that is missing. Arguments go to cargo:
#
#     tests/run.sh            # everything
#     tests/run.sh console    # the tests with `console` in their names
#
# With CI=true a test fails where it would otherwise be skipped because something is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-target}
shared=${STROLL_SHARED:-../shared}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

is_there() {
  PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null
}

# Installs Debian packages, and lets none of them start a service: the tests start their own on ports of their own.
install() {
  local policy=/usr/sbin/policy-rc.d ours=false status=0
  if [[ ! -e $policy ]]; then
    ours=true
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  {
    as_root apt-get update -qq &&
      as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null
  } || status=$?
  if $ours; then as_root rm -f "$policy"; fi
  return "$status"
}

missing=()
for program in mosquitto chromium; do
  is_there "$program" || missing+=("$program")
done
is_there node || missing+=(nodejs)
is_there npm || missing+=(npm)
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  missing+=(python3-venv)
fi
if ((${#missing[@]})); then
  if is_there apt-get; then
    echo "tests/run.sh: installing ${missing[*]}"
    install "${missing[@]}"
  else
    echo "tests/run.sh: install by hand: ${missing[*]} (there is no apt-get here)"
  fi
fi

# Stripe's stand-in is a Python program, and the scripts beside the recordings want numpy; both stay in a folder of their
# own below the build's.
if [[ -z ${STROLL_PYTHON:-} ]]; then
  wanted=('localstripe==1.15.10') modules=localstripe
  if [[ -d $shared/nanostore ]]; then
    wanted+=('numpy>=2,<3') modules+=', numpy'
  fi
  mkdir -p "$target"
  venv=$(realpath "$target")/python
  if ! "$venv/bin/python" -c "import $modules" 2>/dev/null; then
    echo "tests/run.sh: installing ${wanted[*]} into $venv"
    [[ -x $venv/bin/python ]] || python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${wanted[@]}"
  fi
  export STROLL_PYTHON=$venv/bin/python
fi

# What drives the browser, and what looks for barriers in its pages; in a folder of their own, too.
if [[ -z ${STROLL_BROWSER:-} ]]; then
  browser=$(realpath "$target")/browser
  if [[ ! -d $browser/node_modules/playwright-core || ! -d $browser/node_modules/axe-core ]]; then
    echo "tests/run.sh: installing playwright-core and axe-core into $browser"
    mkdir -p "$browser"
    npm install --prefix "$browser" --no-audit --no-fund --no-save --loglevel=error \
      playwright-core@1.65.1 axe-core@4.14.1
  fi
  export STROLL_BROWSER=$browser
fi

echo "tests/run.sh: documentation tests"
cargo test --locked --doc "$@"
if cargo nextest --version >/dev/null 2>&1; then
  echo "tests/run.sh: unit and integration tests, by cargo nextest"
  cargo nextest run --locked --config-file .cargo/nextest.toml "$@"
else
  echo "tests/run.sh: unit and integration tests, by cargo test (cargo nextest is not installed)"
  cargo test --locked --tests --no-fail-fast "$@"
fi
