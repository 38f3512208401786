"""The links that are measured, and what counts on each. Knows no process and no text format.

A row has a bound that must hold and a goal, from the virtual scenarios of Tests/SFUTests/Bandwidth where these have the
same row."""

from dataclasses import dataclass, field
from typing import Callable

import figures

LARGE = 720
MEGABIT = 1_000_000
QUEUE = "queue-ms=300 delay-ms=20"
FIVE = f"rate=5000000 {QUEUE}"
# What a tile of the page says of a picture that is smaller than it could be.
WHY = r"(180|360)p: your downlink is about [\d\s]+kbit/s"


@dataclass
class Row:
    name: str
    unit: str
    # Takes a Run; None: it never happened, which is worse than any number.
    measure: Callable
    must: float | None = None
    goal: float | None = None
    # False: larger is better.
    at_most: bool = True
    digits: int = 1
    # Only the conference page says it.
    of_page: bool = False

    def holds(self, value, bound):
        if bound is None:
            return True
        if value is None:
            return False
        return value <= bound if self.at_most else value >= bound


@dataclass
class Scenario:
    title: str
    seconds: float
    down: str
    rows: list
    schedule: list = field(default_factory=list)
    # When each viewer joins, seconds.
    viewers: list = field(default_factory=lambda: [0])
    up: str = "delay-ms=20"
    # Worth seeing on the conference page, too.
    in_page: bool = False

    def order(self, urls, address, seed):
        """What viewers.py reads; one URL per viewer."""
        return {
            "address": address, "seconds": self.seconds,
            "link": {"down": self.down, "up": self.up, "schedule": self.schedule, "seed": seed},
            "viewers": [{"url": url, "at": at} for url, at in zip(urls, self.viewers)],
        }

    def failures(self, run):
        """Prints every row that this kind of viewer has, and gives those that miss what must hold, in words."""
        found = []
        for row in self.rows:
            if row.of_page and not run.viewers[0].is_page:
                continue
            value = row.measure(run)
            print(f"{row.name}: {value} {row.unit}")
            if not row.holds(value, row.must):
                found.append(f"{row.name}: {value} {row.unit}, must be {'≤' if row.at_most else '≥'} {row.must:g}")
        return found


# ---- 5 Mbit/s, 600 kbit/s, 5 Mbit/s


def first(run):
    return run.viewers[0]


def peak(run, drop, restore):
    """Against the fullest time before: a server that had just left the largest layer shall not look as if it had sent a storm."""
    before = max(run.rate("offered", at, at + 2) for at in range(max(0, drop - 10), drop - 1))
    return run.peak(drop, restore) / max(1, before)


def falling(drop, restore, end, settled, before=5):
    """`settled`: seconds after the drop from which on the picture shall be what the link has room for; `before`: seconds before
    it in which that shall have been the largest layer."""
    calm, late = f"3–{restore - drop} s", f"{settled}–{restore - drop} s"
    after, since = drop + 3, drop + settled
    rows = [
        Row(f"720p in the {before} s before the drop", "%", lambda r: first(r).share_at(LARGE, drop - before, drop), 90, 100, False, 0),
        Row("sends ≤ 110 % of the link after", "s", lambda r: r.settled(drop, restore, 660_000), 1.5, 0.7),
        Row("peak ÷ rate before the drop", "×", lambda r: peak(r, drop, restore), 1.3, 1.2, digits=2),
        Row("smaller layer shown after", "s", lambda r: first(r).first(drop, lambda height: height < LARGE), 2, 1.2),
        Row("longest video gap", "s", lambda r: first(r).longest_gap(drop, restore), 1.5, 0.6),
        Row("packets dropped by the link, 0–3 s", "%", lambda r: r.dropped(drop, after), 50, 35),
        Row(f"packets dropped by the link, {calm}", "%", lambda r: r.dropped(after, restore), 2, 0.5, digits=2),
        Row("audio packets dropped by the link, 0–3 s", "%", lambda r: r.dropped(drop, after, kinds=("audio",)), 5, 1),
        Row("audio concealed, 0–3 s", "%", lambda r: first(r).concealed(drop, after), 20, 8),
        Row(f"audio concealed, {calm}", "%", lambda r: first(r).concealed(after, restore), 1, 0.2, digits=2),
        Row(f"queue, p95 of {calm}", "ms", lambda r: r.wait(after, restore), 100, 100, digits=0),
        Row(f"height of the picture, {late}", "lines", lambda r: first(r).usual_height(since, restore), 180, 360, False, 0),
        Row(f"pictures per second, {late}", "", lambda r: first(r).rate_of_pictures(since, restore), 14, 28, False),
        Row(f"media's use of the link, {late}", "%", lambda r: r.used(since, restore), 60, 80, False, 0),
        Row("back to 720p after the restore", "s", lambda r: first(r).first(restore, lambda height: height >= LARGE), 10, 3),
        Row("the tile says why after", "s", lambda r: first(r).says(drop, WHY), 5, 2, of_page=True),
    ]
    return Scenario(
        f"5 Mbit/s → 600 kbit/s ({restore - drop} s) → 5 Mbit/s", end, FIVE, rows,
        [(drop, "down rate=600000"), (restore, "down rate=5000000")], in_page=True)


# ---- join on 600 kbit/s


def joined(run):
    return run.first_sent(0) or 0


