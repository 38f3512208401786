"""Starts `sfu serve --dev` for a test, waits until it says where it is, and insists on a clean end.

It knows command line, log and /metrics of the server, and nothing of rooms or media.
"""

import ctypes
import json
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For `preexec_fn`: an orphan would keep ports and CPU of whatever runs next."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def environment():
    """Ours without the variables of the tests: the server refuses settings that it does not know."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SFU_")}


def own_address():
    """An IPv4 address of this machine beside 127.0.0.1, which Firefox and aiortc never talk to; None without one."""
    interfaces = json.loads(subprocess.run(["ip", "-j", "-4", "address"], check=True, stdout=subprocess.PIPE).stdout)
    for interface in interfaces:
        for address in interface.get("addr_info", ()):
            if address["scope"] == "global" and "UP" in interface["flags"]:
                return address["local"]
    return None


def free_port():
    """A port that is free for TCP and UDP on every address, and that the kernel gives to no client of its own accord."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as one:
                    one.bind(("0.0.0.0", port))
            return port
        except OSError:
            continue


class SFUServer:
    """One server process. `addresses`: where both HTTP and media listen."""

    def __init__(self, addresses=("127.0.0.1",), arguments=(), log=None):
        self.http_port = free_port()
        self.media_port = free_port()
        self.addresses = addresses
        build = os.environ.get("SFU_BINARY") or ROOT / ".build/debug/sfu"
        self.command = [str(build), "serve", "--dev"]
        for address in addresses:
            self.command += ["--http", f"{address}:{self.http_port}", "--media", f"{address}:{self.media_port}"]
        self.command += arguments
        # Of its own, and kept over a kill and another start.
        self._data = None if "--data" in arguments else tempfile.TemporaryDirectory(prefix="sfu-data-")
        if self._data:
            self.command += ["--data", self._data.name]
        self.lines = []
        self.log = log
        self.process = None

    @property
    def url(self):
        return self.url_at(self.addresses[0])

    def url_at(self, address):
        return f"http://{address}:{self.http_port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def start(self, timeout=20):
        self.process = subprocess.Popen(
            self.command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, errors="replace", bufsize=1, preexec_fn=die_with_parent)
        self._open = threading.Event()
        self._is_open = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._open.wait(timeout)
        if not self._is_open:
            self.kill()
            raise AssertionError(f"the server did not start: {' '.join(self.command)}\n{self.text}")

    def token(self, room, who, *options):
        """A token of the development key; `options` as `sfu token` knows them."""
        command = [self.command[0], "token", "--dev", "--room", room, "--user", who.name.lower(), "--name", who.name, *options]
        return subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]

    def _read(self):
        with open(self.log, "a", encoding="utf-8") if self.log else open(os.devnull, "w") as log:
            for line in self.process.stdout:
                self.lines.append(line)
                log.write(line)
                log.flush()
                if re.match(r"Open https?://", line):
                    self._is_open = True
                    self._open.set()
        self._open.set()

    @property
    def text(self):
        return "".join(self.lines[-200:])

    def stop(self, timeout=15):
        """SIGTERM; the server has to end by itself, with success and without a word of trouble."""
        assert self.process.poll() is None, f"the server ended early with {self.process.returncode}\n{self.text}"
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end {timeout} s after SIGTERM\n{self.text}") from None
        self._reader.join(5)
        assert code == 0, f"the server ended with {code}\n{self.text}"
        trouble = [line for line in self.lines if re.search(r" (ERROR|CRITICAL) ", line)]
        assert not trouble, "the server complained:\n" + "".join(trouble)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def metrics(self):
        """All series as {(name, labels): value}."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as response:
            text = response.read().decode()
        series = {}
        for line in text.splitlines():
            found = re.match(r"^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$", line)
            if found:
                series[found[1], found[2] or ""] = float(found[3])
        return series

    def metric(self, name):
        """The sum over all labels; None where the server has no such metric."""
        values = [value for (found, _), value in self.metrics().items() if found == name]
        return sum(values) if values else None

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def eventually(check, timeout=20, every=0.2, what=None):
    """The first truthy result of `check`. An AssertionError that it raises means: not yet."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = check()
            if last:
                return last
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or getattr(check, '__name__', 'it')} did not happen in {timeout} s: {last!r}")
        time.sleep(every)
