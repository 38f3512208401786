"""Measures what a viewer behind a bad link gets: libwebrtc in Python publishes three layers and watches through the link of
bench/link, whose rate falls and comes back (drop), which two viewers share (two), or one and a transfer by TCP (transfer), or
which loses packets. This server, beside it Janus, and beside the viewers of libwebrtc the conference page in Chromium.

    .venv/bin/python bench/bandwidth                                  builds what is missing; one round of everything
    .venv/bin/python bench/bandwidth --peer janus --viewer chromium --rounds 3 --other-rounds 1 --write-docs
                                                                      all that docs/bandwidth.md says of real receivers: 20 minutes
    .venv/bin/python bench/bandwidth --viewer chromium --scenario drop --scenario two --scenario transfer --json run.json
    .venv/bin/python bench/bandwidth --from run.json --write-docs

As root, everything runs in a network namespace of its own; Janus, which takes no part on loopback, needs that or an address
of this machine. SFU names a server that is built already."""

import argparse
import datetime
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / one) for one in ("bench", "bench/bandwidth", "Tests/Browser")]

import documents  # noqa: E402
import figures  # noqa: E402
import host  # noqa: E402
import measured  # noqa: E402
import report  # noqa: E402
import runs  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402

ROOM, CAMERA = "bandwidth", "camera"


def arguments():
    parser = argparse.ArgumentParser(
        prog="bandwidth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sfu", type=Path, default=os.environ.get("SFU"), help="a server that is built already")
    parser.add_argument("--no-sfu", dest="own", action="store_false", help="leaves this server out")
    parser.add_argument("--peer", action="append", default=[], choices=["janus"], help="beside this server")
    parser.add_argument("--viewer", action="append", default=[], choices=["chromium"],
                        help="beside libwebrtc, for this server: the conference page in Chromium, on the links of "
                             + ", ".join(name for name, one in SCENARIOS.items() if one.in_page))
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=1, help="each is measured so often (1)")
    parser.add_argument("--other-rounds", type=int, help="all but the first one so often (as --rounds)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round's losses and jitter (1); each has the next one")
    parser.add_argument("--json", type=Path, help="writes everything there, what the charts are made from included")
    parser.add_argument("--keep", type=Path, help="puts what each run reported into this folder, SCENARIO-SERVER-ROUND.json")
    parser.add_argument("--from", dest="earlier", type=Path, nargs="+",
                        help="measures nothing: takes such files, of each scenario and server the last one's")
    parser.add_argument("--charts", type=Path, help="writes the charts into this folder")
    parser.add_argument("--write-docs", action="store_true", help="puts tables and charts into docs/bandwidth.md, docs/bandwidth/")
    return parser.parse_args()


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S}  {text}", file=sys.stderr, flush=True)


def build(given):
    runs.build_link()
    return host.server(given.sfu) if given.own else None


def servers(given, sfu, address):
    """(name, how to start it, who watches there: the subject's name, the program, its address for viewers)"""
    def whep(program):
        return f"{program.url}/whep/{ROOM}/{CAMERA}"

    def page(program):
        return f"{program.url}/?room={ROOM}"

    if given.own:
        pages = [("chromium", "pages.py", page)] if "chromium" in given.viewer else []
        yield "sfu", lambda: measured.Server(sfu, address), [("sfu", "viewers.py", whep), *pages]
    if "janus" in given.peer:
        yield "janus", lambda: measured.Janus(address, len(os.sched_getaffinity(0))), [("janus", "viewers.py", whep)]


def plan(given, watchers):
    """(round, scenario, who watches): what is measured at one server, in this order."""
    chosen = given.scenario or list(SCENARIOS)
    others = given.rounds if given.other_rounds is None else given.other_rounds
    for index in range(max(given.rounds, others)):
        for name in chosen:
            if index < (given.rounds if name == chosen[0] else others):
                for watcher in watchers:
                    if watcher[1] == "viewers.py" or SCENARIOS[name].in_page:
                        yield index, name, watcher


