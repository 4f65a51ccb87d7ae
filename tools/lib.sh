# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the scripts in this folder share: packages, builds, and cleaning up. Source it; it needs
# bash with set -euo pipefail.

WEIR_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Debian's own tools first: meson, pytest and scapy belong to Debian's python3.
export PATH="/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
export LC_ALL=C.UTF-8

weir_say() {
  printf '%s\n' "$*"
}

weir_die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

weir_need_root() {
  [ "$(id -u)" -eq 0 ] || weir_die "needs root: network namespaces and raw ports are not for users"
}

# Commands to run at the end, whatever ends the script; the last one registered runs first.
WEIR_CLEANUP=()

weir_at_exit() {
  WEIR_CLEANUP+=("$*")
}

weir_clean_up() {
  local status=$? i
  trap - EXIT
  trap '' INT TERM HUP
  set +e
  for ((i = ${#WEIR_CLEANUP[@]} - 1; i >= 0; i--)); do
    eval "${WEIR_CLEANUP[i]}"
  done
  exit "$status"
}

# Call once, early. Ctrl-C, a closed terminal and a failed command all end in weir_clean_up.
weir_trap() {
  trap weir_clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
}

# weir_packages GROUP...: packages of these groups that are not installed, one a line.
weir_packages_missing() {
  local group package
  for group in "$@"; do
    while read -r package; do
      [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
        printf '%s\n' "$package"
    done < <(awk -v group="$group" '$1 == group { print $2 }' "$WEIR_ROOT/tools/packages.txt")
  done
}

# weir_install GROUP...: installs what is missing; touches nothing when nothing is.
weir_install() {
  local missing
  mapfile -t missing < <(weir_packages_missing "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || weir_die "missing packages, and no root to install them: ${missing[*]}"
  weir_say "installing ${#missing[@]} packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A machine that has just been started may be updating itself.
  apt-get update -qq -o Acquire::Retries=3 </dev/null || weir_say "apt-get update failed; going on with the lists that are there"
  apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 \
    -o Acquire::Retries=3 "${missing[@]}" </dev/null >/dev/null ||
    weir_die "apt-get could not install: ${missing[*]}"
}

# weir_build FOLDER [meson option...]: configures if need be, and builds. CC chooses the compiler.
weir_build() {
  local folder=$1
  shift
  if [ -f "$folder/build.ninja" ]; then
    meson configure "$folder" "$@" >/dev/null
  else
    meson setup "$folder" "$WEIR_ROOT" "$@" >/dev/null </dev/null || {
      tail -n 40 "$folder/meson-logs/meson-log.txt" 2>/dev/null
      return 1
    }
  fi
  ninja -C "$folder" </dev/null
}

# weir_end_process PID [SIGNAL]: ends a child of this script and waits, at most 10 s.
weir_end_process() {
  local pid=$1 i
  kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
  for ((i = 0; i < 100; i++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
