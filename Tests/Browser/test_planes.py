"""Media plane and gateway as two processes, in a call of three. Either may be killed: nobody has to click, and nobody is seen to
leave. For the gateway alone no packet is lost."""

import time

import pytest

from people import BLUE, GREEN, RED
from planes import Planes
from sfuserver import eventually

# From the moment that the gateway listens again, seconds.
LIVE_WITHIN = 2


@pytest.fixture
def server(tmp_path):
    with Planes(tmp_path) as started:
        yield started


@pytest.fixture
def call(people, server):
    """Three who see and hear each other, and whose pages write down what they are told from here on."""
    everybody = people(RED), people(GREEN), people(BLUE)
    see_and_hear(everybody)
    for person in everybody:
        person.evaluate("sfuTest.watch()")
    yield everybody
    for person in everybody:
        # The browser complains about dials that nobody answered.
        person.errors.clear()


def others(person, everybody):
    return [one for one in everybody if one is not person]


def see_and_hear(everybody):
    for person in everybody:
        for other in others(person, everybody):
            person.expect_sees(other.who, timeout=40)
            person.expect_moving(other.who)
            person.expect_hears(other.who)


def watched(person, *kinds):
    return [one for one in person.evaluate("sfuTest.watch()") if one["what"] in kinds]


def expect_words(everybody, *words, timeout=20):
    """The line of each page has one of the words, and nothing stands in the way of the call."""
    for person in everybody:
        def says(person=person):
            line = person.evaluate("sfuTest.line()")
            assert any(one in line["text"] for one in words), f"{person.who.name}'s page says {line}"
            assert line["dialogs"] == 0 and line["call"] and line["toasts"] == [], line
            return True
        eventually(says, timeout)


def expect_no_flicker(everybody):
    """Nobody came, nobody went, and no track of anybody did."""
    for person in everybody:
        flicker = watched(person, "joined", "left", "published", "unpublished")
        assert not flicker, f"{person.who.name}'s page was told {flicker}"
        person.expect_others(*(one.who for one in others(person, everybody)))
        line = person.evaluate("sfuTest.line()")
        assert line["dialogs"] == 0 and line["call"] and line["text"] == "", line


def live_since(person, moment):
    """When the page was live for good, seconds after the moment."""
    person.expect_live(40)
    last = watched(person, "status")[-1]
    assert last["state"] == "live", last
    return last["at"] / 1000 - moment


def received(everybody):
    return {person.who.name: person.evaluate("sfuTest.received()") for person in everybody}


def expect_media_went_on(everybody, before, seconds):
    """Sound and pictures came all the time, and nothing is missing."""
    after = received(everybody)
    for person in everybody:
        had, has = before[person.who.name], after[person.who.name]
        senders = len(everybody) - 1
        # Far fewer than are sent: a busy machine makes less. That none is lost does not depend on it.
        for kind, least in (("audio", 10), ("video", 4)):
            packets = has[kind]["packets"] - had[kind]["packets"]
            assert packets > least * senders * seconds, f"{person.who.name} got {packets} packets of {kind} in {seconds:.1f} s"
            assert has[kind]["lost"] == had[kind]["lost"], f"{person.who.name} lost {kind}: {had[kind]}, then {has[kind]}"
        assert has["video"]["frames"] - had["video"]["frames"] > 2 * senders * seconds, f"{person.who.name}: {had}, then {has}"


def facts(everybody):
    return [{key: fact for key, fact in person.evaluate("sfuTest.facts()").items() if key in ("pid", "did", "peers", "tids")}
            for person in everybody]


def restart_gateway(server, everybody, moment=None):
    """Starts it and waits until everybody is live; how long that took from when it listened."""
    heard = server.heard_of()
    server.gateway.start()
    moment = heard.get(timeout=30)
    return {person.who.name: round(live_since(person, moment), 2) for person in everybody}


@pytest.mark.parametrize("seconds", [1, 5, 12])
def test_a_killed_gateway_costs_no_packet_and_no_click(call, server, seconds):
    ruby, olive, _ = call
    before, who = received(call), facts(call)
    started = time.monotonic()
    server.gateway.kill()
    expect_words(call, "You can go on talking", timeout=8)
    # What is wanted meanwhile is told afterwards.
    olive.click("mic")
    while time.monotonic() - started < seconds:
        time.sleep(0.1)
    expect_media_went_on(call, before, time.monotonic() - started)
    took = restart_gateway(server, call)
    print(f"killed for {seconds} s; live again after {took} s")
    eventually(lambda: ruby.look(GREEN)["silent"], what="the mute that happened meanwhile shows")
    expect_media_went_on(call, before, 0)
    assert facts(call) == who
    expect_no_flicker(call)
    assert max(took.values()) < LIVE_WITHIN, took
    olive.click("mic")
    see_and_hear(call)


