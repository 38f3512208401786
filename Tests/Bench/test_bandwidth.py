"""What bench/bandwidth makes of reports and pictures: figures of runs whose outcome is known, tables, charts, answers."""

import argparse
import asyncio
import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from conftest import BENCH

sys.path[:0] = [str(BENCH / "bandwidth"), str(Path(__file__).resolve().parents[1] / "Browser")]

import behind  # noqa: E402
import emulator  # noqa: E402
import figures  # noqa: E402
import pages  # noqa: E402
import report  # noqa: E402
import timelines  # noqa: E402
import viewers  # noqa: E402
from scenarios import SCENARIOS, Row  # noqa: E402


def amounts(offered, dropped=0, lost=0, size=1000):
    found = {"offered": offered, "dropped": dropped, "lost": lost, "delivered": offered - dropped - lost}
    return {what: [count * size, count] for what, count in found.items()}


def found(slices, pictures=((0.5, 720),), samples=(), viewers=1):
    """`slices`: of each 100 ms the link's rate, and by kind what `amounts` takes; every flow has the same."""
    link = [
        {"at": round(0.1 * (index + 1), 3), "down": {
            "rate": rate, "wait_ms": [5.0, 9.0],
            "flows": [{kind: amounts(*count) for kind, count in kinds.items()} for _ in range(viewers)]}}
        for index, (rate, kinds) in enumerate(slices)]
    seen = {"joined": 0.0, "connected": 0.2, "pictures": list(pictures), "samples": list(samples)}
    return {"link": link, "viewers": [seen] * viewers}


def seconds(count):
    """Statistics of a viewer that lacks nothing, one per second."""
    return [
        {"at": at, "audio": {"total_samples_received": at * 48_000, "concealed_samples": 0}, "video": {"frames_decoded": at * 30}}
        for at in range(count + 1)]


def steady(height, begin, end, fps=30):
    return [(begin + step / fps, height) for step in range(round((end - begin) * fps))]


# ---- the link's side


def test_rates_are_those_of_the_time_asked_for():
    run = figures.Run(found([(5e6, {"video": (10,)})] * 10 + [(5e6, {"video": (30,), "audio": (5,)})] * 10))
    assert run.rate("offered", 0, 1) == 800_000
    assert run.rate("offered", 1, 2) == 2_800_000
    assert run.rate("offered", 1, 2, kinds=("audio",)) == 400_000
    assert run.rate("offered", 0.5, 1.5) == 1_800_000
    assert run.peak(0, 2) == pytest.approx(2_800_000)
    assert run.peak(0.8, 1.1) == pytest.approx((2 * 800_000 + 2_800_000) / 3)
    assert run.peak(5, 6) == 0
    assert run.rate("offered", 3, 4) == 0


def test_settled_is_when_half_a_second_keeps_within_the_limit():
    over, within = (600_000, {"video": (10,)}), (600_000, {"video": (8,)})
    run = figures.Run(found([over] * 12 + [within] * 20))
    assert run.settled(0, 3, 640_000) == 1.2
    assert run.settled(0, 3, 672_000) == 1.1
    assert figures.Run(found([over] * 30)).settled(0, 3, 660_000) is None
    assert figures.Run(found([within] * 30)).settled(0, 3, 660_000) == 0


def test_shares_count_packets_and_use_counts_media_alone():
    run = figures.Run(found([(800_000, {"video": (8, 4), "audio": (2, 0, 1), "rtx": (2,)})] * 10))
    assert run.dropped(0, 1) == pytest.approx(100 * 4 / 12)
    assert run.dropped(0, 1, kinds=("audio",)) == 0
    assert run.lost(0, 1) == pytest.approx(100 / 12)
    assert run.used(0, 1) == pytest.approx(50)
    assert figures.Run(found([(800_000, {})] * 10)).dropped(0, 1) == 0


