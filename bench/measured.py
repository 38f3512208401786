"""Programs that are measured, the load client that loads them, and what the kernel says they used. Knows no figures of merit."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
FLOOR = HERE / ".build" / "floor"
sys.path.insert(0, str(HERE / "peers"))

import janus  # noqa: E402

PATIENCE = 30
PORTS_TRIED = 3


class Failure(Exception):
    """What a person has to know."""


# ---- what the kernel says


def cpu(pid, threads=""):
    """Nanoseconds on a CPU of the threads whose names begin so (proc(5), schedstat)."""
    total = 0
    for task in (pathlib.Path("/proc") / str(pid) / "task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if (task / "comm").read_text().startswith(threads):
                total += int((task / "schedstat").read_text().split()[0])
    return total


def free_port(kind=socket.SOCK_STREAM, address="127.0.0.1"):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def own_address():
    """An address of this machine that is not loopback; None: it has none. Janus gathers no others."""
    text = subprocess.run(["ip", "-4", "-json", "address", "show", "up"], capture_output=True, text=True, check=True).stdout
    for link in json.loads(text):
        for one in link.get("addr_info", []):
            if one["scope"] == "global":
                return one["local"]
    return None


# ---- programs


class _Program:
    """A process, a folder of its own, and what it printed. `pid` is what the load client looks at."""

    name = ""
    # How the names of the threads begin that forward.
    threads = ""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = pathlib.Path(self._folder.name)
        self.process = None
        self.gate = self.folder / "gate"
        self.gate.write_bytes(b"\0")

    def _start(self, command, **options):
        self.log = self.folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, **{"stdout": log, **options})
        self.pid = self.process.pid

    def _environment(self, gated=False):
        """The server refuses settings that it does not know. `gated`: media goes nowhere while `sends` is off."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SFU_")}
        if not gated:
            return plain
        return {**plain, "LD_PRELOAD": str(FLOOR / "unsent.so"), "UNSENT": str(self.gate)}

    def set_sends(self, wanted):
        # In place: the program has the file mapped.
        with self.gate.open("r+b") as file:
            file.write(b"\0" if wanted else b"\1")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._folder.cleanup()

    def _ended(self):
        return Failure(f"{self.name} has ended: {self.log.read_text()[-2000:]}")


class Server(_Program):
    """This project's server, with everything as it comes but the addresses."""

    name = "sfu"
    threads = "sfu-media-"

    def __init__(self, binary, address, options=(), gated=False, settings=None):
        """`settings`: environment variables of the server."""
        super().__init__()
        # A port that was free may have become somebody's connection meanwhile.
        for _ in range(PORTS_TRIED):
            self.http = f"127.0.0.1:{free_port()}"
            self.url = f"http://{self.http}"
            media = f"{address}:{free_port(socket.SOCK_DGRAM, address)}"
            command = [binary, "serve", "--dev", "--http", self.http, "--media", media, "--log-level", "warning"]
            self._start([*command, *options], cwd=self.folder, env=self._environment(gated) | (settings or {}))
            if self._answers():
                return
        raise self._ended()

    def _answers(self):
        """Waits for it; False: a port was taken."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if self.process.poll() is not None:
                if "Address already in use" in self.log.read_text():
                    return False
                raise self._ended()
            try:
                with urllib.request.urlopen(self.url + "/healthz", timeout=PATIENCE):
                    return True
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Failure(f"{self.url} does not answer: {error}") from error
                time.sleep(0.05)

    def metrics(self):
        with urllib.request.urlopen(self.url + "/metrics", timeout=PATIENCE) as response:
            return response.read().decode()

    def counters(self):
        """Sums over all workers by the names that the media plane has for them."""
        return counters(self.metrics())

    def forwarded(self):
        """Packets, just after the media plane told a new count: what is read along with it is of the same moment."""
        last = self.counters().get("packets_forwarded", 0)
        deadline = time.monotonic() + PATIENCE
        while (now := self.counters().get("packets_forwarded", 0)) == last:
            if time.monotonic() > deadline:
                raise Failure("the server forwards nothing")
            time.sleep(0.05)
        return now

    def settled(self):
        """Counters that hold everything that has happened: the media plane tells them anew about once a second, and each
        time it has woken up."""
        seen, deadline = [], time.monotonic() + PATIENCE
        while len(seen) < 3:
            now = self.counters()
            if now.get("worker_wakeups") and (not seen or now["worker_wakeups"] != seen[-1]["worker_wakeups"]):
                seen.append(now)
            elif time.monotonic() > deadline:
                raise Failure("the server tells no counters")
            else:
                time.sleep(0.05)
        return seen[-1]

    def target(self):
        return ["--url", self.url, "--media-threads", self.threads]


def counters(text):
    """Sums over all labels of `sfu_NAME_total`, by NAME, from Prometheus text."""
    sums = {}
    for line in text.splitlines():
        found = re.match(r"sfu_(\w+?)_total(?:\{[^}]*\})? ([0-9.eE+-]+)$", line)
        if found:
            sums[found[1]] = sums.get(found[1], 0) + float(found[2])
    return sums


class Floor(_Program):
    """The C program; keys from a file that the load client has written."""

    name = "floor"

    def __init__(self, client, address, subscribers, options=(), gated=False):
        super().__init__()
        self.keys = self.folder / "keys.txt"
        server = f"{address}:{free_port(socket.SOCK_DGRAM, address)}"
        write = ["bench", "--write-keys", self.keys, "--subscribers", str(subscribers), "--server", server]
        done = subprocess.run([client, *write], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"the load client writes no keys: {done.stderr[-2000:]}")
        # As the server does by itself.
        environment = self._environment(gated) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1"}
        self._start([FLOOR / "floor", *options, self.keys], stdout=subprocess.PIPE, text=True, env=environment)
        # Its first line: it has read the keys and listens.
        if not self.process.stdout.readline():
            self.process.wait()
            raise self._ended()

    def counters(self):
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def forwarded(self):
        return self.counters()["forwarded"]

    def target(self):
        return ["--keys", self.keys, "--media-threads", ""]


class Janus(_Program):
    """The distribution's, behind WHIP and WHEP."""

    name = "janus"

    def __init__(self, address, event_loops):
        super().__init__()
        (self.folder / "janus").mkdir()
        self._janus = janus.Janus(self.folder / "janus", address, free_port(), event_loops)
        self.process, self.pid = self._janus.process, self._janus.pid
        self._bridge = janus.Bridge(janus.Rooms(self._janus))
        self.url = self._bridge.url

    def target(self):
        return ["--url", self._bridge.url, "--media-threads", "", "--allow-remote"]

    def __exit__(self, *arguments):
        self._bridge.stop()
        self._janus.stop()
        super().__exit__(*arguments)


