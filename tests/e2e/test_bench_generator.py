# SPDX-License-Identifier: BSD-3-Clause
"""How tools/bench generator judges what it has measured: off is off, and busy is not measured."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools"))

import bench_generator  # noqa: E402

RIGHT = {"asked_bit_s": 10_000_000, "frame_bytes": 1514, "sent_frames": 100, "received_frames": 100,
         "expected_frames": 100, "measured_bit_s": 10_000_000.0, "error": 0.0009, "behind_max_ns": 1, "given_up_ns": 0,
         "exit_status": 0, "lost_share": 0.0, "capture_dropped": 0}
BUSY = {"lost_share": 0.01}


def turns(*changes):
    """The figures after turns that differ from the right ones by these; the last is repeated."""
    left = list(changes)
    return bench_generator.take_turns(lambda: {**RIGHT, **(left.pop(0) if len(left) > 1 else left[0])})


@pytest.mark.parametrize("wrong", [{"error": 0.0011}, {"error": -0.0011}, {"exit_status": 1}, {"sent_frames": 99},
                                   {"received_frames": 99}, {"expected_frames": 101}])
def test_a_rate_that_is_off(wrong, capsys):
    """One that is off is a failure at once, whatever the others are; unless the machine was busy."""
    off = turns(wrong, {})
    assert (off["verdict"], off["turns"]) == ("NOT exact", 1)
    again = turns({**wrong, **BUSY}, {**wrong, "capture_dropped": 1}, {})
    assert (again["verdict"], again["turns"]) == ("exact", 3)
    busy = turns({**wrong, **BUSY})
    assert (busy["verdict"], busy["turns"]) == ("not measured", bench_generator.RATE_TRIES)
    right, options = turns(BUSY), SimpleNamespace(rate_seconds=4)
    assert right["verdict"] == "exact"
    for results, good in (([right], True), ([off, right], False), ([right, right, off], False), ([right, busy], False),
                          ([], False)):
        assert bench_generator.print_rates(options, results) is good
    assert "1 rates were not measured" in capsys.readouterr().out


def machine(most_bit_s, asked=None):
    """One that keeps each rate up to its most. Tells which were asked of it."""
    def run(rate):
        if asked is not None:
            asked.append(rate)
        came = min(rate, most_bit_s)
        return {**RIGHT, "asked_bit_s": rate, "measured_bit_s": came, "error": came / rate - 1, "lost_share": 0.5,
                "verdict": "exact" if came == rate else "not measured"}
    return run


@pytest.mark.parametrize("most", [1_000_000_000, 1_010_000_000, 2_000_000_000, 6_543_000_000, 99_999_000_000])
def test_the_fastest(most):
    """Whatever the machine does at most, a rate that is nearly it is found, in few steps."""
    asked, start = [], machine(most)(1_000_000_000)
    found, missed = bench_generator.find_fastest(machine(most, asked), start, 10 ** 12)
    kept = [result["asked_bit_s"] for result in found]
    assert found[0] is start and kept == sorted(set(kept)) and len(asked) <= 7 + 5
    assert kept[-1] <= most < missed["asked_bit_s"] <= 1.06 * kept[-1]


def test_the_fastest_of_a_busy_machine():
    """A rate that others made it miss is tried again where more than that comes without a pace."""
    start, most = machine(10 ** 13)(1_000_000_000), [1_900_000_000]

    def run_unpaced(_):
        most[0] = 6_000_000_000  # the others are done
        return {"measured_bit_s": 7e9}
    found, fastest = bench_generator.search(lambda rate: machine(most[0])(rate), run_unpaced, start, 10 ** 12)
    kept = [result["asked_bit_s"] for result in found]
    assert 6_000_000_000 / 1.06 <= kept[-1] <= 6_000_000_000 and kept == sorted(set(kept)) and found[0] is start
    assert fastest == {"kept": found[-1], "missed": fastest["missed"], "unpaced_bit_s": 7e9}
    first, _ = bench_generator.search(machine(1_900_000_000), lambda rate: {"measured_bit_s": 1.9e9}, start, 10 ** 12)
    assert 1_900_000_000 / 1.06 <= first[-1]["asked_bit_s"] <= 1_900_000_000


def test_none_faster_than_was_allowed(capsys):
    start = machine(10 ** 13)(1_000_000_000)
    for most, rates in ((3_000_000_000, [10 ** 9, 2 * 10 ** 9, 3 * 10 ** 9]), (1_000_000_000, [10 ** 9])):
        found, missed = bench_generator.find_fastest(machine(10 ** 13), start, most)
        assert ([result["asked_bit_s"] for result in found], missed) == (rates, None)
    bench_generator.print_fastest({"kept": found[-1], "missed": None, "unpaced_bit_s": None})
    assert "The fastest rate kept: 1000 Mbit/s, +0.000% off. None above it was tried." in capsys.readouterr().out
    found, missed = bench_generator.find_fastest(machine(1_500_000_000), start, 10 ** 12)
    bench_generator.print_fastest({"kept": found[-1], "missed": missed, "unpaced_bit_s": 1.6e9})
    told = capsys.readouterr().out
    assert "1500 Mbit/s came.\n" in told and "1600 Mbit/s came.\n" in told and "others were busy" in told
    bench_generator.print_fastest({"kept": found[-1], "missed": missed, "unpaced_bit_s": 1.5e9})
    assert "others" not in capsys.readouterr().out


def speeds(**values):
    """Cycles a frame of five runs of each; None: a disturbed one of 1,000."""
    results = {}
    for name, row in values.items():
        results[name.replace("_", " ")] = {"values": [value or 1000 for value in row],
                                           "good": [value for value in row if value], "disturbed": row.count(None)}
    return {name: word for name, (_, word) in
            bench_generator.speed_verdicts(bench_generator.summed_up(results)).items()}


def test_speed():
    """Disturbed runs don't count, on either side; too many of them, and nothing was measured."""
    quiet = [50, 50, 60, 70, 70]
    held = {"weirgen fixed": "held", "weirgen tuples": "held"}
    assert speeds(testpmd_txonly=quiet, weirgen_fixed=[75] * 5, weirgen_tuples=[120] * 5) == held
    assert speeds(testpmd_txonly=quiet, weirgen_fixed=[76] * 5, weirgen_tuples=[121] * 5) == dict.fromkeys(held, "NOT held")
    few, many = [None, None, 75, 75, 75], [None, None, None, 75, 75]
    assert speeds(testpmd_txonly=quiet, weirgen_fixed=few, weirgen_tuples=few) == held
    assert speeds(testpmd_txonly=quiet, weirgen_fixed=many, weirgen_tuples=few) == {**held, "weirgen fixed": "not measured"}
    # A slow testpmd makes nobody fast.
    assert speeds(testpmd_txonly=[None, None, None, 60, 60], weirgen_fixed=quiet,
                  weirgen_tuples=quiet) == dict.fromkeys(held, "not measured")


def test_json_without_root(folder, monkeypatch, capsys):
    """What was not measured is no success either; the file bears its kind."""
    sys.path.append(str(Path(__file__).parents[2] / "tools/reporting"))
    import evidence  # pylint: disable=import-outside-toplevel

    monkeypatch.setattr(bench_generator.os, "geteuid", lambda: 1000)
    told, program = folder / "told.json", folder / "weirgen"
    program.write_text("")
    program.chmod(0o755)
    bench = SimpleNamespace(positive=lambda kind, most: kind, shutil=shutil, now=lambda: "now",
                            cpu_model=lambda: "some CPU", Failed=RuntimeError)
    assert bench_generator.main(bench, ["--only", "rates", "--build", str(folder), "--json", str(told)]) == 1
    assert json.loads(told.read_text())["kind"] == "bench.generator" and evidence.load(told).kind == "bench.generator"
    assert "not measured" in capsys.readouterr().out
