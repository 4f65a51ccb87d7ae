# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the end-to-end tests."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import lab as laboratory  # noqa: E402
import weirproc  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def prerequisites():
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests make network namespaces and need root", 2)
    for tool in ("ip", "tcpdump", "ethtool"):
        if shutil.which(tool) is None:
            pytest.exit(f"{tool} is missing: tools/check installs it", 2)
    if not (laboratory.BUILD / "weir").exists():
        pytest.exit(f"{laboratory.BUILD}/weir is missing: build first", 2)
    # Whoever runs this in the background of a script has SIGINT ignored, and so would all that starts here.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    laboratory.remove_leftovers(own=True)  # what has this process's id is of an earlier one that had it


@pytest.fixture
def folder():
    """A folder of its own, short enough for the name of a Unix socket."""
    keep = os.environ.get("WEIR_KEEP") == "1"
    path = Path(tempfile.mkdtemp(prefix="weir-kept-" if keep else f"weir-{os.getpid()}-"))
    yield path
    if not keep:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def lab(folder):
    """Namespaces without wires: for tests that build their own, or use files as ports."""
    made = laboratory.Lab(folder)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def pair(lab):
    """The usual laboratory: datacenter - Weir - internet."""
    lab.pair()
    return lab


@pytest.fixture
def start(folder):
    """Starts Weirs that need no network, and ends them, whatever happened."""
    folder.chmod(0o755)
    started = []

    def one(text: str | None = None, **options) -> weirproc.Weir:
        weir = weirproc.Weir(options.pop("folder", folder), text, **options)
        started.append(weir)
        return weir

    yield one
    for weir in started:
        if weir.process.poll() is None:
            weir.process.kill()
            weir.process.wait(10)


@pytest.fixture
def weir(start):
    """A running one that has nothing to forward."""
    made = start()
    yield made
    assert made.process.poll() is None, made.text()
    made.stop()
