#!/usr/bin/env bash
# Makes Debian packages of Stroll: deploy/package.sh amd64|arm64 ... Each takes a whole release build.
#
# Wants `cargo install cargo-deb`; for arm64 on another machine also `rustup target add aarch64-unknown-linux-gnu` and
# `apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross`. FEATURES adds cargo features (rpi is always in for arm64).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The C library of Debian 12 and Raspberry Pi OS "bookworm", which `depends` in Cargo.toml names: newer ones serve as well.
libc_max=2.36

command -v cargo-deb >/dev/null || { echo "package.sh: cargo-deb is missing: cargo install --locked cargo-deb" >&2; exit 1; }
for architecture in "${@:-$(dpkg --print-architecture)}"; do
  features=${FEATURES:-}
  case $architecture in
    amd64) target=x86_64-unknown-linux-gnu ;;
    arm64)
      target=aarch64-unknown-linux-gnu
      features=rpi${features:+,$features}
      # C in some crates (SQLite, zstd, ring) wants a compiler for the target, and so does the linking.
      export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
      export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
      ;;
    *) echo "package.sh: there is no package for $architecture: write amd64 or arm64" >&2; exit 2 ;;
  esac
  # Line tables are stripped from the package, so they need not be made.
  export CARGO_PROFILE_RELEASE_DEBUG=0
  cargo build --release --locked --target "$target" --features "$features"
  program=${CARGO_TARGET_DIR:-target}/$target/release/stroll
  # The newest symbol version of the C library that it asks for.
  needs=$(grep -aoE 'GLIBC_2\.[0-9]+' "$program" | sort -Vu | tail -n 1 | cut -d_ -f2)
  if [[ $(printf '%s\n' "$needs" "$libc_max" | sort -V | tail -n 1) != "$libc_max" ]]; then
    echo "package.sh: the program asks for libc $needs, and Debian 12 has $libc_max: build it on Debian 12" >&2
    exit 1
  fi
  cargo deb --no-build --target "$target" --output "${CARGO_TARGET_DIR:-target}/debian/"
done
