"""The page's own trace: what a person does in it is found at the server's collector, under one id as long as the page lives."""

import json

import pytest

from collector import Collector, attributes
from people import GREEN, RED
from sfuserver import SFUServer, eventually


@pytest.fixture
def traced(tmp_path):
    with Collector() as collector:
        settings = tmp_path / "sfu.yaml"
        settings.write_text(json.dumps({"telemetry": {"endpoint": collector.url}}))
        with SFUServer(arguments=["--config", str(settings)], log=tmp_path / "server.log") as started:
            yield started, collector


@pytest.fixture
def server(traced):
    return traced[0]


def trace_of(person):
    return person.evaluate("import('/sdk/sfu.js').then(({ traceparent }) => traceparent().split('-')[1])")


def test_sessions_and_requests_belong_to_the_trace_of_their_page(people, traced):
    _, collector = traced
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    traces = {trace_of(one): one for one in (ruby, olive)}
    assert len(traces) == 2
    ruby.click("mic")
    ruby.evaluate("sfuTest.cutSocket()")
    eventually(lambda: ruby.evaluate("sfuTest.resumes()") == 1, what="the session is resumed")
    ruby.expect_live()
    ruby.leave()
    olive.leave()

    def told():
        sessions = collector.named("sfu.session")
        assert len(sessions) == 3, f"{len(sessions)} sessions"
        return sessions
    by_page = {}
    for session in eventually(told, 30):
        by_page.setdefault(session["traceId"], []).append(session)
        # Its parent is the page's span of that hello.
        assert session.get("parentSpanId"), session
    assert {trace: len(found) for trace, found in by_page.items()} == {trace_of_name: 2 if one is ruby else 1 for trace_of_name, one in traces.items()}
    mutes = collector.named("sfu.signal.track.mute")
    assert [mute["traceId"] for mute in mutes] == [trace_of(ruby)]
    known = {span["spanId"] for span in collector.spans}
    offers = collector.named("sfu.signal.pc.offer")
    assert offers and all(offer["traceId"] in traces for offer in offers)
    # Requests are children of the page's own spans, each of another one.
    parents = [span["parentSpanId"] for span in offers + mutes]
    assert len(set(parents)) == len(parents) and not known & set(parents)
    assert all(attributes(span).get("sfu.session.id") for span in mutes)


def test_another_life_of_the_page_is_another_trace(people, traced):
    olive = people(GREEN)
    before = trace_of(olive)
    olive.page.reload()
    olive.expect_live()
    assert trace_of(olive) != before
