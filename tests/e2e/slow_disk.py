# SPDX-License-Identifier: BSD-3-Clause
"""A disk that takes its time, fails, or loses what nobody synced, below a Weir."""

import os
import struct
from pathlib import Path

import lab as laboratory


class SlowDisk:
    """tests/e2e/slow_disk.c: for a Weir that is started with env, and takes orders while it runs.

    power: it can be cut.
    """

    def __init__(self, folder: Path, ledger: Path, power: bool = False) -> None:
        self.ledger = ledger
        self.unsynced = folder / "disk-unsynced"
        self.control = folder / "disk-orders"
        self.mark = folder / "disk-orders.failed"
        self.env = {**os.environ, "LD_PRELOAD": str(laboratory.BUILD / "tests/e2e/libslow_disk.so"),
                    "WEIR_SLOW_PATH": str(ledger), "WEIR_SLOW_CONTROL": str(self.control)}
        if power:
            self.env["WEIR_SLOW_UNSYNCED"] = str(self.unsynced)
        self.order()

    def order(self, sync_ms: int = 0, fail: str = "") -> None:
        new = self.control.with_suffix(".new")
        new.write_text(f"sync_ms {sync_ms}\n" + (f"fail {fail}\n" if fail else ""))
        new.rename(self.control)

    def syncing(self) -> bool:
        """Whether something is written that a power cut would undo."""
        return self.unsynced.exists() and self.unsynced.stat().st_size > 0

    def undone(self) -> list[tuple[int, bytes]]:
        """What a power cut would write where, one after the other."""
        undone, content = [], self.unsynced.read_bytes() if self.unsynced.exists() else b""
        while len(content) >= 16:
            offset, size = struct.unpack_from("=qq", content)
            if len(content) < 16 + size:
                break  # not yet written: nor is what this is about
            undone.append((offset, content[16:16 + size]))
            content = content[16 + size:]
        return undone[::-1]

    def durable(self) -> bytes:
        """The ledger as it would be after a power cut."""
        content = bytearray(self.ledger.read_bytes())
        for offset, data in self.undone():
            content[offset:offset + len(data)] = data
        return bytes(content)

    def cut(self) -> None:
        """What nobody synced is gone, as after a power cut. The process has to be gone before."""
        with open(self.ledger, "r+b") as file:
            for offset, data in self.undone():
                file.seek(offset)
                file.write(data)
        self.unsynced.unlink(missing_ok=True)