def test_a_gateway_that_is_killed_again_while_they_come_back(call, server):
    before, who = received(call), facts(call)
    started = time.monotonic()
    for _ in range(2):
        server.gateway.kill()
        time.sleep(0.5)
        heard = server.heard_of()
        server.gateway.start()
        heard.get(timeout=30)
    # They are in the middle of it, or through.
    time.sleep(0.3)
    server.gateway.kill()
    expect_words(call, "You can go on talking", timeout=8)
    took = restart_gateway(server, call)
    print(f"killed three times; live again after {took} s")
    expect_media_went_on(call, before, time.monotonic() - started)
    assert facts(call) == who
    expect_no_flicker(call)
    see_and_hear(call)


def moving_again(everybody, moment):
    """When everybody's pictures move everywhere, by the counters of new connections; seconds after the moment."""
    def frames():
        return {(person.who.name, other.who.name): (person.look(other.who) or {}).get("frames", 0)
                for person in everybody for other in others(person, everybody)}
    first = frames()

    def move():
        now = frames()
        still = [pair for pair, count in now.items() if not (count > 3 and count != first[pair])]
        assert not still, f"stands still: {still}"
        return time.time() - moment
    return eventually(move, 60)


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_killed_media_plane_is_rejoined_without_a_click(call, server, seconds):
    who = facts(call)
    server.media.kill()
    assert "media plane is away" in server.wait_until_unready()
    time.sleep(seconds)
    if seconds:
        expect_words(call, "Reconnecting sound and picture", "Sound and picture don’t get through")
    server.media.start()
    moment = time.time()
    took = moving_again(call, moment)
    print(f"media killed for {seconds} s; pictures move again after {took:.2f} s")
    for person in call:
        person.expect_live(40)
    see_and_hear(call)
    for one, now in zip(who, facts(call)):
        assert (now["pid"], now["did"], now["tids"]) == (one["pid"], one["did"], one["tids"]) and now["peers"] > one["peers"]
    expect_no_flicker(call)


def test_both_are_killed_and_everybody_is_back(call, server):
    olive = call[1]
    olive.click("camera")
    eventually(lambda: call[0].look(GREEN)["state"] == "muted")
    who = facts(call)
    server.media.kill()
    server.gateway.kill()
    expect_words(call, "Connection lost", "can’t be reached", timeout=30)
    server.media.start()
    took = restart_gateway(server, call)
    print(f"both killed; live again after {took} s")
    assert [one["pid"] for one in facts(call)] == [one["pid"] for one in who]
    for person in call:
        for other in others(person, call):
            person.expect_hears(other.who)
    # What was off is off, and goes on again.
    assert call[0].look(GREEN)["state"] == "muted"
    flicker = [one for person in call for one in watched(person, "joined", "left")]
    assert not flicker, flicker
    olive.click("camera")
    see_and_hear(call)


def test_what_people_read_while_things_are_mended(call, server):
    """Each state in words, and nothing but a line says it; with SFU_SCREENSHOTS as pictures, too."""
    ruby, olive, indigo = call
    indigo.click("people")
    server.gateway.kill()
    expect_words(call, "You can go on talking", timeout=8)
    ruby.screenshots("1 reconnecting to the server")
    expect_words(call, "The server doesn’t answer. You can go on talking", timeout=25)
    ruby.screenshots("2 the server does not answer")
    server.media.kill()
    expect_words(call, "The server can’t be reached", timeout=30)
    ruby.screenshots("3 server gone")
    olive.click("mic")
    assert olive.evaluate("document.querySelector('[data-testid=mic]').classList.contains('pending')")
    olive.screenshots("4 muted while the server is gone")
    server.gateway.start()
    expect_words((ruby,), "Reconnecting sound and picture", "Sound and picture don’t get through", timeout=20)
    ruby.screenshots("5 rejoining")
    # Who was there is shown as on the way back, and not as gone.
    indigo.screenshots("6 the others are on their way back")
    ruby.expect_others(*(one.who for one in others(ruby, call)))
    server.media.start()
    for person in call:
        person.expect_live(40)
    for person in call:
        for other in others(person, call):
            person.expect_sees(other.who, timeout=40)
    ruby.screenshots("7 back")
    assert not [one for person in call for one in watched(person, "joined", "left")]
