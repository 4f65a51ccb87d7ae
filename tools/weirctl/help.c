/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/help.h"

const char weir_help_options[] =
    "options of every command:\n"
    "  --socket PATH   Weir's control socket (or $WEIR_SOCKET; /run/weir/control.sock)\n"
    "  --json          JSON on standard output instead of text\n"
    "  -h, --help      this text; behind a command, that command's\n"
    "  --version       weirctl's version\n"
    "\n"
    "exit status: 0 done; 1 failed (no server, refused); 2 bad usage or a bad policy\n"
    "\n"
    "Bytes are wire bytes: what a frame takes on the wire, that is its length without\n"
    "FCS, at least 60, plus 24. Units are decimal: 1 MB is 1,000,000 bytes.\n";

const char weir_help_status[] =
    "Shows what Weir does now and what has passed since it started.\n"
    "\n"
    "example:\n"
    "  weirctl status\n"
    "  weirctl --json status | jq '.budgets[] | {name, caps}'\n"
    "\n"
    "links, one row a direction (egress is inside to outside, return the other way):\n"
    "  RX FRAMES, RX BYTES   received on the direction's first port\n"
    "  TX FRAMES, TX BYTES   sent on its second port\n"
    "  DROPPED               frames that did not leave; the next table says why\n"
    "                        (weir(8) explains each reason)\n"
    "classes:\n"
    "  RATE, BURST           as the policy says\n"
    "  TX FRAMES, TX BYTES   sent on behalf of the class\n"
    "  QUEUED                waits for its turn now\n"
    "  DROPPED               frames beyond rate, backlog or budget\n"
    "budgets, one row a cap:\n"
    "  CHARGED               charged ever, through all restarts\n"
    "  FORFEITED             of CHARGED, what crashes have cost\n"
    "  CAP, PER              the limit, and the window that it is for\n"
    "  USED, LEFT, USED %    of this cap; what is granted and not yet sent counts as used\n";

const char weir_help_top[] =
    "Shows live what passes now: rate asked and measured, queues, drops by reason, and how\n"
    "long each budget will last. On a terminal it redraws the screen until Ctrl-C; into a\n"
    "pipe or file it prints one table after the other; with --json one object a line.\n"
    "\n"
    "options:\n"
    "  -n COUNT        end after so many samples (default: never)\n"
    "  -i INTERVAL     time between samples, 100 ms to 1 d (default 1 s); with a unit: ms, s,\n"
    "                  min, h, d\n"
    "\n"
    "example:\n"
    "  weirctl top -i '500 ms'\n"
    "  weirctl top -n 1 -i 10s >rates.txt\n"
    "\n"
    "classes:\n"
    "  ASKED, MEASURED       rate of the policy; wire bytes sent since the last sample, in\n"
    "                        bits, by the time between (\"-\": not known)\n"
    "  OF ASKED              MEASURED as a share of ASKED; a burst may exceed 100 %\n"
    "  QUEUE                 bytes that wait now\n"
    "  DROPS/S, DROPPED      frames dropped, a second and since the start\n"
    "links:\n"
    "  RECEIVED, SENT        rates, on the wire\n"
    "  BY REASON             frames dropped since the start; in brackets, since last sample\n"
    "budgets, one row a cap:\n"
    "  CHARGED AT            the rate at which the budget is charged now\n"
    "  USED, LEFT, USED %    of this cap\n"
    "  EXHAUSTED IN          at that rate. \">= 3 h 2 min\": a window, whose old bytes may come\n"
    "                        back before; \"never\": nothing flows, or less than comes back;\n"
    "                        \"now\": less than one largest frame is left, frames are dropped\n"
    "                        for reason cap\n";

const char weir_help_watch[] =
    "Prints events as they happen, one a line: caps reached, policies applied, links down,\n"
    "failures. Starts with those that Weir still remembers, and goes on until Ctrl-C or\n"
    "until Weir stops.\n"
    "\n"
    "options:\n"
    "  --after N       only events with a higher number than N\n"
    "\n"
    "example:\n"
    "  weirctl watch --after 1041\n"
    "  weirctl --json watch | jq -r 'select(.severity == \"alarm\") | .message'\n"
    "\n"
    "columns: number, time, severity (info, warning, alarm), kind: message\n";

const char weir_help_check[] =
    "Has the running Weir validate a policy file, with its own parser, and changes nothing.\n"
    "Prints OK, or \"OK, but needs a restart\" and for what: apply refuses such a policy. If\n"
    "the policy is bad, the one line that says what is wrong and where, and exits with 2.\n"
    "Without a running Weir: weir --check FILE.\n"
    "\n"
    "example:\n"
    "  weirctl check /etc/weir/policy.yaml && echo good\n";

const char weir_help_diff[] =
    "Shows what a policy file would change, and changes nothing. Exits with 0 whether or not\n"
    "there is a difference.\n"
    "\n"
    "example:\n"
    "  weirctl diff new.yaml\n"
    "\n"
    "marks:\n"
    "  +   loosens: more may leave than now\n"
    "  -   tightens: less may leave\n"
    "  =   neutral\n"
    "  !   needs a restart of weir; apply refuses such a policy\n";

