#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the models: those that are right must hold in every state that can be reached, and each one
# that is broken on purpose must fail by an assertion. One line each; the last one is
# "model: N passed, N failed". Exit status 0 only if nothing failed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tools/lib.sh
. "$(dirname "$0")/../../tools/lib.sh"

MEMORY_MB=2000
DEPTH=1000000

# What is to be run: holds or fails, the model, what stands on spin's command line, and a word or
# two. MAY_REFUSE=true: not to stop where the ledger becomes unreadable, but to find bytes too many.
runs() {
  cat <<'END'
holds grant - as it is
holds grant -DLIVE all is sent in the end
fails grant -DLIVE,-DMARGIN=0 a bound that never moves
fails grant -DPUBLISH_BEFORE_SYNC published before the sync
fails grant -DREFUND_AT_CRASH a crash gives back what was not seen to be spent
fails grant -DREFUND_TWICE a clean stop gives back twice
fails grant -DSTOP_EARLY a clean stop while workers run
fails grant -DACCEPT_OLDER,-DMAY_REFUSE=true the older slot is believed
fails grant -DSYNC_IGNORED,-DMAY_REFUSE=true a failed sync is ignored
fails grant -DSYNC_AGAIN,-DMAY_REFUSE=true a failed sync is tried again
fails grant -DCACHE_LIES,-DMAY_REFUSE=true reads come from a page cache
fails grant -DNO_BOUND a lost slot charges no bound
fails grant -DPAST_BOUND a grant goes past the bound
fails grant -DOVER_NEWEST written over the newest slot
fails grant -DNO_FIRST_SYNC a start writes before it has synced
fails grant -DTORN_ACCEPTED torn records are believed
fails grant -DCHARGE_AFTER_TX charged after sending
fails grant -DFORGET_ANCESTOR the root is not charged
fails grant -DUNSENT_TWICE more than the unsent is given back
fails grant -DRECALL_IGNORED a lower cap is not published
fails grant -DPURSE_KEPT purses keep what was recalled
holds witness - as it is
fails witness -DASKED_EARLY advanced before the records are durable
fails witness -DONE_SLOT advanced with one record durable
fails witness -DNO_TOP grants don't wait for the witness
fails witness -DSTART_ONCE a start advances the witness once
fails witness -DSTART_GRANTS a start grants before the witness has confirmed
fails witness -DBOUND_SHORT bounds that don't cover what may follow
fails witness -DGRANTS_CHARGED a start charges grants and not bounds
fails witness -DBASE_LATE counted from when the witness has confirmed
fails witness -DOLDER_BELIEVED one value older is believed
fails witness -DANSWER_GUESSED no answer is taken for a yes
END
}

# search FOLDER MODEL FLAGS COMPILER-OPTION: leaves FOLDER/out.
search() {
  local folder=$1 model=$2 flags=$3 option=$4 words
  words=()
  [ "$flags" = - ] || IFS=, read -ra words <<<"$flags"
  cd "$folder"
  spin -a "${words[@]}" "$WEIR_ROOT/tests/model/$model.pml" >spin.log 2>&1 </dev/null
  cc -w "$option" -DSAFETY -DMEMLIM="$MEMORY_MB" -o pan pan.c >cc.log 2>&1
  timeout 300 ./pan "-m$DEPTH" >out 2>&1
}

# holds FLAGS OUT: complete, without an error, and with every line of the model reached.
holds() {
  grep -q 'errors: 0$' "$2" || return 1
  ! grep -qE 'not completed|depth too small|out of memory|reached -D' "$2" || return 1
  [ "$1" != - ] || ! grep -E '", state |, state [0-9]+,' "$2" | grep -vq -- '"-end-"'
}

fails() {
  grep -q '^pan:1: assertion violated' "$2" && grep -q 'errors: 1$' "$2"
}

# one EXPECTED MODEL FLAGS WORD...: prints a line; fails when it is not as expected.
one() {
  local expected=$1 model=$2 flags=$3 folder option=-O0 states status=ok
  shift 3
  [ "$expected" != holds ] || option=-O2
  folder=$(mktemp -d "$work/XXXXXX")
  (search "$folder" "$model" "$flags" "$option") || true
  touch "$folder/out"
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$folder/out")
  "$expected" "$flags" "$folder/out" || status=FAIL
  printf '%-4s %-7s %-5s %8s states  %s\n' "$status" "$model" "$expected" "${states:-no}" "$*"
  if [ "$status" = FAIL ]; then
    cat "$folder/spin.log" "$folder/cc.log" 2>/dev/null | head -n 20 || true
    grep -vE '^$|^Depth=' "$folder/out" | head -n 40 || true
  fi
  rm -rf "$folder"
}

weir_trap
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-model-XXXXXX")
weir_at_exit "rm -rf '$work'"
command -v spin >/dev/null || weir_die "no spin: tools/check installs it"

# As many at a time as there are cores, each with a file for its line, which come out in order.
mapfile -t lines < <(runs)
cores=$(nproc)
for ((i = 0; i < ${#lines[@]}; i++)); do
  read -ra words <<<"${lines[i]}"
  while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do
    wait -n || true
  done
  (trap - EXIT; one "${words[@]}" >"$work/line-$i" 2>&1 </dev/null) &
done
wait
passed=0
failed=0
for ((i = 0; i < ${#lines[@]}; i++)); do
  cat "$work/line-$i"
  if [[ $(head -n 1 "$work/line-$i") = ok* ]]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
done
printf 'model: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
