#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Puts one bug at a time into a copy of the tree, and checks that the test which is there to catch it
# does. Each bug is a patch here, whose head says what is broken (What:), which test programs must
# fail (Caught-by:), and where they need it, their environment (With:). A bug that is not caught, a
# patch that does not apply, a program that does not build, or a test that fails without any bug
# counts as failed. The last line is "mutants: N passed, N failed".
#
# usage: run.sh [NAME...]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tools/lib.sh
. "$(dirname "$0")/../../tools/lib.sh"

LIMIT_S=180 # for one run of a test; one that does not end is caught too
FIXED_SEED=1

here=$WEIR_ROOT/tests/mutants
passed=0
failed=0

# head_of PATCH WORD: what stands behind it in the patch's head.
head_of() {
  sed -n '/^--- /q; s/^'"$2"': *//p' "$1"
}

# target_of TEST: the program, as ninja calls it.
target_of() {
  case $1 in
  sim) printf 'tests/sim/test_sim\n' ;;
  *) printf 'tests/unit/test_%s\n' "$1" ;;
  esac
}

# build TEST...: only what these need.
build() {
  local test targets=()
  for test in "$@"; do
    targets+=("$(target_of "$test")")
  done
  ninja -C "$work/build" "${targets[@]}" >"$work/build.log" 2>&1 </dev/null
}

# run TEST SEED WITH LOG: the test's own exit status; 124 if it did not end.
run() {
  local test=$1 seed=$2 with=$3 log=$4 words=()
  read -ra words <<<"$with"
  (cd "$work/tree" &&
    env "${words[@]}" WEIR_SEED="$seed" timeout -k 5 "$LIMIT_S" "$work/build/$(target_of "$test")" || exit $?) \
    >"$log" 2>&1 </dev/null
}

# what LOG STATUS: in a few words, how a test failed.
what() {
  local line
  line=$(grep -m 1 -hE '^FAIL |Assertion .* failed' "$1" | sed 's/^FAIL //; s/^[^ ]*: \(.*\): \(Assertion .*\)$/\2/') || true
  [ -n "$line" ] || line="exit status $2"
  [ "$2" -ne 124 ] || line="does not end in $LIMIT_S s"
  printf '%.90s\n' "$line"
}

good() {
  printf 'ok   %s\n' "$*"
  passed=$((passed + 1))
}

bad() {
  printf 'FAIL %s\n' "$*"
  failed=$((failed + 1))
}

# Without a bug the tests pass, or they would catch everything.
check_unmutated() {
  local test line
  while read -r test line; do
    if run "$test" "$FIXED_SEED" "$line" "$work/log"; then
      good "no mutant: $test passes${line:+ with $line}"
    else
      tail -n 20 "$work/log"
      bad "no mutant: $test fails${line:+ with $line}"
    fi
  done < <(for patch in "${patches[@]}"; do
    for test in $(head_of "$patch" Caught-by); do
      printf '%s %s\n' "$test" "$(head_of "$patch" With)"
    done
  done | sort -u)
}

# try_test NAME TEST WITH: both seeds at a time.
try_test() {
  local name=$1 test=$2 with=$3 seed status fixed=0 random=0 pid
  seed=$((RANDOM * 32768 + RANDOM + 2))
  run "$test" "$FIXED_SEED" "$with" "$work/log-fixed" &
  pid=$!
  run "$test" "$seed" "$with" "$work/log-random" || random=$?
  wait "$pid" || fixed=$?
  if [ "$fixed" -eq 0 ] || [ "$random" -eq 0 ]; then
    status=$([ "$fixed" -ne 0 ] || printf ' WEIR_SEED=%s' "$FIXED_SEED")
    status+=$([ "$random" -ne 0 ] || printf ' WEIR_SEED=%s' "$seed")
    bad "$name: $test does not see it with$status"
  else
    good "$name: caught by $test ($(what "$work/log-fixed" "$fixed"))"
  fi
}

try_mutant() {
  local patch=$1 name tests test
  name=$(basename "$patch" .patch)
  tests=$(head_of "$patch" Caught-by)
  if [ -z "$tests" ] || [ -z "$(head_of "$patch" What)" ]; then
    bad "$name: no What: or no Caught-by: in its head"
    return
  fi
  if ! patch -d "$work/tree" -p1 -s -f --dry-run <"$patch" >"$work/log" 2>&1; then
    cat "$work/log"
    bad "$name: the patch does not apply"
    return
  fi
  patch -d "$work/tree" -p1 -s -f <"$patch"
  # shellcheck disable=SC2086
  if build $tests; then
    for test in $tests; do
      try_test "$name" "$test" "$(head_of "$patch" With)"
    done
  else
    grep -E 'error|FAILED' "$work/build.log" | head -n 10 || true
    bad "$name: does not build"
  fi
  patch -d "$work/tree" -p1 -s -f -R <"$patch"
}

weir_trap
ulimit -c 0 # many end by an assertion
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-mutants-XXXXXX")
weir_at_exit "rm -rf '$work'"
patches=()
if [ $# -eq 0 ]; then
  patches=("$here"/*.patch)
else
  for name in "$@"; do
    [ -f "$here/$name.patch" ] || weir_die "no such mutant: $name"
    patches+=("$here/$name.patch")
  done
fi

mkdir "$work/tree"
tar -C "$WEIR_ROOT" --exclude=./.git --exclude='./build*' --exclude=__pycache__ -cf - . |
  tar -C "$work/tree" -xf -
meson setup "$work/build" "$work/tree" >"$work/build.log" 2>&1 </dev/null || {
  tail -n 20 "$work/build.log"
  weir_die "meson failed"
}
mapfile -t all < <(for patch in "${patches[@]}"; do head_of "$patch" Caught-by; done | tr ' ' '\n' | sort -u)
build "${all[@]}" || {
  tail -n 20 "$work/build.log"
  weir_die "the tree does not build"
}
check_unmutated
for patch in "${patches[@]}"; do
  try_mutant "$patch"
done
printf 'mutants: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