class Elsewhere(_Program):
    """Somebody's server that speaks WHIP and WHEP; nothing is known of its process."""

    def __init__(self, name, url, whip=None, whep=None, token_file=None):
        super().__init__()
        self.name = name
        self.pid = None
        self._target = ["--url", url, "--allow-remote"]
        for option, value in {"--whip": whip, "--whep": whep, "--token-file": token_file}.items():
            if value:
                self._target += [option, value]

    def target(self):
        return self._target


# ---- the load


def load_command(client, program, arguments):
    command = [str(client), "bench", *map(str, program.target()), *arguments, "--json", "--quiet"]
    return command + (["--server-pid", str(program.pid)] if program.pid else [])


def load(client, program, arguments):
    """One run of the load client; its report. Raises Failure where somebody did not join or nothing came."""
    done = subprocess.run(load_command(client, program, arguments), capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"the load client says: {(done.stderr or done.stdout)[-2000:]}")
    return json.loads(done.stdout)


def unsent(client, program, arguments, subscribers, seconds):
    """CPU microseconds of a forwarded packet while nothing is sent, by the program's own count of packets: what its threads
    of media do themselves, and receiving. `program` was started `gated`."""
    command = load_command(client, program, [*arguments, "--seconds", str(seconds + PATIENCE)])
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_everybody(program, running, subscribers)
        program.set_sends(False)
        first, before = program.forwarded(), cpu(program.pid, program.threads)
        time.sleep(seconds)
        last, after = program.forwarded(), cpu(program.pid, program.threads)
    finally:
        program.set_sends(True)
        running.terminate()
        running.wait()
    return (after - before) / 1000 / (last - first)


def await_everybody(program, running, subscribers):
    """Until so many packets go out in a second as everybody's media makes; at most the time that joining may take."""
    deadline = time.monotonic() + PATIENCE + subscribers / 4
    # One packet in 40 ms for each subscriber is less than any media of these runs.
    wanted = subscribers * 25
    count, at = program.forwarded(), time.monotonic()
    while True:
        if running.poll() is not None:
            raise Failure("the load client has ended before everybody had joined")
        if time.monotonic() > deadline:
            raise Failure("not everybody has joined in time")
        time.sleep(1)
        now, then = program.forwarded(), time.monotonic()
        if (now - count) / (then - at) >= wanted * 0.98:
            return
        count, at = now, then
