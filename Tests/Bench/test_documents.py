"""Charts are whole documents, tables and ratios say what the rounds say, and callgrind's files are read as they are meant."""

import json
import os
import xml.etree.ElementTree as ElementTree

import callgrind
import charts
import measured
import pytest
import summary

CALLGRIND = """\
version: 1
events: Ir

ob=(1) /usr/bin/program
fl=(1) a.swift
fn=(1) ours
12 100
+3 20
cob=(2) /lib/libc.so.6
cfi=(2) ???
cfn=(2) memcpy
calls=7 0
* 70
cfn=(3) crypto shim
calls=1 15
-2 300
15 5
fn=(3)
20 300
ob=(2)
fn=(2)
0 970
ob=(1)
fn=(4) main
1 0
ob=(3) /lib/libcrypto.so.3
fn=(5) encrypt
5 5000
cob=(2)
cfn=(2)
calls=90 0
5 900
totals: 6395
"""


def test_a_profile_knows_who_spent_what():
    profile = callgrind.Profile(CALLGRIND)
    assert sum(profile.own.values()) == 6395
    assert profile.own["/usr/bin/program", "ours"] == 125
    assert profile.through[("/usr/bin/program", "ours"), ("/lib/libc.so.6", "memcpy")] == 70
    assert profile.through[("/usr/bin/program", "ours"), ("/usr/bin/program", "crypto shim")] == 300
    # Ours, and of libc what ours called: neither what libcrypto called, nor libcrypto.
    assert profile.spent(["program"], ["libc."]) == 125 + 300 + 70
    assert profile.spent(["program"], ["libc."], ["shim"]) == 125 + 70
    assert profile.of("memcpy") == 970


def a_round(floor, ours, janus):
    def one(cpu, p99=900.0):
        return {
            "cpu_us": cpu,
            "media_us": cpu,
            "media_user_us": cpu / 4,
            "media_system_us": cpu * 3 / 4,
            "client_percent": 20.0,
            "softirq_percent": 1.5,
            "latency_us_p50": 500.0,
            "latency_us_p95": 800.0,
            "latency_us_p99": p99,
            "latency_us_maximum": 2000.0,
            "megabits_per_second": 18.2,
            "bytes_per_packet": 113.9,
            "lost_percent": 0.0,
            "delivered_percent": 100.0,
            "kib_per_session": 86.9,
        }

    return {"floor": one(floor) | {"cpu_us_unsent": 0.5}, "sfu": one(ours) | {"cpu_us_unsent": 0.6}, "janus": one(janus)}


@pytest.fixture
def results():
    return {
        "date": "2026-01-02",
        "machine": {
            "processor": "AMD EPYC(TM) 9R14 96-Core Processor",
            "cores": 2,
            "virtual": True,
            "memory_mib": 1,
            "kernel": "6.1",
            "system": "Debian",
            "openssl": "3.0",
        },
        "commit": "0123456789abcdef",
        "changed": False,
        "command": "bench/compare",
        "janus": "1.1.2",
        "seconds": 15,
        "scenarios": {
            "audio-1x400": {
                "title": "Opus, 1 to 400",
                "subscribers": 400,
                "load": "sfu bench",
                "rounds": [a_round(4, 5, 20), a_round(8, 8, 40), a_round(2, 3, 10)],
            }
        },
    }


def test_ratios_are_of_one_round_each(results):
    rounds = results["scenarios"]["audio-1x400"]["rounds"]
    # 1.25, 1.0, 1.5: the medians alone would say 5 / 4 of different rounds only by chance.
    assert summary.ratio(rounds, "sfu", "floor") == 1.25
    assert summary.ratio(rounds, "sfu", "janus") == 0.25
    assert summary.ratio(rounds, "sfu", "nobody") is None
    assert summary.median(rounds, "sfu", "cpu_us") == 5


def test_a_column_that_nobody_has_a_figure_in_is_left_out():
    assert summary.table(["", "a", "b", "c"], [["x", "1", "", 2], ["y", "", "", ""]]).splitlines() == [
        "|  | a | c |",
        "|---|---|---|",
        "| x | 1 | 2 |",
        "| y |  |  |",
    ]


