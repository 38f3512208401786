"""The server under measurement, the crowds that load it, and what the kernel says about a process. Knows no messages."""

import json
import os
import re
import ssl
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from sfuserver import SFUServer, die_with_parent, free_port

HERE = Path(__file__).parent


@dataclass
class Usage:
    """CPU seconds and resident bytes of a process, at one moment."""
    user: float
    system: float
    resident: int
    threads: int

    @staticmethod
    def of(pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{pid}/status").read_text()
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10
        return Usage(int(fields[11]) / tick, int(fields[12]) / tick, resident, int(fields[17]))

    @property
    def cpu(self):
        return self.user + self.system


class TLSFiles:
    """A certificate for localhost that nobody has to trust."""

    def __init__(self, folder):
        self.certificate, self.key = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", str(self.key), "-out", str(self.certificate)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def arguments(self):
        return ["--tls-certificate", str(self.certificate), "--tls-key", str(self.key)]


def make_server(tls=None):
    return SFUServer(arguments=["--log-level", "warning", "--workers", "1", *(tls.arguments if tls else [])])


def metric(server, name, tls=False):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = f"http{'s' if tls else ''}://127.0.0.1:{server.http_port}/metrics"
    with urllib.request.urlopen(url, timeout=30, context=context if tls else None) as response:
        text = response.read().decode()
    return sum(float(one) for one in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.M))


class Crowd:
    """A process full of clients; see crowd.py."""

    def __init__(self, port, tls=False):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "crowd.py"), "127.0.0.1", str(port), "tls" if tls else "plain"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)

    def order(self, what, **details):
        """Sends an order; `answer` waits for what comes of it."""
        self.process.stdin.write(json.dumps({"do": what, **details}) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of clients ended with {self.process.wait()}")
        found = json.loads(line)
        if "failed" in found:
            raise RuntimeError(found["failed"])
        return found

    def do(self, what, **details):
        self.order(what, **details)
        return self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)


class Crowds:
    """Several of them, all given the same order at once."""

    def __init__(self, count, port, tls=False):
        self.all = [Crowd(port, tls) for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for crowd in self.all:
            if kind is None:
                crowd.end()
            else:
                crowd.process.kill()

    def join(self, members, **details):
        for index, crowd in enumerate(self.all):
            crowd.order("join", members=members[index::len(self.all)], **details)
        return [crowd.answer() for crowd in self.all]

    def do(self, what, **details):
        for crowd in self.all:
            crowd.order(what, **details)
        return [crowd.answer() for crowd in self.all]


class Relay:
    """A way of so many milliseconds to a port; see relay.py."""

    def __init__(self, target, milliseconds):
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "relay.py"), str(self.port), str(target), str(milliseconds)],
            stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)

    def __enter__(self):
        self.process.stdout.readline()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