def test_flows_are_told_apart():
    run = figures.Run(found([(2e6, {"video": (5,)})] * 10, viewers=2))
    assert run.rate("offered", 0, 1, flow=1) == 400_000
    assert run.rate("offered", 0, 1) == 800_000


# ---- the viewer's side


def test_a_gap_counts_whole_where_it_reaches_into_the_time():
    pictures = [*steady(720, 0, 10), *steady(360, 12, 20)]
    viewer = figures.Run(found([(1e6, {})] * 200, pictures, [{"at": 20.0}])).viewers[0]
    assert viewer.longest_gap(11, 15) == pytest.approx(2, abs=0.05)
    assert viewer.longest_gap(13, 19) == pytest.approx(1 / 30)
    assert viewer.stood_still(0, 20) == pytest.approx(2, abs=0.05)
    assert viewer.first(10, lambda height: height < 720) == pytest.approx(2)
    assert viewer.first(15, lambda height: height >= 720) is None


def test_a_picture_that_never_comes_again_is_a_gap_to_the_end():
    viewer = figures.Run(found([(1e6, {})] * 200, steady(720, 0, 10), [{"at": 20.0}])).viewers[0]
    assert viewer.longest_gap(5, 20) == pytest.approx(10, abs=0.05)
    without = figures.Run(found([(1e6, {})] * 200, [], [{"at": 20.0}])).viewers[0]
    assert without.longest_gap(5, 20) == 20
    assert without.usual_height(0, 20) is None


def test_time_at_a_height_is_that_of_pictures_that_move():
    pictures = [*steady(720, 0, 5), *steady(360, 5, 8)]
    samples = [{"at": at, "video": {"frames_decoded": min(at, 8) * 30}} for at in range(11)]
    viewer = figures.Run(found([(1e6, {})] * 100, pictures, samples)).viewers[0]
    assert viewer.share_at(720, 0, 10) == pytest.approx(50, abs=2)
    # A picture stands for half a second before it counts as none.
    assert viewer.share_at(360, 0, 10) == pytest.approx(85, abs=2)
    assert viewer.rate_of_pictures(0, 5) == pytest.approx(30)
    assert viewer.usual_height(0, 10) == 720
    assert viewer.switches(0, 10) == 1


def test_concealment_is_a_share_of_what_was_played():
    samples = [{"at": at / 10} | ({"audio": {"total_samples_received": at * 4800, "concealed_samples": max(0, at - 10) * 480}}
                                  if at else {}) for at in range(41)]
    viewer = figures.Run(found([(1e6, {})] * 40, samples=samples)).viewers[0]
    assert viewer.concealed(0.1, 1) == 0
    assert viewer.concealed(1, 3) == pytest.approx(10)
    assert figures.Run(found([(1e6, {})], samples=[{"at": 0.1}])).viewers[0].concealed(0, 1) is None


def test_fairness():
    assert figures.fairness([1, 1]) == 1
    assert figures.fairness([1, 0]) == 0.5
    assert figures.fairness([0, 0]) == 0


# ---- the scenarios' rows


def drop_run(after, said=None):
    """Media that keeps its rate for a second too long after the drop, and then is as `after` says."""
    before, during = (5e6, {"video": (20,), "audio": (1,)}), (600_000, {"video": (20, 14), "audio": (1, 0)})
    slices = [before] * 120 + [during] * 10 + [after] * 290 + [before] * 120
    pictures = [*steady(720, 1, 12), *steady(360, 13.5, 44), *steady(720, 44, 54)]
    whole = found(slices, pictures, seconds(54))
    if said is not None:
        whole["viewers"][0]["said"] = said
    return figures.Run(whole)


def values(name, run):
    return {row.name: row.measure(run) for row in SCENARIOS[name].rows}


