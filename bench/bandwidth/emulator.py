"""The link of bench/link as a child process, and how a client's session is led through it. Knows no media stack."""

import asyncio
import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import precedence

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bench/.build/link/link"


@dataclass
class Conditions:
    """As link's words say them; `schedule` is (seconds after the start, order)."""
    down: str
    up: str
    schedule: list = field(default_factory=list)
    seed: int = 1


class LinkError(Exception):
    pass


class Link:
    def __init__(self, conditions, address="127.0.0.1", binary=BINARY):
        self.conditions, self.address, self.binary = conditions, address, binary
        self.reports, self.started = [], None
        self._answers = asyncio.Queue()

    async def __aenter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="link-")
        schedule = Path(self._folder.name) / "schedule"
        schedule.write_text("".join(f"{at} {order}\n" for at, order in self.conditions.schedule))
        words = ["--address", self.address, "--seed", str(self.conditions.seed), "--down", self.conditions.down,
                 "--up", self.conditions.up, "--schedule", str(schedule)]
        self.process = await asyncio.create_subprocess_exec(
            self.binary, *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
            preexec_fn=precedence.child)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self.process.stdin.close()
        await self.process.wait()
        await self._reader
        self._folder.cleanup()

    async def _read(self):
        async for line in self.process.stdout:
            found = json.loads(line)
            if "at" in found:
                self.reports.append(found)
            else:
                self._answers.put_nowait(found)
        self._answers.put_nowait({"error": "the link has ended"})

    def order(self, text):
        self.process.stdin.write(text.encode() + b"\n")

    async def ask(self, text):
        self.order(text)
        answer = await asyncio.wait_for(self._answers.get(), 10)
        if "error" in answer:
            raise LinkError(answer["error"])
        return answer

    async def start(self):
        """From here on the schedule's time runs; seconds of time.monotonic()."""
        self.started = (await self.ask("start"))["started"]
        return self.started

    async def lead(self, answer):
        """A server's answer whose only candidate is this link, with a flow of its own."""
        return led(answer, self.address, await self.flow(answer))

    async def flow(self, answer):
        """The port that leads to the server of this answer."""
        candidate = re.search(r"^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host", answer, re.M | re.I)
        if not candidate:
            raise LinkError("the answer has no UDP candidate with an IPv4 address")
        kinds = " ".join(f"{kind}={','.join(numbers)}" for kind, numbers in payload_types(answer).items() if numbers)
        return (await self.ask(f"flow {candidate[1]}:{candidate[2]} {kinds}"))["port"]


def led(answer, address, port):
    """The answer with this candidate alone."""
    line = f"a=candidate:1 1 udp 2130706431 {address} {port} typ host"
    lines, written = [], False
    for one in answer.splitlines():
        if one.startswith("a=candidate:"):
            one, written = (None if written else line), True
        if one is not None:
            lines.append(one)
    return "".join(one + "\r\n" for one in lines)


def payload_types(description):
    """Numbers by what the link calls them."""
    found, kind = {"audio": [], "video": [], "rtx": []}, None
    for line in description.splitlines():
        if line.startswith("m="):
            kind = line[2:].split(" ")[0]
        mapped = re.match(r"a=rtpmap:(\d+) ([^/]+)/", line)
        if mapped and kind in ("audio", "video"):
            name = "rtx" if mapped[2].lower() == "rtx" else kind
            if mapped[1] not in found[name]:
                found[name].append(mapped[1])
    return found
