"""Measures layer switching with real senders and viewers: how long a tile that changes its size waits for the layer that
fits, and what else the viewer notices. docs/layers.md shows the outcome and says what is counted.

    .venv/bin/python bench/layers                            # every sender, dynacast off and on
    .venv/bin/python bench/layers --senders vp8 --rounds 5
    .venv/bin/python bench/layers --json run.json --write-docs
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / one) for one in ("bench", "Tests/Browser", "Tests/Stacks")]

from playwright.sync_api import sync_playwright  # noqa: E402

import firefox  # noqa: E402
import measure  # noqa: E402
import documents  # noqa: E402
import report  # noqa: E402
import switching  # noqa: E402
from sfuserver import SFUServer, environment, own_address  # noqa: E402

BULK = "wrtc"


def arguments():
    senders = [*switching.CAMERAS, BULK]
    parser = argparse.ArgumentParser(
        prog="layers", description="Measures layer switching with real senders.",
        epilog=f"Senders: {' '.join(senders)}.")
    parser.add_argument("--sfu", type=Path, default=ROOT / ".build/debug/sfu", help="the server's binary")
    parser.add_argument("--senders", default=",".join(senders), help="some of them, with commas between")
    parser.add_argument("--dynacast", choices=("off", "on", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=20, help="changes to a large tile, and as many to a small one")
    parser.add_argument("--hides", type=int, help="how often the tile is hidden (a quarter of the rounds)")
    parser.add_argument("--calm", type=float, default=10, help="seconds without a change, for comparison")
    parser.add_argument("--size", help="WIDTHxHEIGHT@FPS of the browsers' cameras, instead of each one's own")
    parser.add_argument("--viewers", type=int, default=4, help=f"how many watch the one sender of `{BULK}`")
    parser.add_argument("--json", type=Path, help="writes every sample there")
    parser.add_argument("--from", dest="earlier", type=Path, nargs="+",
                        help="measures nothing: takes the runs of such files, of each sender the last one's")
    parser.add_argument("--write-docs", action="store_true", help="puts the tables into docs/layers.md")
    given = parser.parse_args()
    given.senders = [one for one in given.senders.split(",") if one]
    unknown = sorted(set(given.senders) - set(senders))
    if unknown:
        parser.error(f"no such sender: {', '.join(unknown)}")
    given.hides = max(1, given.rounds // 4) if given.hides is None else given.hides
    return given


def version(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 and done.stdout.strip() else ""


def processor():
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{os.cpu_count()} × {found[1].strip() if found else 'CPU'}"


def log(text):
    print(text, file=sys.stderr, flush=True)


def bulk(given, server):
    """In a process of its own, because libwebrtc's threads do not end with the interpreter."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("rooms.py")), server.url, str(given.viewers), str(given.rounds),
         str(given.calm)],
        stdout=subprocess.PIPE, text=True, env=environment())
    if done.returncode:
        raise RuntimeError(f"the viewers of {BULK} ended with {done.returncode}")
    return json.loads(done.stdout)


def run(given):
    modes = {"off": [False], "on": [True], "both": [False, True]}[given.dynacast]
    runs = []
    os.environ["SFU_BINARY"] = str(given.sfu)
    # Firefox pairs none of its addresses with 127.0.0.1.
    addresses = ("127.0.0.1", *filter(None, [own_address()] if "firefox" in given.senders else []))
    with sync_playwright() as playwright:
        browser = switching.launch(playwright)
        try:
            fox = version(firefox.executable(), "--version") if "firefox" in given.senders else ""
            about = {"chromium": browser.version, "firefox": fox, "processor": processor(),
                     "build": "debug" if "debug" in given.sfu.parts else "release", "load": os.getloadavg()[0]}
            for key in given.senders:
                if key == BULK:
                    log(f"{BULK}: {given.viewers} viewers")
                    with SFUServer() as server:
                        runs.append(bulk(given, server))
                    continue
                camera = switching.CAMERAS[key]
                if given.size:
                    camera = camera.sized(*map(int, given.size.replace("@", "x").split("x")))
                for dynacast in modes:
                    with SFUServer(addresses) as server:
                        plan = measure.Plan(given.rounds, given.hides, given.calm, dynacast)
                        runs.append(measure.run(camera, plan, browser, server, log))
                    log(f"  {report.summary(runs[-1])}")
        finally:
            browser.close()
    return {"about": about, "runs": runs}


def main():
    given = arguments()
    if given.earlier:
        parts = [json.loads(path.read_text(encoding="utf-8")) for path in given.earlier]
        about = {name: value for part in parts for name, value in part["about"].items() if value}
        runs = {(one["sender"], one["dynacast"]): one for part in parts for one in part["runs"]}
        outcome = {"about": about, "runs": [*runs.values()]}
    else:
        outcome = run(given)
    if given.json:
        given.json.write_text(json.dumps(outcome, indent=1), encoding="utf-8")
    tables = report.tables(outcome)
    print(tables)
    if given.write_docs:
        documents.write(ROOT / "docs/layers.md", report.BEGIN, report.END, tables)


if __name__ == "__main__":
    main()
