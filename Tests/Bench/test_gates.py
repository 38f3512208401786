"""Gates shut: what costs more than it may, and what nobody has allowed."""

import importlib.machinery
import importlib.util

import pytest
from conftest import BENCH


def script(name):
    loader = importlib.machinery.SourceFileLoader(name, str(BENCH / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def test_what_is_over_its_limit_or_has_none_is_not_let_through():
    limits = {"a": {"at_most": 103}, "b": {"at_most": 0}}
    gates = script("gates")
    assert [row[3] for row in gates.judge({"a": 103, "b": 0}, limits)] == [True, True]
    assert [row[3] for row in gates.judge({"a": 103.1, "b": 0.001, "c": 0}, limits)] == [False, False, False]


def test_one_more_copy_is_what_two_runs_differ_by(monkeypatch, tmp_path):
    gates = script("gates")
    totals = {400: {"received": 50, "forwarded": 20_000, "sends": 20_000, "allocations": 270}}
    totals[100] = {"received": 50, "forwarded": 5_000, "sends": 5_000, "allocations": 255}

    def count(program, media, people, frames, profile):
        profile.write_text(f"ob=/bin/{gates.PROGRAM}\nfn=road\n1 {people * 1000}\nfn=swift_retain\n1 {people * 10}\n")
        return totals[people]

    monkeypatch.setattr(gates, "count", count)
    figures = {key.partition(": ")[2]: value for key, value in gates.forwarding(None, "audio", tmp_path).items()}
    assert figures["instructions per forwarded packet"] == 404_000 / 20_000
    assert figures["allocations per forwarded packet"] == 15 / 15_000
    assert figures["allocations per received packet"] == 270 / 50
    assert figures["instructions of reference counting per forwarded packet"] == 3000 / 15_000
    assert figures["sends per forwarded packet"] == 1


def test_one_more_message_is_what_two_runs_differ_by(monkeypatch, tmp_path):
    gates = script("gates")

    def count(program, what, messages, segments, times, profile):
        sent = messages * times
        profile.write_text(f"ob=/bin/{gates.PROGRAM}\nfn=send\n1 {70 + sent * 200}\nfn=swift_retain\n1 {30 + sent}\n")
        return {"messages": sent, "allocations": 5}

    monkeypatch.setattr(gates, "count", count)
    figures = {key.rpartition(": ")[2]: value for key, value in gates.sending(None, 4, tmp_path).items()}
    assert figures["instructions per message"] == 201
    assert figures["instructions of reference counting per message"] == 1
    assert figures["allocations per message"] == 0


@pytest.mark.parametrize("text", ["x y=http://a", "name=ftp://a", "", "name"])
def test_peers_have_a_name_and_an_address(text):
    compare = script("compare")
    assert compare.peer("mine=http://192.0.2.9:8080") == ("mine", "http://192.0.2.9:8080")
    assert compare.peer("https://192.0.2.9")[0] == "peer"
    with pytest.raises(compare.argparse.ArgumentTypeError):
        compare.peer(text)