def test_the_rows_of_a_drop():
    rows = values("drop", drop_run((600_000, {"video": (6,), "audio": (1,)})))
    assert rows["sends ≤ 110 % of the link after"] == 1.0
    assert rows["peak ÷ rate before the drop"] == pytest.approx(1)
    assert rows["smaller layer shown after"] == pytest.approx(1.5)
    assert rows["longest video gap"] == pytest.approx(1.5, abs=0.05)
    assert rows["packets dropped by the link, 0–3 s"] == pytest.approx(100 * 140 / (210 + 140))
    assert rows["packets dropped by the link, 3–30 s"] == 0
    assert rows["audio concealed, 0–3 s"] == 0
    assert (rows["height of the picture, 10–30 s"], round(rows["pictures per second, 10–30 s"])) == (360, 30)
    assert rows["media's use of the link, 10–30 s"] == pytest.approx(100 * 7 / 7.5)
    assert rows["back to 720p after the restore"] == pytest.approx(2)
    assert rows["the tile says why after"] is None


def test_a_sender_that_never_gives_way_fails_its_rows():
    run = drop_run((600_000, {"video": (20, 14), "audio": (1,)}))
    rows = {row.name: row for row in SCENARIOS["drop"].rows}
    settled, dropped = rows["sends ≤ 110 % of the link after"], rows["packets dropped by the link, 3–30 s"]
    assert settled.measure(run) is None
    assert not settled.holds(None, settled.must)
    assert not dropped.holds(dropped.measure(run), dropped.must)
    assert any(one.startswith("packets dropped by the link, 3–30 s: 66") for one in SCENARIOS["drop"].failures(run))


def test_words_of_the_page_count_where_there_is_one():
    within = (600_000, {"video": (6,), "audio": (1,)})
    words = "360p: your downlink is about 590 kbit/s, 4 % loss; 720p needs about 1\u202f900 kbit/s"
    cold = (1.5, "180p: your downlink is about 300 kbit/s; 360p needs about 490 kbit/s")
    late = drop_run(within, [cold, (2.5, ""), (15.5, "360p: your connection has no room for more"), (16.5, words), (46.5, "")])
    assert values("drop", late)["the tile says why after"] == pytest.approx(4.5)
    # What it says already as the link falls stands.
    assert values("drop", drop_run(within, [cold]))["the tile says why after"] == 0
    silent = drop_run(within, [])
    assert [one for one in SCENARIOS["drop"].failures(silent) if one.startswith("the tile says why after: None s")]
    assert not [one for one in SCENARIOS["drop"].failures(drop_run(within)) if one.startswith("the tile")]


def test_all_rows_of_all_scenarios_can_be_computed():
    for name, scenario in SCENARIOS.items():
        viewers = len(scenario.viewers)
        slices = [(2e6, {"video": (15,), "audio": (1,)})] * round(scenario.seconds * 10)
        samples = seconds(round(scenario.seconds))
        run = figures.Run(found(slices, steady(720, 0.5, scenario.seconds), samples, viewers))
        assert None not in [row.measure(run) for row in scenario.rows if row.name != "smaller layer shown after"
                            and not row.name.startswith("sends") and not row.of_page], name
        nothing = figures.Run(found([(2e6, {})] * round(scenario.seconds * 10), [], [], viewers))
        for row in scenario.rows:
            row.measure(nothing)


# ---- words


def test_cells_say_how_far_rounds_lie_apart_and_what_never_came():
    row = Row("x", "s", None, goal=1)
    assert report.cell(row, [1, 1.01]) == "1.0"
    assert report.cell(row, [1, 3, 2]) == "2.0 (1.0–3.0)"
    assert report.cell(row, [None, 1, 12]) == "12.0 (1.0–never)"
    assert report.cell(row, [None, None, 1]) == "never (1.0–never)"
    assert report.bound(row) == "≤ 1"
    assert report.cell(Row("x", "lines", None, digits=0), [None]) == "none"


ABOUT = {"date": "d", "machine": "m", "commit": "c" * 40, "build": "release", "command": "x", "load": 0.2}


