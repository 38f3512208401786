"""Starts `sfu media` and `sfu gateway` as two processes, and kills them as a test wants.

It knows command lines, logs and /readyz, and nothing of rooms or media.
"""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from sfuserver import ROOT, die_with_parent, environment, eventually, free_port


class Process:
    """One of the two; `opens`: the line that says that it is ready."""

    def __init__(self, arguments, opens, log):
        binary = os.environ.get("SFU_BINARY") or ROOT / ".build/debug/sfu"
        self.command = [str(binary), *arguments]
        self.opens = opens
        self.log = log
        self.lines = []
        self.process = None

    def start(self, timeout=20):
        self.process = subprocess.Popen(
            self.command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, errors="replace", bufsize=1, preexec_fn=die_with_parent)
        is_open = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self.process, is_open), daemon=True)
        self._reader.start()
        assert is_open.wait(timeout), f"{' '.join(self.command)} did not start:\n{self.text}"
        return self

    def _read(self, process, is_open):
        with open(self.log, "a", encoding="utf-8") as log:
            for line in process.stdout:
                self.lines.append(line)
                log.write(line)
                log.flush()
                if self.opens in line:
                    is_open.set()

    @property
    def text(self):
        return "".join(self.lines[-100:])

    def kill(self):
        """kill -9: nothing is said to anybody."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, timeout=20):
        """SIGTERM; it has to end by itself, with success."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end {timeout} s after SIGTERM:\n{self.text}") from None
        self._reader.join(5)
        assert code == 0, f"ended with {code}:\n{self.text}"


class Planes:
    """A media plane and a gateway over a socket in `folder`."""

    def __init__(self, folder: Path, addresses=("127.0.0.1",)):
        self.addresses = addresses
        self.http_port, self.media_port = free_port(), free_port()
        self.folder = folder
        shared = ["--dev", "--data", str(folder / "data"), "--log-format", "json"]
        listen = [flag for address in addresses for flag in ("--media", f"{address}:{self.media_port}")]
        serve = [flag for address in addresses for flag in ("--http", f"{address}:{self.http_port}")]
        self.media = Process(["media", *shared, *listen], "waiting for a gateway", folder / "media.log")
        self.gateway = Process(["gateway", *shared, *serve], "in a browser", folder / "gateway.log")

    @property
    def socket(self):
        return self.folder / "data" / "media.sock"

    @property
    def text(self):
        return f"media:\n{self.media.text}\ngateway:\n{self.gateway.text}"

    @property
    def url(self):
        return f"http://{self.addresses[0]}:{self.http_port}"

    def __enter__(self):
        self.media.start()
        self.gateway.start()
        self.wait_until_ready()
        return self

    def __exit__(self, *_):
        self.gateway.kill()
        self.media.kill()

    def readiness(self):
        """Status and reason of /readyz; nothing where nobody listens."""
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            body = error.read().decode()
            try:
                return error.code, json.loads(body).get("detail", body)
            except ValueError:
                return error.code, body
        except OSError:
            return None, ""

    def heard_of(self, timeout=20):
        """When somebody listens on the HTTP port, seconds since 1970; call it before the gateway is started."""
        heard = queue.Queue()

        def knock():
            deadline = time.monotonic() + timeout
            while time.monotonic() < deadline:
                try:
                    with socket.create_connection((self.addresses[0], self.http_port), timeout=1):
                        heard.put(time.time())
                        return
                except OSError:
                    time.sleep(0.005)
            heard.put(None)
        threading.Thread(target=knock, daemon=True).start()
        return heard

    def wait_until_ready(self):
        eventually(lambda: self.readiness()[0] == 200, what=f"readiness, now {self.readiness()}")

    def wait_until_unready(self):
        eventually(lambda: self.readiness()[0] == 503, what="unreadiness")
        return self.readiness()[1]

    def metric(self, name):
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as response:
            text = response.read().decode()
        values = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.M)
        return sum(map(float, values)) if values else None