const char weir_help_apply[] =
    "Puts a policy file in force: whole or not at all, without losing a frame. Prints what\n"
    "changed, with the marks of diff, and the new generation. Exits with 2 where the file is\n"
    "bad, with 1 where Weir refuses it (it needs a restart, or you lack the right).\n"
    "What this puts in force lasts until Weir starts again: also change the file that it\n"
    "starts from.\n"
    "\n"
    "example:\n"
    "  weirctl diff new.yaml && weirctl apply new.yaml\n";

const char weir_help_show[] =
    "Prints the policy in force as YAML, with all defaults filled in. What it prints is a\n"
    "valid policy file. With --json: one object whose member policy is that text.\n"
    "\n"
    "example:\n"
    "  weirctl show >in-force.yaml\n";

const char weir_help_stop[] =
    "Asks Weir to stop cleanly and waits until its process has ended: queues drain, unspent\n"
    "credit goes back to the ledger, and nothing is forwarded from then on. Gives up, with\n"
    "exit status 1, after two minutes; Weir goes on stopping even then.\n"
    "\n"
    "example:\n"
    "  weirctl stop\n";

const char weir_help_ledger[] =
    "The ledger is the file that keeps, through restarts and power cuts, what has been charged\n"
    "to each budget. These commands look at files and ask no running Weir; only init writes.\n"
    "weirctl help ledger COMMAND tells more.\n"
    "\n"
    "example:\n"
    "  weirctl ledger verify /var/lib/weir/ledger\n";

const char weir_help_ledger_verify[] =
    "Checks a ledger's file, by the same rules as a start: each slot, and the file as a whole.\n"
    "Changes nothing, takes no lock, and does not ask the witness: explain does. It says so\n"
    "where a weir has the file open, for then a record may have been half written.\n"
    "\n"
    "options:\n"
    "  --key KEYFILE   the ledger's key; default FILE.key. Where that does not exist, sums are\n"
    "                  checked but MACs are not: anyone may have written what is then called\n"
    "                  valid\n"
    "\n"
    "exit status: 0 valid; 1 not valid; 2 bad usage, or FILE or KEYFILE can't be read\n"
    "\n"
    "example:\n"
    "  weirctl ledger verify /var/lib/weir/ledger && echo good\n"
    "\n"
    "columns, one row a slot:\n"
    "  KIND            GRANTS: what may be spent; STATE: names, windows, what was forfeited\n"
    "  PLACE           where the slot begins, in bytes\n"
    "  SEQUENCE        number of the record, for each kind by itself\n"
    "  EPOCH           how many times the ledger had been opened for use (\"-\": no whole record)\n"
    "  VERDICT         valid, or what is wrong with the record\n";

const char weir_help_ledger_show[] =
    "Shows what a ledger's file says. Changes nothing and takes no lock. A file that a start\n"
    "would not accept is shown as far as it can be read, marked NOT TRUSTED, and the exit\n"
    "status is 1.\n"
    "\n"
    "options:\n"
    "  --key KEYFILE   the ledger's key; default FILE.key. Where that does not exist, MACs are\n"
    "                  not checked, and it says so\n"
    "\n"
    "example:\n"
    "  weirctl ledger show /var/lib/weir/ledger\n"
    "  weirctl --json ledger show /var/lib/weir/ledger | jq '.budgets[0].charged_bytes'\n"
    "\n"
    "budgets, one row a window:\n"
    "  CHARGED               known as spent, ever\n"
    "  GRANTED               what a start would charge: after a clean stop the same\n"
    "  FORFEITED             of CHARGED, what crashes have cost\n"
    "  PER, USED             a window, and what counts in it at the ledger's clock; what is\n"
    "                        granted and not known as spent counts as used\n"
    "Caps are the policy's: weirctl status tells them.\n";

const char weir_help_ledger_explain[] =
    "Tells whether a weir that is started now with this policy would accept its ledger, key and\n"
    "witness: would start, or else the line with which it would refuse, what that means and\n"
    "what may be done. Changes nothing.\n"
    "\n"
    "exit status: 0 would start; 1 refused; 2 bad usage or a bad policy\n"
    "\n"
    "example:\n"
    "  weirctl ledger explain /etc/weir/policy.yaml\n";

const char weir_help_ledger_init[] =
    "Makes a new ledger, its key and its witness, where the policy says. Once for a new box, or\n"
    "after a ledger was lost. Refuses where any of them exists, and touches nothing then.\n"
    "\n"
    "options:\n"
    "  --charge NAME=BYTES   what is known to have left already: charged to the budget NAME\n"
    "                        and to each above it, as traffic would be, and counted by\n"
    "                        windows as spent just now. With a unit, as in the policy; once\n"
    "                        for each budget\n"
    "\n"
    "example:\n"
    "  weirctl ledger init --charge 'api=1.2 TB' --charge 'logs=300 GB' /etc/weir/policy.yaml\n";
