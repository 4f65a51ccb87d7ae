# SPDX-License-Identifier: BSD-3-Clause
"""weirctl plan: what the worked policies are worth, and what it says of others."""

import json
import re
from pathlib import Path

import fake_server
import pytest
from fake_server import STATUS, answer, failed, later, no_controls

ctl, serve = fake_server.ctl, fake_server.serve  # fixtures

POLICIES = Path(__file__).parents[2] / "tools/policies"
DAY = 86400
POLICY = """\
{asset}ports: [{{name: in0, device: net_null0}}, {{name: out0, device: net_null1}}]
links: [{{name: lab, inside: in0, outside: out0}}]
budgets:
  - name: total
    caps: [{caps}]
classes:
  - {{name: api, budget: total, rate: 1 Gbit/s, burst: 64 kB}}
  - {{name: housekeeping, budget: total, rate: 1 Mbit/s, burst: 10 kB}}
rules:
  - {{protocol: tcp, class: api}}
  - {{ethertype: arp, class: housekeeping}}
"""
ASSET = "asset: {{name: m, weights: 3.4 TB, compression: {compression}, survive: {survive}{more}}}\n"


@pytest.fixture
def plan(ctl, folder):
    """Plans a policy with such caps; returns exit status, text and JSON."""
    def run(caps, *arguments, compression=16, survive="90 d", more="", asset=None):
        path = folder / "plan.yaml"
        if asset is None:
            asset = ASSET.format(compression=compression, survive=survive, more=more)
        path.write_text(POLICY.format(asset=asset, caps=caps))
        text = ctl("plan", *arguments, path)
        done = ctl("--json", "plan", *arguments, path)
        assert (text.returncode, text.stderr) == (done.returncode, done.stderr)
        assert text.stderr == "", text.stderr
        no_controls(text.stdout)
        return text.returncode, text.stdout, json.loads(done.stdout)
    return run


def total(told, compression):
    return next(at for at in told["paths"][0]["attackers"] if at["compression"] == compression)


def test_sizing(plan):
    """The table of sizes, with the policy of each cap and rate put to the test as well."""
    for compression, gb, kbit in ((1, "9.3", "863"), (4, "2.33", "216"), (16, "0.58", "54"), (100, "0.093", "8.6")):
        code, _, told = plan("{limit: 1 PB}", compression=compression, survive="365 d")
        assert code == 1
        largest = next(at for at in told["largest"] if at["compression"] == compression)
        window, = largest["windows"]
        assert window["window_s"] == DAY
        digits = len(gb.partition(".")[2])
        assert f"{window['limit_bytes'] / 1e9:.{digits}f}" == gb
        assert f"{largest['rate_bit_s'] / 1e3:.{len(kbit.partition('.')[2])}f}" == kbit
        for more, code, days in ((0, 0, 365), (1, 1, 364)):
            result = plan(f"{{limit: {window['limit_bytes'] + more} B, per: 1 d}}", compression=compression,
                          survive="365 d")
            assert result[0] == code
            assert total(result[2], compression)["after_s"] == days * DAY
            assert total(result[2], compression)["survives"] is (code == 0)


def test_defaults(plan):
    """3.4 TB, 16 times, 90 days: 2.36 GB a day; half of what an attacker needs is 106 GB."""
    code, text, told = plan("{limit: 2.36 GB, per: 1 d}", asset="")
    assert (code, told["survives"], told["asset"]["assumed"]) == (0, True, True)
    assert "ASSUMED" in text and "SURVIVES 90 d" in text
    assert (told["asset"]["weights_bytes"], told["asset"]["compression"], told["asset"]["survive_s"]) \
        == (3_400_000_000_000, 16, 90 * DAY)
    assert (told["needs_bytes"], told["could_leave_bytes"]) == (212_500_000_000, 90 * 2_360_000_000)
    assert total(told, 16)["after_s"] == 90 * DAY
    assert total(told, 16)["held_by"] == [{"kind": "window", "budget": "total", "limit_bytes": 2_360_000_000,
                                           "window_s": DAY}]
    assert plan("{limit: 2.37 GB, per: 1 d}", asset="")[0] == 1
    code, text, told = plan("{limit: 106 GB}", asset="")
    assert (code, total(told, 16)["never"], total(told, 16)["after_s"]) == (0, True, None)
    assert "at most 106 GB can leave, 49.9 % of the 212.5 GB" in text


