# SPDX-License-Identifier: BSD-3-Clause
"""A TPM 2.0 in software (Debian's swtpm), with its state in a folder, as long as a test needs it."""

import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

START_S = 30

TPM_ST_NO_SESSIONS = 0x8001
TPM_CC_SHUTDOWN = 0x145
TPM_CC_GET_RANDOM = 0x17B
TPM_SU_CLEAR = 0


class Swtpm:
    """
    with Swtpm(folder) as tpm: runs one; tpm.tcti is what a policy's witness_tcti wants.

    stop() shuts it down in order, kill() is a power cut, start() is power again: the state stays
    in folder/tpm-state. At the end of the with block it is killed.
    """

    def __init__(self, folder: Path, name: str = "tpm") -> None:
        self.state = folder / f"{name}-state"
        self.socket = folder / f"{name}.sock"
        self.log = folder / f"{name}.log"
        self.tcti = f"swtpm:path={self.socket}"
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Swtpm":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    def text(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def command(self, code: int, argument: int) -> int:
        """Sends a command that has one 16-bit argument and no session. Returns the response code."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(START_S)
            link.connect(str(self.socket))
            link.sendall(struct.pack(">HIIH", TPM_ST_NO_SESSIONS, 12, code, argument))
            answer = b""
            while len(answer) < 10:
                part = link.recv(4096)
                if not part:
                    raise ConnectionError("swtpm closed the connection")
                answer += part
        return struct.unpack(">HII", answer[:10])[2]

    def start(self) -> None:
        """Returns when it answers commands. Its TPM2_Startup(CLEAR) is done then."""
        assert self.process is None, "it runs already"
        self.state.mkdir(exist_ok=True)
        for path in (self.socket, Path(f"{self.socket}.ctrl")):
            path.unlink(missing_ok=True)  # what a killed one left
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
                 "--server", f"type=unixio,path={self.socket}",
                 "--ctrl", f"type=unixio,path={self.socket}.ctrl",
                 "--flags", "not-need-init,startup-clear"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while True:
            try:
                if self.command(TPM_CC_GET_RANDOM, 8) == 0:
                    return
            except (FileNotFoundError, ConnectionError):
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"swtpm does not answer: {self.text()}")
            time.sleep(0.02)

    def end(self, number: int) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(number)
            self.process.wait(START_S)
            self.process = None

    def stop(self) -> None:
        """An orderly shutdown."""
        assert self.command(TPM_CC_SHUTDOWN, TPM_SU_CLEAR) == 0
        self.end(signal.SIGTERM)

    def kill(self) -> None:
        """A power cut."""
        self.end(signal.SIGKILL)

    def freeze(self) -> None:
        """It hangs: it takes connections and does not answer them, until thaw()."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def save(self, to: Path) -> None:
        """Copies its state, for restore(). Best while it is stopped."""
        shutil.copytree(self.state, to)

    def restore(self, saved: Path) -> None:
        """What no real TPM does: its state goes back. Only while it is stopped."""
        assert self.process is None, "stop it first"
        shutil.rmtree(self.state)
        shutil.copytree(saved, self.state)
