"""Measures signaling with real sockets: what a resume, an idle socket, a room that comes back at once, a killed gateway and
an event cost. docs/signaling.md shows the outcome and says what is counted.

    .venv/bin/python bench/signaling --sfu .build/release/sfu                      # everything
    .venv/bin/python bench/signaling --sfu .build/release/sfu --only resume,mass
    .venv/bin/python bench/signaling --sfu .build/release/sfu --json run.json --write-docs
"""

import argparse
import datetime
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / one) for one in ("bench", "Tests/Browser", "Tests/Stacks")]

import documents  # noqa: E402
import report  # noqa: E402
import scenarios  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(
        prog="signaling", description="Measures signaling with real sockets.", epilog=f"Parts: {' '.join(scenarios.ALL)}.")
    parser.add_argument("--sfu", type=Path, default=ROOT / ".build/release/sfu", help="the server's binary")
    parser.add_argument("--only", default=",".join(scenarios.ALL), help="some parts, with commas between")
    parser.add_argument("--clients", type=int, default=1000, help="in the room that comes back, and that listens")
    parser.add_argument("--sockets", type=int, default=10_000, help="idle ones")
    parser.add_argument("--idle-seconds", type=float, default=30, help="how long those are watched")
    parser.add_argument("--rounds", type=int, default=200, help="resumes for each round trip time")
    parser.add_argument("--seconds", type=float, default=15, help="of events")
    parser.add_argument("--json", type=Path, help="writes all figures there")
    parser.add_argument("--from", dest="earlier", type=Path, nargs="+",
                        help="measures nothing: takes the figures of such files, of each part the last one's")
    parser.add_argument("--write-docs", action="store_true", help="puts the table into docs/signaling.md")
    given = parser.parse_args()
    given.only = [one for one in given.only.split(",") if one]
    unknown = sorted(set(given.only) - set(scenarios.ALL))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    if not given.earlier and not given.sfu.exists():
        parser.error(f"{given.sfu} does not exist; swift build -c release --product sfu")
    return given


def log(text):
    print(text, file=sys.stderr, flush=True)


def about(given):
    def said(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT).stdout.strip()
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)
    return {
        "machine": f"{os.cpu_count()} × {model[1].strip() if model else 'CPU'}, {int(memory[1]) >> 20} GiB, "
                   f"Linux {os.uname().release.split('-')[0]}",
        "commit": said("git", "rev-parse", "--short=10", "HEAD"), "changed": bool(said("git", "status", "--porcelain", "Sources")),
        "date": datetime.date.today().isoformat(), "build": "debug" if "debug" in given.sfu.parts else "release",
        "load": os.getloadavg()[0], "command": " ".join(["bench/signaling"] + [typed.rsplit("/", 1)[-1] for typed in sys.argv[1:]])}


def allow(count):
    """Descriptors, for this process and all that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        except (ValueError, PermissionError):
            raise SystemExit(f"{count} descriptors are needed, {hard} are allowed: ulimit -n") from None
    elif soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def run(given):
    os.environ["SFU_BINARY"] = str(given.sfu.resolve())
    allow(max(given.sockets, given.clients) + 1024)
    outcome = {"about": about(given), "parts": {}}
    for name in given.only:
        log(name)
        outcome["parts"][name] = scenarios.ALL[name](given, log)
    return outcome


def main():
    given = arguments()
    if given.earlier:
        files = [json.loads(path.read_text(encoding="utf-8")) for path in given.earlier]
        outcome = {"about": files[-1]["about"], "parts": {name: part for one in files for name, part in one["parts"].items()}}
    else:
        outcome = run(given)
    if given.json:
        given.json.write_text(json.dumps(outcome, indent=1), encoding="utf-8")
    tables = report.tables(outcome)
    print(tables)
    if given.write_docs:
        documents.write(ROOT / "docs/signaling.md", report.BEGIN, report.END, tables)


if __name__ == "__main__":
    main()