def test_a_document_has_a_table_and_a_chart_for_each_scenario():
    rows = [1.0] * len(SCENARIOS["drop"].rows)
    results = {"about": ABOUT, "scenarios": {"drop": {"sfu": [rows], "janus": [rows]}}, "timelines": {}}
    text = report.document(results)
    assert text.count("| 1.0 | 1.0 |") >= 5 and "| one round | this server | Janus | goal |" in text
    assert "real-drop-sfu.svg" in text and "real-drop-janus.svg" in text
    assert "the tile says why" not in text and "In brackets" not in text


def test_a_browser_has_a_column_and_a_row_of_its_own():
    rows = [1.0] * len(SCENARIOS["drop"].rows)
    found = {"janus": [rows], "chromium": [rows, rows, rows], "sfu": [rows, rows, rows]}
    text = report.document({"about": ABOUT | {"chromium": "156.0"}, "scenarios": {"drop": found}, "timelines": {}})
    assert "|  | this server, median of 3 rounds | this server, Chromium, median of 3 rounds | Janus, one round | goal |" in text
    assert "| the tile says why after, s | – | 1.0 | – | ≤ 2 |" in text
    assert "Chromium 156.0;" in text and "In brackets" in text and "real-drop-chromium.svg" in text


def test_charts_are_svg_that_stays_on_its_page():
    lines = [[index / 10, 5_000_000 if index < 300 else 600_000, 40_000_000, 1_000, 3.0,
              None if 100 < index < 200 else 720, 0] for index in range(600)]
    text = report.chart("drop", "sfu", lines)
    root = ElementTree.fromstring(text)
    _, _, width, height = map(float, root.get("viewBox").split())
    paths = [one.get("d") for one in root.iter() if one.tag.endswith("path")]
    assert len(paths) == 5
    for one in root.iter():
        for name, most in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= float(one.get(name) or 0) <= most
    assert len(text) < 60_000


def test_a_line_breaks_where_there_is_nothing():
    series = timelines.Series("x", [(0, 1), (1, 1), (2, None), (3, 2), (4, 3)], 1)
    assert timelines.line(series, float, float) == "M0.0 1.0L1.0 1.0M3.0 2.0L4.0 3.0"


def test_a_step_turns_only_where_the_value_changes():
    series = timelines.Series("x", [(0, 1), (1, 1), (2, 1), (3, 5), (4, 5)], 1, is_step=True)
    assert timelines.line(series, float, float) == "M0.0 1.0H2.0H3.0V5.0H4.0"


# ---- the way through the link

ANSWER = """v=0
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
a=mid:0
a=rtpmap:111 opus/48000/2
a=rtpmap:63 red/48000/2
a=candidate:1 1 udp 2130706431 10.0.0.1 7882 typ host
a=candidate:2 1 tcp 1010827775 10.0.0.1 7882 typ host tcptype passive
a=end-of-candidates
m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=candidate:1 1 udp 2130706431 10.0.0.1 7882 typ host
"""


class Recorded(emulator.Link):
    """Answers without a process."""

    def __init__(self):
        super().__init__(emulator.Conditions("", ""), "10.9.9.9")
        self.asked = []

    async def ask(self, text):
        self.asked.append(text)
        return {"flow": 0, "port": 4321}


def test_an_answer_names_the_link_and_nothing_else():
    link = Recorded()
    led = asyncio.run(link.lead(ANSWER)).splitlines()
    assert link.asked == ["flow 10.0.0.1:7882 audio=111,63 video=96 rtx=97"]
    assert [one for one in led if "candidate:" in one] == ["a=candidate:1 1 udp 2130706431 10.9.9.9 4321 typ host"]
    assert [one for one in led if "candidate:" not in one] == [one for one in ANSWER.splitlines() if "candidate:" not in one]


def test_later_answers_of_a_page_lead_the_same_way():
    link = Recorded()
    viewer = pages.Viewer(None, "", link)
    first, again, other = (asyncio.run(viewer.lead(peer, ANSWER)) for peer in (0, 0, 1))
    assert first == again and len(link.asked) == 2
    assert "a=candidate:1 1 udp 2130706431 10.9.9.9 4321 typ host" in other