def test_verdict(plan):
    code, text, told = plan("{limit: 1 TB, per: 1 d}")
    assert (code, told["ok"], told["survives"]) == (1, False, False)
    assert text.splitlines()[1:3] == [
        "DOES NOT SURVIVE 90 d: the model can have left after 28 min 18 s",
        "missed by a factor: until then up to 90 TB can leave, 424 times the 212.5 GB that an attacker needs"]
    assert told["could_leave_models"] == pytest.approx(90e12 / 212.5e9)
    # 1.001 Gbit/s and both bursts, until there are enough bytes.
    assert total(told, 16)["after_s"] == int((212.5e9 - 74000) * 8 / 1.001e9) == 28 * 60 + 18
    code, text, told = plan("{limit: 1 TB, per: 1 d}", more=", accept_risk: we watch it")
    assert (code, told["ok"], told["survives"], told["asset"]["accept_risk"]) == (0, True, False, "we watch it")
    assert "RISK ACCEPTED, says the policy: we watch it\n" in text
    code, text, _ = plan("{limit: 1 TB}", compression=1000000)
    assert code == 1 and "the model can have left at once" not in text
    assert "the model can have left after" in text


@pytest.mark.parametrize("name, code, first, day", [
    ("inference", 0, r"SURVIVES 90 d: until then at most 106 GB can leave, 49\.9 % of the 212\.5 GB", None),
    ("campus", 0, r"SURVIVES 90 d: until then at most 106 GB can leave, 49\.9 % of the 212\.5 GB", None),
    ("lab", 0, r"SURVIVES 1 d: until then at most 1 GB can leave, 40\.0 % of the 2\.5 GB", None),
    ("public", 0, r"DOES NOT SURVIVE 90 d: the model can have left after 50 min", 50 * 60),
])
def test_worked_policies(ctl, name, code, first, day):
    done = ctl("plan", POLICIES / f"{name}.yaml")
    assert (done.returncode, done.stderr) == (code, "")
    assert re.match(first, done.stdout.splitlines()[1])
    assert ("RISK ACCEPTED" in done.stdout) == (name == "public")
    assert ("there is no witness" in done.stdout) == (name == "lab")
    assert ("the witness is a file, and root on the box can" in done.stdout) == (name in ("campus", "public"))
    assert ("All this holds as long as nobody" in done.stdout) == (name != "inference")
    told = json.loads(ctl("--json", "plan", POLICIES / f"{name}.yaml").stdout)
    assert told["witness"] == {"inference": "tpm", "campus": "file", "lab": "none", "public": "file"}[name]
    own = total(told, told["asset"]["compression"])
    assert own["after_s"] == day and own["never"] is (day is None)
    # Every part is in the answer once, and no part of it is worse than the whole.
    names = [(path["kind"], path["name"]) for path in told["paths"]]
    assert len(set(names)) == len(names) and names[0] == ("total", None)
    for path in told["paths"]:
        for at, whole in zip(path["attackers"], told["paths"][0]["attackers"]):
            assert at["never"] or (not whole["never"] and at["after_s"] >= whole["after_s"])


@pytest.mark.parametrize("path, said", [
    ("/var/lib/weir/witness", "puts an older copy of the ledger back: its witness lies in the same folder\n"),
    ("/var/lib/weir2/witness", "puts older copies of the ledger and of its witness back together:\nthe witness is a file"),
    ("/var/lib/witness", "puts older copies of the ledger and of its witness back together:\nthe witness is a file"),
])
def test_witness_in_a_file(ctl, folder, path, said):
    """Whom it trusts, by where the witness is."""
    policy = folder / "file.yaml"
    policy.write_text((POLICIES / "campus.yaml").read_text().replace("/mnt/witness/campus-gate", path))
    assert f"All this holds as long as nobody {said}" in ctl("plan", policy).stdout
    told = json.loads(ctl("--json", "plan", policy).stdout)
    assert told["witness"] == "file" and told["witness_beside_ledger"] == ("in the same folder" in said)


