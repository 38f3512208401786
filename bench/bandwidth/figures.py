"""What one run's reports and pictures say, as numbers. Pure: knows no process, no scenario and no text.

A run is what viewers.py prints: `link` has a report per 100 ms, `at` its end, seconds after the link's start; `viewers` have
`pictures` (when decoded, how high) and `samples` of their statistics, one per 100 ms."""

import bisect
import re
from collections import Counter

MEDIA = ("audio", "video")
STEP = 0.1
# A picture that stays for longer is a gap to whoever watches.
GAP = 0.5
EDGE = 1e-6


class Run:
    def __init__(self, found):
        self.reports, self.viewers = found["link"], [Viewer(one) for one in found["viewers"]]
        self.ends = [one["at"] for one in self.reports]

    # ---- the link

    def between(self, begin, end):
        """Reports whose 100 ms lie between."""
        first = bisect.bisect_left(self.ends, begin + STEP - 0.02)
        return self.reports[first:bisect.bisect_right(self.ends, end + 0.02)]

    def amount(self, what, begin, end, flow=None, kinds=None, packets=False):
        """Bytes on the link (IP and UDP included), or packets, towards the viewers."""
        return sum(amount(one["down"], what, flow, kinds, packets) for one in self.between(begin, end))

    def rate(self, what, begin, end, flow=None, kinds=None):
        """bit/s"""
        reports = self.between(begin, end)
        return 8 * self.amount(what, begin, end, flow, kinds) / (len(reports) * STEP) if reports else 0

    def settled(self, begin, end, limit, window=0.5):
        """Seconds from `begin` until what is sent in the window that follows is within the limit; None: not before `end`."""
        for step in range(round((end - begin - window) / STEP) + 1):
            at = begin + step * STEP
            if self.rate("offered", at, at + window) <= limit + EDGE:
                return round(step * STEP, 1)
        return None

    def peak(self, begin, end, window=0.3):
        """bit/s that were sent in the fullest window: long enough that one picture more or less does not count."""
        sent = [8 * amount(one["down"], "offered") for one in self.between(begin, end)]
        count = round(window / STEP)
        return max((sum(sent[at:at + count]) / window for at in range(len(sent) - count + 1)), default=0)

    def dropped(self, begin, end, flow=None, kinds=None):
        """Percent of the packets that found the queue full."""
        offered = self.amount("offered", begin, end, flow, kinds, packets=True)
        return 100 * self.amount("dropped", begin, end, flow, kinds, packets=True) / offered if offered else 0.0

    def lost(self, begin, end, flow=None):
        """Percent of the packets that the link lost behind its queue."""
        offered = self.amount("offered", begin, end, flow, packets=True)
        return 100 * self.amount("lost", begin, end, flow, packets=True) / offered if offered else 0.0

    def used(self, begin, end, flow=None):
        """Percent of the link that media took, without what was sent again or to probe."""
        reports = self.between(begin, end)
        room = sum(one["down"]["rate"] for one in reports) * STEP
        return 100 * 8 * self.amount("delivered", begin, end, flow, MEDIA) / room if room else 0.0

    def wait(self, begin, end, share=95):
        """Milliseconds in the queue: that percentile of the 100 ms means."""
        waits = sorted(one["down"]["wait_ms"][0] for one in self.between(begin, end))
        return waits[max(0, -(-len(waits) * share // 100) - 1)] if waits else 0.0

    def first_sent(self, flow):
        """When the first media of a flow came to the link."""
        return next((one["at"] - STEP for one in self.reports if amount(one["down"], "offered", flow, MEDIA)), None)


def amount(way, what, flow=None, kinds=None, packets=False):
    flows = way["flows"] if flow is None else way["flows"][flow:flow + 1]
    return sum(
        count[what][1 if packets else 0] for one in flows for kind, count in one.items() if kinds is None or kind in kinds)


class Viewer:
    def __init__(self, found):
        self.joined, self.connected = found["joined"], found["connected"]
        self.pictures = [tuple(one) for one in found["pictures"]]
        self.samples = found["samples"]
        self.times = [at for at, _ in self.pictures]
        # What the page says of the picture: (from when on, words), none where it needs no excuse. A viewer without a page says nothing.
        self.said, self.is_page = [tuple(one) for one in found.get("said", [])], "said" in found

    def first(self, begin, condition=lambda height: True):
        """Seconds from `begin` to the first picture of such a height; None: none came."""
        for at, height in self.pictures[bisect.bisect_left(self.times, begin):]:
            if condition(height):
                return at - begin
        return None

    def says(self, begin, pattern):
        """Seconds from `begin` until the page says such words; None: it never does."""
        standing = [one for one in self.said if one[0] <= begin][-1:]
        later = [one for one in self.said if one[0] > begin]
        return next((max(0.0, at - begin) for at, words in standing + later if re.match(pattern, words)), None)

    def gaps(self, begin, end):
        """Seconds between neighbouring pictures, of those gaps that reach into the time; one that begins before counts from
        its picture, one that does not end until the last known moment."""
        last = max([end, *(one["at"] for one in self.samples[-1:])])
        times = [self.joined, *self.times, max(last, *self.times[-1:])] if self.times else [self.joined, last]
        return [b - a for a, b in zip(times, times[1:]) if b > begin and a < end]

    def longest_gap(self, begin, end):
        return max(self.gaps(begin, end), default=0.0)

    def stood_still(self, begin, end):
        """Seconds in gaps that are noticed."""
        return sum(one for one in self.gaps(begin, end) if one > GAP)

    def heights(self, begin, end):
        return [height for at, height in self.pictures if begin <= at < end]

    def usual_height(self, begin, end):
        counted = Counter(self.heights(begin, end)).most_common(1)
        return counted[0][0] if counted else None

    def rate_of_pictures(self, begin, end):
        """By the decoder's own count."""
        return self.grown("video", "frames_decoded", begin, end) / (end - begin)

    def share_at(self, height, begin, end):
        """Percent of the time in which the picture that stands is so high, and is no gap."""
        steps = round((end - begin) / STEP)
        good = 0
        for step in range(steps):
            at = begin + step * STEP
            index = bisect.bisect_right(self.times, at) - 1
            good += index >= 0 and self.pictures[index][1] >= height and at - self.pictures[index][0] <= GAP
        return 100 * good / steps if steps else 0.0

    def switches(self, begin, end):
        heights = self.heights(begin, end)
        return sum(a != b for a, b in zip(heights, heights[1:]))

    def grown(self, kind, name, begin, end):
        """Of a counter, between the samples nearest to both ends."""
        known = [one for one in self.samples if kind in one]
        if not known:
            return 0
        a, b = (min(known, key=lambda one: abs(one["at"] - at)) for at in (begin, end))
        return b[kind][name] - a[kind][name]

    def concealed(self, begin, end):
        """Percent of the samples played that were made up."""
        played = self.grown("audio", "total_samples_received", begin, end)
        return 100 * self.grown("audio", "concealed_samples", begin, end) / played if played else None


def fairness(rates):
    """Jain's index."""
    squares = sum(one * one for one in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 0.0


def timeline(run, viewer=0):
    """What a chart shows: [end of 100 ms, link's rate, sent, delivered (bit/s), queue (ms), height of the last picture]."""
    seen = run.viewers[viewer]
    rows = []
    for one in run.reports:
        index = bisect.bisect_right(seen.times, one["at"]) - 1
        stale = index < 0 or one["at"] - seen.times[index] > GAP
        transfer = amount({"flows": [one["down"].get("transfer", {})]}, "delivered")
        rows.append([
            round(one["at"], 1), one["down"]["rate"], round(8 * amount(one["down"], "offered", viewer) / STEP),
            round(8 * amount(one["down"], "delivered", viewer) / STEP), one["down"]["wait_ms"][0],
            None if stale else seen.pictures[index][1], round(8 * transfer / STEP)])
    return rows
