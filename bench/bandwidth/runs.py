"""A publisher and runs of viewers as processes: libwebrtc's threads do not end with the interpreter they are in."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import precedence
from sfuserver import environment

HERE = Path(__file__).resolve().parent
LINK = HERE.parent / "link"


class Failure(Exception):
    """What a person has to know."""


def build_link():
    subprocess.run(["make", "--silent", "-C", LINK], check=True, stdout=sys.stderr)


class Publisher:
    """Three layers and a microphone from here to the end of the block. `reports`: what each layer sends, once a second."""

    def __init__(self, url, patience=60, attempts=2):
        """On a machine that is very busy a connection may fail to come about: there is another attempt."""
        self.url, self.patience, self.attempts = url, patience, attempts

    def __enter__(self):
        for left in reversed(range(self.attempts)):
            if self._start():
                return self
            print(f"publisher: not ready, {self.reports[-1:]}; {left} attempts left", file=sys.stderr, flush=True)
        raise Failure(f"the publisher does not reach its rates: {self.reports[-1:]}")

    def _start(self):
        self.reports, self._ready = [], threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, HERE / "publisher.py", self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment(), preexec_fn=precedence.child)
        self._is_ready = False
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        if self._ready.wait(self.patience) and self._is_ready:
            return True
        self.process.kill()
        self.process.wait()
        reader.join()
        return False

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            found = json.loads(line)
            if "ready" in found:
                self._is_ready = True
                self._ready.set()
            else:
                self.reports.append(found)
        self._ready.set()

    def rates(self, since=0):
        """bit/s and pictures per second of each layer, over the reports from that one on."""
        found = {}
        for one in self.reports[since:]:
            for rid, layer in one["layers"].items():
                found.setdefault(rid, []).append(layer)
        return {
            rid: {name: round(sum(one[name] for one in layers) / len(layers), 1) for name in ("bits", "fps", "keys")}
            for rid, layers in found.items()}


def watch(order, viewers="viewers.py", patience=60):
    """One run; `order` as behind.py reads it. `viewers`: the program that they are, pages.py or viewers.py."""
    done = subprocess.run(
        [sys.executable, HERE / viewers], input=json.dumps(order), stdout=subprocess.PIPE, text=True, env=environment(),
        timeout=order["seconds"] + patience, preexec_fn=precedence.child)
    if done.returncode or not done.stdout.strip():
        raise Failure(f"the viewers ended with {done.returncode}")
    return json.loads(done.stdout)