def test_all_worked_policies():
    assert {path.stem for path in POLICIES.glob("*.yaml")} == {"inference", "campus", "lab", "public"}


def test_public_service(ctl):
    """The README's figures for 5 TB a day: each class's time, and that the traffic fits."""
    traffic = {"answers": 72, "media": 322, "logs": 44, "telemetry": 8}
    options = [word for name, mbit in traffic.items() for word in ("--traffic", f"{name}={mbit} Mbit/s")]
    told = json.loads(ctl("--json", "plan", *options, POLICIES / "public.yaml").stdout)
    assert told["traffic"]["fits"] is True
    assert told["traffic"]["total_bit_s"] * DAY / 8 == pytest.approx(4.82e12, rel=0.001)
    assert sum(at["share"] for at in told["traffic"]["classes"]) == pytest.approx(1)
    after = {path["name"]: path["attackers"][2]["after_s"] for path in told["paths"] if path["kind"] == "class"}
    assert {name: seconds // 3600 for name, seconds in after.items()} == {
        "answers": 5, "media": 1, "logs": 8, "telemetry": 50, "housekeeping": 21 * 24}
    assert total(told, 1)["after_s"] == 14 * 3600


def test_traffic(plan):
    caps = "{limit: 1 GB, per: 1 d}, {limit: 100 GB}"
    code, text, told = plan(caps, "--traffic", "api=80 kbit/s", "--traffic", "housekeeping=10 kbit/s")
    traffic = told["traffic"]
    assert (code, traffic["fits"], traffic["live"], traffic["total_bit_s"]) == (0, True, False, 90000)
    assert [(at["name"], at["fits"]) for at in traffic["classes"]] == [("api", True), ("housekeeping", True)]
    assert [at["share"] for at in traffic["classes"]] == pytest.approx([8 / 9, 1 / 9])
    # A day's window, 1/64 of it longer because bytes come back late; 100 GB last 102 days and more.
    assert traffic["caps"][0]["used_bytes"] == -(-90000 * DAY * 65 // 64 // 8)
    assert [at["left_bytes"] for at in traffic["caps"]] == [10 ** 9, 10 ** 11]
    assert traffic["caps"][1]["lasts_s"] == 10 ** 11 * 8 // 90000
    assert "Traffic as given, 90 kbit/s in all, FITS:" in text and "fits: lasts 102 d" in text
    _, text, told = plan(caps, "--traffic", "api=92 kbit/s")
    assert told["traffic"]["fits"] is False and told["traffic"]["classes"][0]["fits"] is True
    assert told["traffic"]["caps"][0]["used_bytes"] == 1_009_125_000
    assert "DOES NOT FIT" in text and "TOO MUCH: 1.01 times" in text
    _, text, told = plan(caps, "--traffic", "housekeeping=1.5 Mbit/s")
    assert told["traffic"]["classes"][1]["fits"] is False and "TOO MUCH: 1.50 times" in text
    _, text, told = plan(caps, "--traffic", "housekeeping=0 bit/s")
    assert told["traffic"]["fits"] is True and told["traffic"]["caps"][1]["lasts_s"] is None
    assert plan(caps)[2]["traffic"] is None


@pytest.mark.parametrize("survive, fits", [("88 d", True), ("2115 h", False)])
def test_lifetime(plan, survive, fits):
    """A cap that is used up before the time that the model is to survive is too small for the traffic."""
    caps = f"{{limit: {88 * DAY * 10 ** 6 // 8 + 10 ** 9} B}}"  # 88 days at 1 Mbit/s, and two hours more
    code, text, told = plan(caps, "--traffic", "api=1 Mbit/s", survive=survive, compression=1)
    assert (code, told["traffic"]["fits"]) == (0, fits)
    assert told["traffic"]["caps"][0]["fits"] is fits
    assert ("FITS:" in text) is fits and ("TOO MUCH: used up after 88 d 2 h" in text) is not fits
    assert f"A lifetime cap has to last for {survive}," in text


def test_full_to_the_last_byte(plan):
    """A share is rounded up, but what survives is never shown as all that an attacker needs."""
    need = 3_400_000_000_000 // 16
    code, text, _ = plan(f"{{limit: {need - 1} B}}")
    assert code == 0 and "100.0 % of the" not in text.partition("\n\n")[0]
    assert "SURVIVES 90 d" in text and "1 B less than an attacker needs" in text
    code, text, _ = plan(f"{{limit: {need} B}}")
    assert code == 1 and "DOES NOT SURVIVE" in text


def test_missed_by_minutes(plan):
    """A time to survive is told in full: cut to two units it would look like the time that misses it."""
    code, text, _ = plan("{limit: 106.25 GB, per: 2161 h}", survive="129661 min")
    assert code == 1 and "DOES NOT SURVIVE 129661 min: the model can have left after 90 d 1 h\n" in text
    assert "alone would survive 129661 min:\n" in text
    code, text, _ = plan("{limit: 106.25 GB, per: 2161 h}", survive="2161 h")
    assert code == 0 and "SURVIVES 2161 h: " in text


@pytest.mark.parametrize("given, line", [
    (["--traffic", "api"], "--traffic: api: expected CLASS=RATE, such as 'api=200 Mbit/s'"),
    (["--traffic", "=1 bit/s"], "--traffic: =1 bit/s: expected CLASS=RATE, such as 'api=200 Mbit/s'"),
    (["--traffic", "none=1 bit/s"], "--traffic: none=1 bit/s: expected the name of a class of the policy"),
    (["--traffic", "api=5 TB"], "--traffic: api=5 TB: expected a rate.*"),
    (["--traffic", "api=1 bit/s", "--traffic", "api=1 bit/s"], "--traffic: api=1 bit/s: expected each class once"),
    (["--traffic", "api=1 bit/s", "--live"], "--live: expected no --traffic beside it"),
])
def test_bad_traffic(ctl, folder, given, line):
    path = folder / "plan.yaml"
    path.write_text(POLICY.format(asset="", caps="{limit: 1 GB}"))
    done = ctl("plan", *given, path)
    failed(done, 2, line)
    assert done.stdout == ""


def test_bad_policy(ctl, folder):
    path = folder / "plan.yaml"
    failed(ctl("plan", path), 2, f"{path}: No such file or directory")
    path.write_text(POLICY.format(asset="", caps="{limit: 1 G}"))
    failed(ctl("plan", path), 2, rf"{path}:5: budgets\[0\].caps\[0\].limit: 1 G: expected .*")


def test_live(plan, ctl, serve, folder):
    """What classes had sent or dropped between two answers."""
    after = later(STATUS, 2)
    after["classes"][0]["dropped_wire_bytes"] += 1_000_000
    serve(answer(STATUS), answer(after), answer(STATUS), answer(after))
    code, text, told = plan("{limit: 150 GB, per: 90 d}", "--live", "-i", "100 ms")
    assert (code, told["traffic"]["live"], told["traffic"]["total_bit_s"]) == (0, True, 54_000_000)
    assert told["traffic"]["classes"][0]["traffic_bit_s"] == 54_000_000
    assert "Traffic that the running weir has now, 54 Mbit/s in all, DOES NOT FIT:" in text


@pytest.mark.parametrize("limit, mbit, now, line", [
    (2_360, 0.02, "FITS", "fits"),  # a day of it is below what is left
    (2_360, 0.1, "FITS, BUT NOT NOW", "fits, but not now: may be full after 7 h"),
    # It may be this traffic that has filled the window so far, or others an hour ago.
    (2_360, 0.2, "FITS, BUT PERHAPS NOT NOW", "fits, but perhaps not now: may be full after 3 h 30 min"),
    (1_900, 0.1, "FITS, BUT NOT NOW", "fits, but not now: may be full after 0 ns"),
])
def test_live_window_that_is_full_already(plan, serve, limit, mbit, now, line):
    after = later(STATUS, 2)
    after["classes"][0].update(STATUS["classes"][0], tx_wire_bytes=STATUS["classes"][0]["tx_wire_bytes"] + int(mbit * 250_000))
    after["budgets"][0]["caps"][1]["used_bytes"] = 2_045_000_000
    serve(answer(STATUS), answer(after), answer(STATUS), answer(after))
    _, text, told = plan(f"{{limit: {limit} MB, per: 1 d}}", "--live", "-i", "100 ms")
    cap = told["traffic"]["caps"][0]
    fits = now == "FITS"
    assert (cap["fits"], cap["fits_now"], told["traffic"]["fits"], told["traffic"]["fits_now"]) == (True, fits, True, fits)
    assert cap["fits_if_even"] == (now != "FITS, BUT NOT NOW")
    assert f" in all, {now}:\n" in text and line in text


@pytest.mark.parametrize("cap, used", [
    ("{limit: 200 GB}", "charged"),
    ("{limit: 2 GB}", "charged"),
    ("{limit: 5 GB, per: 1 d}", "day"),  # the running one's own window
    ("{limit: 5 GB, per: 1 h}", "day"),  # no more can be in an hour than in a day
    ("{limit: 900 GB, per: 2 d}", "charged"),  # and in two than was ever charged
    ("{limit: 1 MB, per: 1 d}", "all"),
])
def test_live_goes_on_from_what_is_charged(plan, serve, cap, used):
    after = later(STATUS, 2)
    after["budgets"][0]["charged_wire_bytes"] = 1_700_000_000
    serve(answer(STATUS), answer(after), answer(STATUS), answer(after))
    _, text, told = plan(cap, "--live", "-i", "100 ms")
    limit = told["traffic"]["caps"][0]["limit_bytes"]
    left = {"charged": limit - 1_700_000_000, "day": limit - after["budgets"][0]["caps"][1]["used_bytes"], "all": 0}[used]
    assert told["traffic"]["caps"][0]["left_bytes"] == left
    assert told["traffic"]["caps"][0]["lasts_s"] == left * 8 // 50_000_000
    assert "LEFT NOW" in text


def test_what_is_left_is_cut(plan, serve):
    """As more than there is it would promise what nobody may send."""
    after = later(STATUS, 2)
    after["budgets"][0]["charged_wire_bytes"] = 1_700_000_001
    serve(answer(STATUS), answer(after), answer(STATUS), answer(after))
    _, text, told = plan("{limit: 2 GB}", "--live", "-i", "100 ms")
    assert told["traffic"]["caps"][0]["left_bytes"] == 299_999_999
    assert " 299.9 MB " in text and " 300 MB " not in text


def test_live_without_weir(ctl, serve, folder):
    path = folder / "plan.yaml"
    path.write_text(POLICY.format(asset="", caps="{limit: 1 GB}"))
    failed(ctl("plan", "--live", path), 1, ".*")
    unknown, anew = later(STATUS, 2), later(STATUS, 2)
    unknown["classes"][0]["name"] = "other"
    anew["uptime_s"] = 1
    first = {**STATUS, "classes": [{**STATUS["classes"][0], "name": "other"}]}
    serve(answer(first), answer(unknown), answer(STATUS), answer(anew))
    done = ctl("plan", "--live", "-i", "100 ms", path)
    assert done.returncode == 0
    assert "Besides, 50 Mbit/s of 1 classes that this policy does not have.\n" in done.stdout
    failed(ctl("plan", "--live", "-i", "100 ms", path), 1,
           "--live: weir was started anew between the two samples")