JOIN_ROWS = [
    Row("packets dropped by the link in the first 10 s", "%", lambda r: r.dropped(joined(r), joined(r) + 10), 4, 2, digits=2),
    Row("first picture after the connection", "s", lambda r: first(r).first(first(r).connected), 2, 1),
    Row("longest gap after it, first 10 s", "s", lambda r: longest_after_first(r, 10), 1.5, 0.5),
    Row("in gaps > 0.5 s, first 10 s", "s", lambda r: first(r).stood_still(after_first(r), joined(r) + 10), 2, 0),
    Row("audio concealed, first 10 s", "%", lambda r: first(r).concealed(joined(r) + 1, joined(r) + 10), 5, 1),
    Row("height of the picture, 10–25 s", "lines", lambda r: first(r).usual_height(10, 25), 180, 360, False, 0),
    Row("pictures per second, 10–25 s", "", lambda r: first(r).rate_of_pictures(10, 25), 14, 28, False),
    Row("media's use of the link, 10–25 s", "%", lambda r: r.used(10, 25), 60, 80, False, 0),
]


def after_first(run):
    """Just behind the first picture; where none comes, all the time is one gap."""
    times = first(run).times
    return times[0] + 0.001 if times else joined(run)


def longest_after_first(run, seconds):
    return first(run).longest_gap(after_first(run), joined(run) + seconds)


# ---- shared links


def rates(run, begin, end):
    return [run.rate("delivered", begin, end, flow, figures.MEDIA) for flow in range(len(run.viewers))]


TWO_ROWS = [
    Row("Jain's index of both", "", lambda r: figures.fairness(rates(r, 13, 38)), 0.85, 0.95, False, 2),
    Row("media of both, of the link", "%", lambda r: r.used(13, 38), 55, 85, False, 0),
    Row("packets dropped by the link", "%", lambda r: r.dropped(13, 38), 2, 0.5, digits=2),
    Row("longest video gap of either", "s", lambda r: max(one.longest_gap(13, 38) for one in r.viewers), 1.5, 0.6),
    Row("pictures per second, the worse", "", lambda r: min(one.rate_of_pictures(13, 38) for one in r.viewers), 14, 28, False),
    Row("audio concealed, the worse", "%", lambda r: max(one.concealed(13, 38) or 0 for one in r.viewers), 1, 0.2, digits=2),
]


def share(run):
    return 100 * run.rate("delivered", 20, 50, 0) / (2 * MEGABIT)


def least_second(run):
    return min(run.rate("delivered", at, at + 1, 0) for at in range(20, 50)) / 1000


TRANSFER_ROWS = [
    Row("the viewer's share of the link, at least", "%", share, 20, 35, False, 0),
    Row("the same, at most", "%", share, 75, 65, digits=0),
    Row("least in any second", "kbit/s", least_second, 200, 200, False, 0),
    Row("longest video gap", "s", lambda r: first(r).longest_gap(20, 50), 1.5, 0.6),
    Row("pictures per second", "", lambda r: first(r).rate_of_pictures(20, 50), 14, 28, False),
    Row("audio concealed", "%", lambda r: first(r).concealed(20, 50), 5, 1, digits=2),
]

# ---- 5 Mbit/s that are not clean


def clean_rows(must, goal, audio):
    return [
        Row("time at 720p, 8–30 s", "%", lambda r: first(r).share_at(LARGE, 8, 30), must, goal, False, 0),
        Row("delivered, 8–30 s", "Mbit/s", lambda r: r.rate("delivered", 8, 30) / MEGABIT, 1, 1.7, False, 2),
        Row("longest video gap, 8–30 s", "s", lambda r: first(r).longest_gap(8, 30), 1.5, 0.6),
        Row("pictures per second, 8–30 s", "", lambda r: first(r).rate_of_pictures(8, 30), 14, 28, False),
        Row("audio concealed, 8–30 s", "%", lambda r: first(r).concealed(8, 30), audio[0], audio[1], digits=2),
        Row("packets lost by the link", "%", lambda r: r.lost(8, 30)),
    ]


SCENARIOS = {
    "drop": falling(12, 42, 54, 10),
    "join": Scenario("join on a steady 600 kbit/s", 25, f"rate=600000 {QUEUE}", JOIN_ROWS),
    "two": Scenario(
        "two viewers behind one queue of 2 Mbit/s", 38, f"rate=2000000 {QUEUE}", TWO_ROWS, viewers=[0, 3],
        in_page=True),
    "transfer": Scenario(
        "one viewer and a bulk transfer by TCP behind 2 Mbit/s", 50, f"rate=2000000 {QUEUE}", TRANSFER_ROWS, [(10, "transfer on")],
        in_page=True),
    "loss-2": Scenario("random loss of 2 % on 5 Mbit/s", 30, f"{FIVE} loss=0.02", clean_rows(95, 95, (2, 0.5))),
    "loss-5": Scenario("random loss of 5 % on 5 Mbit/s", 30, f"{FIVE} loss=0.05", clean_rows(80, 95, (5, 1))),
    "loss-10": Scenario("random loss of 10 % on 5 Mbit/s", 30, f"{FIVE} loss=0.1", clean_rows(0, 80, (10, 2))),
    "bursts": Scenario(
        "losses in bursts (2.4 % in all, 5 packets at a time) on 5 Mbit/s", 30, f"{FIVE} bursts=0.005,0.2",
        clean_rows(80, 95, (5, 2))),
    "jitter": Scenario(
        "jitter of ± 20 ms on 5 Mbit/s", 30, "rate=5000000 queue-ms=300 delay-ms=0 jitter-ms=40", clean_rows(90, 98, (5, 2))),
}