def test_tables_have_a_row_for_each_subject(results):
    text = summary.text(results)
    row = next(line for line in text.splitlines() if line.startswith("| sfu |"))
    assert row == "| sfu | **5.00** | 3.00 to 8.00 | 1.25 | 3.75 | 1.5 | 0.60 | 1.25 | 0.25 | 200 000 | 182 |"
    assert text.count("| Janus |") == 2 and "ours takes 1.20 × the floor" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_what_livekit_publishes_is_marked_and_derived():
    text = summary.published_text()
    assert "published, not measured" in text and summary.LIVEKIT in text
    # 16 × 80 % of a second over 959 156 packets.
    assert "| 13.3 | 74 934 | 24 |" in text


def test_a_machine_has_a_name_for_files(results):
    assert summary.slug(results["machine"]) == "2-amd-epyc-9r14"


def test_documents_are_written_between_their_marks(results, tmp_path):
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "benchmarks.md"
    page.write_text(f"before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n")
    summary.write(results, "a.json", tmp_path)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    for name in ("benchmark-cpu.svg", "benchmark-latency.svg"):
        ElementTree.parse(tmp_path / "docs" / name)


def test_a_chart_is_one_well_formed_document():
    groups = [
        charts.Group("a < b & c", [charts.Bar("one", 3, 0, 2, 4), charts.Bar("two", 12, 1)]),
        charts.Group("elsewhere", [charts.Bar('"three"', 7.5, 3, published=True)]),
    ]
    root = ElementTree.fromstring(charts.bars("title", "µs", groups))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.get("width")) for bar in root.iter(f"{space}rect") if bar.get("x") == str(charts.LABEL)]
    assert len(widths) == 3
    assert widths[1] / widths[0] == pytest.approx(4, rel=1e-2)
    texts = [one.text for one in root.iter(f"{space}text")]
    assert "a < b & c" in texts and any("not measured here" in text for text in texts)
    assert "prefers-color-scheme: dark" in root.find(f"{space}style").text
    ends = [float(one.get("x")) for one in root.iter(f"{space}text")]
    assert max(ends) < charts.WIDTH


def test_the_longest_label_stays_on_the_page():
    longest = max((f"{name}, p99" for name in summary.NAMES.values()), key=len)
    # 13 px of a sans-serif: letters are 7 px wide on average, wide ones left aside.
    assert len(longest) * 7 + 8 < charts.LABEL


def test_a_logarithmic_chart_has_equal_steps():
    groups = [charts.Group("", [charts.Bar(str(v), v, 0) for v in (1, 10, 100)])]
    root = ElementTree.fromstring(charts.bars("t", "ms", groups, logarithmic=True))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.get("width")) for bar in root.iter(f"{space}rect") if bar.get("x") == str(charts.LABEL)]
    assert widths[2] == pytest.approx(2 * widths[1], abs=1)


@pytest.mark.parametrize("highest", [0.3, 1, 4.2, 7, 12, 22.7, 99, 1000, 123_456])
def test_scales_reach_their_values_in_few_round_steps(highest):
    scale = charts.ticks(highest)
    assert scale[0] == 0 and scale[-1] >= highest * 0.999 and scale[-2] < highest
    assert 3 <= len(scale) <= 8


def test_counters_of_all_workers_are_one():
    text = (
        '# TYPE sfu_udp_sends_total counter\nsfu_udp_sends_total{worker="0"} 7\nsfu_udp_sends_total{worker="1"} 5\n'
        'sfu_rooms 3\nother_total 9\n'
    )
    assert measured.counters(text) == {"udp_sends": 12}


def test_a_process_is_charged_with_what_it_uses():
    before = measured.cpu(os.getpid())
    json.dumps([list(range(1000))] * 300)
    assert measured.cpu(os.getpid()) > before
    assert measured.cpu(os.getpid(), "no thread has this name") == 0