def test_an_answer_without_a_way_is_refused():
    with pytest.raises(emulator.LinkError):
        asyncio.run(Recorded().lead(ANSWER.replace(" udp ", " tcp ")))


# ---- a page's notes


def test_what_a_browser_counts_has_the_names_of_the_others():
    sample = {"at": 1, "audio": {"totalSamplesReceived": 480, "concealedSamples": 7, "kind": "audio"}, "video": None}
    counted = pages.counted(sample)
    assert counted.keys() == {"audio"} and counted["audio"].keys() == set(behind.COUNTED["audio"])
    assert (counted["audio"]["total_samples_received"], counted["audio"]["concealed_samples"]) == (480, 7)
    assert counted["audio"]["packets_lost"] == 0


def test_times_of_a_page_are_those_of_the_link():
    viewer = pages.Viewer(None, "", None)
    viewer.offset, viewer.joined = -2.5, 0.1
    viewer.noted = {"connected": 3000, "pictures": [[3500.3, 720]], "said": [[4000, "360p"]],
                    "samples": [{"at": 3600, "audio": None, "video": {"framesDecoded": 4}}]}
    seen = viewer.seen
    assert (seen["connected"], seen["pictures"], seen["said"]) == (0.5, [(1.0003, 720)], [(1.5, "360p")])
    assert seen["samples"][0]["at"] == 1.1 and seen["samples"][0]["video"]["frames_decoded"] == 4
    assert figures.Run({"link": [], "viewers": [seen]}).viewers[0].is_page


# ---- what is measured how often


def planned(**given):
    spec = importlib.util.spec_from_file_location("bandwidth", BENCH / "bandwidth/__main__.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    given = {"scenario": None, "rounds": 1, "other_rounds": None} | given
    watchers = [("sfu", "viewers.py", None), ("chromium", "pages.py", None)]
    return [(index, name, watcher[0]) for index, name, watcher in program.plan(argparse.Namespace(**given), watchers)]


def test_the_first_scenario_may_have_more_rounds_than_the_others():
    assert planned(scenario=["drop", "join"], rounds=2, other_rounds=1) == [
        (0, "drop", "sfu"), (0, "drop", "chromium"), (0, "join", "sfu"), (1, "drop", "sfu"), (1, "drop", "chromium")]
    assert planned(scenario=["join"], rounds=2) == [(0, "join", "sfu"), (1, "join", "sfu")]
    everything = planned()
    assert {name for _, name, _ in everything} == set(SCENARIOS)
    assert {name for _, name, subject in everything if subject == "chromium"} == {"drop", "two", "transfer"}


# ---- what a busy machine does to the viewers' process


def test_pictures_that_were_read_late_are_placed_where_they_were_meant():
    """Clock of the pictures: 100 s ahead. The process stands still from 1.0 to 1.4; the next picture after 3 s is truly late."""
    read = [(step / 30, 720, 100 + step / 30) for step in range(30)]
    read += [(1.4, 720, 101 + step / 30) for step in range(12)]
    read += [(1.4 + step / 30, 720, 101.4 + step / 30) for step in range(48)]
    read += [(4.0, 360, 103.5)]
    found = viewers.pictures(read, [(1.0, 1.4)])
    times = [at for at, _ in found]
    assert max(b - a for a, b in zip(times[:-1], times[1:-1])) < 0.04
    assert found[-1] == (4.0, 360)
    # Without knowledge of the stall the gap would be its length.
    times = [at for at, _ in viewers.pictures(read, [])]
    assert max(b - a for a, b in zip(times[:-1], times[1:-1])) > 0.4
    assert viewers.pictures([], [(0, 1)]) == []


def test_a_picture_is_never_placed_before_the_stall_it_was_read_after():
    read = [(step / 30, 720, step / 30) for step in range(60)] + [(3.5, 720, 2.1)]
    assert viewers.pictures(read, [(3.0, 3.49)])[-1] == (3.0, 720)