def measure(name, url, address, seed, viewers, kept):
    """(values of the rows, what a chart shows). `kept`: a file for the reports, or None."""
    scenario = SCENARIOS[name]
    found = runs.watch(scenario.order([url] * len(scenario.viewers), address, seed), viewers)
    if kept:
        kept.write_text(json.dumps(found), encoding="utf-8")
    run = figures.Run(found)
    return [row.measure(run) for row in scenario.rows], figures.timeline(run), found.get("browser")


def run(given, address):
    """Measures; after each run all that is known so far is written, where somebody wants it."""
    sfu = build(given)
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    chosen = given.scenario or list(SCENARIOS)
    results = {"about": about(given, sfu), "scenarios": {name: {} for name in chosen}, "timelines": {name: {} for name in chosen}}
    for server, start, watchers in servers(given, sfu, address):
        with start() as program, runs.Publisher(f"{program.url}/whip/{ROOM}/{CAMERA}") as publisher:
            for index, name, (subject, viewers, url) in plan(given, watchers):
                say(f"{subject}, round {index + 1}: {SCENARIOS[name].title}")
                kept = given.keep and given.keep / f"{name}-{subject}-{index + 1}.json"
                values, line, browser = measure(name, url(program), address, given.seed + index, viewers, kept)
                results["scenarios"][name].setdefault(subject, []).append(values)
                results["timelines"][name].setdefault(subject, line)
                results["about"]["layers"] = publisher.rates()
                results["about"]["chromium"] = browser or results["about"]["chromium"]
                if given.json:
                    given.json.write_text(json.dumps(results), encoding="utf-8")
            say(f"{server}: the publisher sent {publisher.rates()}")
    return results


def about(given, sfu):
    machine = host.machine()
    command = re.sub(r"--sfu \S+", "--sfu SFU", " ".join(["bench/bandwidth", *sys.argv[1:]]))
    command = re.sub(r" --(json|keep|charts) \S+| --write-docs", "", command)
    return {
        "date": datetime.date.today().isoformat(), "commit": host.commit()["commit"],
        "machine": f"{machine['cores']} × {machine['processor']}, Linux {machine['kernel']}", "load": os.getloadavg()[0],
        "build": sfu and ("debug" if "debug" in sfu.parts else "release"), "command": command,
        "layers": {}, "chromium": None, "janus": measured.janus.version() if "janus" in given.peer else None,
    }


def merged(files):
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    whole = {"about": parts[-1]["about"], "scenarios": {}, "timelines": {}}
    whole["about"]["command"] = "`, `".join(dict.fromkeys(part["about"]["command"] for part in parts))
    whole["about"]["build"] = next((part["about"]["build"] for part in parts if part["about"]["build"]), None)
    for part in parts:
        for what in ("scenarios", "timelines"):
            for name, by_subject in part[what].items():
                whole[what].setdefault(name, {}).update(by_subject)
        for what in ("janus", "chromium"):
            whole["about"][what] = whole["about"].get(what) or part["about"].get(what)
    return whole


def write_charts(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, by_subject in results["timelines"].items():
        for subject, rows in by_subject.items():
            (folder / report.file_of(name, subject)).write_text(report.chart(name, subject, rows), encoding="utf-8")


def main():
    given = arguments()
    if given.earlier:
        results = merged(given.earlier)
    else:
        try:
            if "janus" in given.peer:
                host.install_janus()
            address = os.environ.get("BENCH_ADDRESS")
            if not address and host.may_unshare():
                host.enter_namespace()
            address = address or measured.own_address() or "127.0.0.1"
            results = run(given, address)
        except (measured.Failure, measured.janus.JanusError, runs.Failure) as failure:
            raise SystemExit(f"bandwidth: {failure}") from failure
    if given.json:
        given.json.write_text(json.dumps(results), encoding="utf-8")
    text = report.document(results)
    print(text)
    if given.charts:
        write_charts(results, given.charts)
    if given.write_docs:
        write_charts(results, ROOT / "docs/bandwidth")
        documents.write(ROOT / "docs/bandwidth.md", report.BEGIN, report.END, text)


if __name__ == "__main__":
    main()
