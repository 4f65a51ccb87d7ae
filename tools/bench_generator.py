# SPDX-License-Identifier: BSD-3-Clause
"""What "tools/bench generator" does: weirgen's speed against testpmd, and how exact its rates are."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXED_LEAST, TUPLES_LEAST = 0.8, 0.5  # of testpmd's frames a second
RATE_MOST = 0.001  # by which a rate may differ from what was asked
RATE_LOST_MAX = RATE_MOST / 4  # share of its time that a sender may wait for its CPU where a rate is judged
CATCH_UP = "100 ms"  # the mean over the run is judged: a lost CPU is made up for, as long as it is this short
RATE_TRIES = 5  # for a turn that was not disturbed
FRAMES_A_SECOND = 25_000_000  # about what a null port takes: only says how long a run lasts
TUPLES = """\
    source: 10.0.0.0/8
    destination: 192.0.2.0/24
    source_ports: 1024-65535
    destination_ports: 1-1023
"""
CASES = {
    "weirgen fixed": "    stamp: none\n",
    "weirgen stamped": "",
    "weirgen tuples": "    stamp: none\n" + TUPLES,
    "weirgen tuples stamped": TUPLES,
}
WHAT = {
    "testpmd txonly": "64-byte frames, all alike",
    "testpmd txonly flows": "the same, source addresses in turn",
    "weirgen fixed": "60-byte frames, all alike (64 with the FCS)",
    "weirgen stamped": "the same with stamps and their checksums",
    "weirgen tuples": "both addresses and ports at random, checksums right",
    "weirgen tuples stamped": "the same with stamps",
}
# Bits a second, bytes of a frame. From the last one on the fastest that the machine does is looked for.
RATES = [(10_000_000, 60), (10_000_000, 1514), (100_000_000, 1514), (500_000_000, 1514), (1_000_000_000, 1514)]
FASTEST_STEP = 1.06  # how near a rate that isn't kept has to be to the fastest that is
FASTEST_TRIES = 2  # turns for each rate of the search: a machine at its limit is never undisturbed
FASTEST_ROUNDS = 2  # of the search


def parse_options(bench, arguments):
    """The command line behind "generator"."""
    parser = argparse.ArgumentParser(prog="bench generator", description=(
        "weirgen's cycles a frame on a null port against testpmd txonly, in turns; and, as root, its rates by "
        "tcpdump at the other end of a veth. A run that had to share its CPU is done again. Exit status 1 where "
        "it is slower than asked, where any rate or count is off, or where the machine was too busy to measure one."))
    option = parser.add_argument
    option("--build", default=str(ROOT / "build"), help="where weirgen is (default: build/ of this repository)")
    option("--repetitions", metavar="N", type=bench.positive(int, 1000), default=5,
           help="rounds; medians count (default %(default)s)")
    option("--seconds", metavar="S", type=bench.positive(float, 600), default=1.0,
           help="how long each run is (default %(default)s)")
    option("--rate-seconds", metavar="S", type=bench.positive(float, 600), default=4.0,
           help="how long each rate is sent (default %(default)s)")
    option("--pages", choices=["huge", "normal"], default="normal", help="packet memory (default %(default)s)")
    option("--worker", metavar="LCORE", type=int, default=1, help="the CPU that sends (default %(default)s)")
    option("--control", metavar="LCORE", type=int, default=0, help="another CPU (default %(default)s)")
    option("--fastest", metavar="MBIT_S", type=bench.positive(float, 1e6), default=1e6,
           help="rates above it are left out (default: the fastest that the machine does is looked for)")
    option("--only", choices=["speed", "rates"], help="one half of it")
    option("--json", metavar="FILE", help="write all figures there as well")
    options = parser.parse_args(arguments)
    options.weirgen = os.path.join(options.build, "weirgen")
    options.testpmd = bench.shutil.which("dpdk-testpmd")
    options.warm_up = 0.2
    if not os.access(options.weirgen, os.X_OK):
        parser.error(f"{options.weirgen}: not built; see --build")
    if options.testpmd is None and options.only != "rates":
        parser.error("dpdk-testpmd: not found; Debian has it in the package dpdk-dev")
    return options


def stolen_ns(cpu):
    """Time that the hypervisor has kept a CPU for others."""
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            name, *ticks = line.split()
            if name == f"cpu{cpu}" and len(ticks) > 7:
                return int(ticks[7]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return 0


def run_worker(bench, options, command, limit_s):
    """Runs weirgen. Returns exit status, output, and the share of its time that its worker waited for its CPU."""
    lost, began_ns, stolen = 0, time.monotonic_ns(), stolen_ns(options.worker)
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        try:
            while process.poll() is None:
                lost = bench.lost_share(process.pid, options.worker) or lost
                if time.monotonic_ns() - began_ns > limit_s * 1e9:
                    raise bench.Failed("weirgen: not done in time")
                time.sleep(0.02)
        finally:
            if process.poll() is None:
                process.kill()
        output = process.stdout.read().decode(errors="replace")
    lost += (stolen_ns(options.worker) - stolen) / (time.monotonic_ns() - began_ns)
    return process.returncode, output, lost


def run_weirgen(bench, options, extra, folder):
    """Sends as fast as a null port takes. Returns cycles a frame, share lost."""
    profile, result = Path(folder) / "profile.yaml", Path(folder) / "result.json"
    profile.write_text("streams:\n  - name: bench\n    rate: 1 Gbit/s\n    size: 60\n" + extra)
    command = [options.weirgen, "send", profile, "--port", "net_null0", "--fast", "--quiet", "--json", result]
    command += ["--count", str(int(FRAMES_A_SECOND * options.seconds)), "--pages", options.pages]
    command += ["--worker", str(options.worker), "--control", str(options.control)]
    status, output, lost = run_worker(bench, options, command, 60 + 20 * options.seconds)
    if status != 0:
        raise bench.Failed(f"weirgen: exit status {status}: {output}")
    return json.loads(result.read_text())["cycles_per_frame"], lost


def measure_speed(bench, options, folder):
    """Takes turns. Returns {name: {values, disturbed, median}}."""
    huge = options.pages == "huge"
    runs = {"testpmd txonly": lambda: bench.run_testpmd(options, "txonly", huge),
            "testpmd txonly flows": lambda: bench.run_testpmd(options, "txonly --txonly-multi-flow", huge)}
    for name, extra in CASES.items():
        runs[name] = lambda extra=extra: run_weirgen(bench, options, extra, folder)
    results = {name: {"values": [], "good": [], "disturbed": 0} for name in runs}
    for _ in range(options.repetitions):
        for name, run in runs.items():
            value, lost = bench.run_undisturbed(run)
            results[name]["values"].append(value)
            if lost > bench.LOST_MAX:
                results[name]["disturbed"] += 1
            else:
                results[name]["good"].append(value)
    return summed_up(results)


def summed_up(results):
    """Adds medians: of the undisturbed runs, where at least half were; otherwise they were not measured."""
    for result in results.values():
        good = result.pop("good")
        result["measured"] = 2 * len(good) >= len(result["values"])
        result["median"] = statistics.median(good if result["measured"] else result["values"])
    for result in results.values():
        result["times_testpmd_frames"] = results["testpmd txonly"]["median"] / result["median"]
    return results


def speed_verdicts(results):
    """What was asked: {case: (share of testpmd's frames, "held", "NOT held" or "not measured")}."""
    verdicts = {}
    for name, least in (("weirgen fixed", FIXED_LEAST), ("weirgen tuples", TUPLES_LEAST)):
        word = "held" if results[name]["times_testpmd_frames"] >= least else "NOT held"
        if not results[name]["measured"] or not results["testpmd txonly"]["measured"]:
            word = "not measured"
        verdicts[name] = least, word
    return verdicts


def print_speed(bench, options, results):
    """The table. Returns whether weirgen is as fast as asked."""
    print(f"Cycles a frame on a null port, burst 32, {options.pages} pages, medians of {options.repetitions} "
          f"interleaved runs\n\n{'':<24} {'median':>8} {'lowest':>8} {'highest':>8} {'speed':>7}")
    for name, result in results.items():
        print(f"{name:<24} {result['median']:>8.1f} {min(result['values']):>8.1f} {max(result['values']):>8.1f} "
              f"{result['times_testpmd_frames']:>6.2f}x  {WHAT[name]}")
    disturbed = bench.count_disturbed(results)
    if disturbed:
        print(f"\nBusy machine: {disturbed} runs shared their CPU in spite of all tries, and don't count.")
    print()
    verdicts = speed_verdicts(results)
    for name, (least, word) in verdicts.items():
        print(f"at least {least} of testpmd txonly: {name:<16} {word}")
    return all(word == "held" for _, word in verdicts.values())


def run_rate(bench, laboratory, lab, options, asked, size, fast=False):
    """
    One rate once, or as many frames as it has as fast as possible. Returns its figures, measured at the
    other end.
    """
    profile, result = lab.folder / "rate.yaml", lab.folder / "rate.json"
    expected = int(asked * options.rate_seconds / 8 / (size + 24) + 1e-6)
    length = ["--fast", "--count", expected] if fast else ["--duration", f"{options.rate_seconds:g} s"]
    profile.write_text(f"streams:\n  - {{name: rate, rate: {asked} bit/s, size: {size}}}\n")
    clocks = laboratory.Clocks()
    clocks.start()
    capture = laboratory.Capture(lab, "internet", "net0", "rate", 64)
    status, output, lost = run_worker(
        bench, options,
        [*lab.exec("box"), options.weirgen, "send", profile, "--port",
         "net_af_packet0,iface=out0,blocksz=65536,framecnt=1024", "--quiet", "--json", result, *length,
         "--catch-up", CATCH_UP, "--pages", options.pages, "--worker", options.worker, "--control", options.control], 120)
    if not result.exists():
        raise bench.Failed(f"weirgen: exit status {status}: {output}")
    if capture.running():
        time.sleep(1.2)
        capture.end(laboratory.signal.SIGINT)
    clocks.stop()
    dropped = laboratory.re.search(r"(\d+) packets? dropped by kernel", capture.text())
    told = json.loads(result.read_text())
    result.unlink()
    frames = list(laboratory.read_pcap(capture.path))
    if len(frames) < 2:
        raise bench.Failed(f"{len(frames)} frames came at {asked} bit/s: {capture.text()}")
    span_ns = clocks.to_raw(frames[-1].ns) - clocks.to_raw(frames[0].ns)
    measured = sum(frame.wire for frame in frames[1:]) * 8e9 / span_ns
    return {"asked_bit_s": asked, "frame_bytes": size, "sent_frames": told["frames"], "received_frames": len(frames),
            "expected_frames": expected, "measured_bit_s": measured,
            "error": measured / asked - 1, "behind_max_ns": told["behind_max_ns"],
            "given_up_ns": told["given_up_ns"], "exit_status": status, "lost_share": lost,
            "capture_dropped": int(dropped[1]) if dropped else 0}


def is_exact(result):
    """Rate and count as asked."""
    return abs(result["error"]) <= RATE_MOST and result["exit_status"] == 0 and (
        result["sent_frames"] == result["expected_frames"] == result["received_frames"])


def take_turns(run, tries=RATE_TRIES):
    """The first turn that is exact, or inexact without a disturbance: that is the verdict. Returns its figures."""
    for turn in range(tries):
        result = run()
        disturbed = result["lost_share"] > RATE_LOST_MAX or result["capture_dropped"] > 0
        result["turns"] = turn + 1
        result["verdict"] = "exact" if is_exact(result) else "not measured" if disturbed else "NOT exact"
        if result["verdict"] != "not measured":
            break
    return result


def find_fastest(run, kept, most_bit_s):
    """
    Doubles a rate that is kept until one isn't, then goes to the middle of the two until they are near. run(rate):
    figures with a verdict. Returns the rates that were kept, in ascending order, and the least that wasn't.
    """
    found, missed = [kept], None
    while missed is None or missed["asked_bit_s"] > FASTEST_STEP * found[-1]["asked_bit_s"]:
        low = found[-1]["asked_bit_s"]
        rate = min(2 * low, most_bit_s) if missed is None else int(float(f"{(low * missed['asked_bit_s']) ** 0.5:.3g}"))
        if rate == low:
            break
        result = run(rate)
        if result["verdict"] == "exact":
            found.append(result)
        else:
            missed = result
    return found, missed


def search(run, run_unpaced, kept, most_bit_s):
    """
    Finds the fastest. Where a rate was missed that is below what comes without a pace, others were busy, and it
    goes on from there. Returns the rates that were kept, and what is known of the fastest.
    """
    found, unpaced = [kept], None
    for _ in range(FASTEST_ROUNDS):
        more, missed = find_fastest(run, found[-1], most_bit_s)
        found += more[1:]
        if missed is None:
            break
        unpaced = max(unpaced or 0, run_unpaced(missed["asked_bit_s"])["measured_bit_s"])
        if missed["asked_bit_s"] > unpaced:
            break
    return found, {"kept": found[-1], "missed": missed, "unpaced_bit_s": unpaced}


def measure_rates(bench, options):
    """Each rate, and the fastest. Returns a list of figures, and what is known of the fastest or None."""
    sys.path.insert(0, str(ROOT / "tests/e2e"))
    os.environ.setdefault("WEIR_BUILD", options.build)
    import lab as laboratory  # pylint: disable=import-outside-toplevel

    with tempfile.TemporaryDirectory(prefix="weir-") as folder:
        lab = laboratory.Lab(Path(folder))

        def run(asked, size, fast=False):
            return run_rate(bench, laboratory, lab, options, asked, size, fast)
        try:
            lab.wire("internet", "net0", "out0")
            most_bit_s = int(options.fastest * 1e6)
            results = [take_turns(lambda rate=asked, bytes_=size: run(rate, bytes_))
                       for asked, size in RATES if asked <= most_bit_s]
            if not results or results[-1]["verdict"] != "exact":
                return results, None
            size = results[-1]["frame_bytes"]
            found, fastest = search(lambda rate: take_turns(lambda: run(rate, size), FASTEST_TRIES),
                                    lambda rate: run(rate, size, True), results[-1], most_bit_s)
        finally:
            lab.close()
    return results[:-1] + found, fastest


def print_fastest(fastest):
    """What the machine does at most."""
    kept, missed = fastest["kept"], fastest["missed"]
    print(f"\nThe fastest rate kept: {kept['asked_bit_s'] / 1e6:.0f} Mbit/s, {100 * kept['error']:+.3f}% off.", end="")
    if missed is None:
        print(" None above it was tried.")
        return
    print(f" {missed['asked_bit_s'] / 1e6:.0f} Mbit/s was not: {missed['measured_bit_s'] / 1e6:.0f} Mbit/s came.\n"
          f"As fast as possible, without a pace, {fastest['unpaced_bit_s'] / 1e6:.0f} Mbit/s came.")
    if missed["asked_bit_s"] <= fastest["unpaced_bit_s"]:
        print("So others were busy there, or its pace is what holds it: an idle machine tells.")


def print_rates(options, results):
    """The table. Returns whether all rates are exact."""
    print(f"\nRates by tcpdump at the other end of a veth, {options.rate_seconds:g} s each, at most "
          f"{100 * RATE_MOST:g} % off, with --catch-up {CATCH_UP!r}\n\n"
          f"{'asked':>13} {'frame':>6} {'measured':>17} {'error':>9} {'sent':>9} {'received':>9} {'behind':>9} "
          f"{'CPU lost':>9}")
    for result in results:
        print(f"{result['asked_bit_s'] / 1e6:>6.0f} Mbit/s {result['frame_bytes']:>6} "
              f"{result['measured_bit_s'] / 1e6:>10.3f} Mbit/s {100 * result['error']:>+8.3f}% "
              f"{result['sent_frames']:>9} {result['received_frames']:>9} {result['behind_max_ns'] / 1e6:>6.2f} ms "
              f"{100 * result['lost_share']:>7.2f} %  {result['verdict']}")
    busy = sum(result["verdict"] == "not measured" for result in results)
    if busy:
        print(f"\nBusy machine: {busy} rates were not measured: no turn of {RATE_TRIES} had its CPU to itself.")
    return bool(results) and all(result["verdict"] == "exact" for result in results)


def main(bench, arguments):
    """Returns the exit status."""
    options = parse_options(bench, arguments)
    report = {"kind": "bench.generator", "started": bench.now(), "cpu": bench.cpu_model()}
    good = True
    try:
        with tempfile.TemporaryDirectory(prefix="weir-") as folder:
            if options.only != "rates":
                report["speed"] = measure_speed(bench, options, folder)
                good = print_speed(bench, options, report["speed"])
                for name, (least, word) in speed_verdicts(report["speed"]).items():
                    report["speed"][name].update(least=least, verdict=word)
        if options.only != "speed" and os.geteuid() != 0:
            print("\nRates: not measured: that needs root, for network namespaces.")
            good = False
        elif options.only != "speed":
            report["rates"], fastest = measure_rates(bench, options)
            good = print_rates(options, report["rates"]) and good
            if fastest:
                print_fastest(fastest)
                report["fastest"] = fastest
        if options.json:
            with open(options.json, "w", encoding="ascii") as file:
                json.dump(report, file, indent=2)
                file.write("\n")
    except (bench.Failed, OSError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1
