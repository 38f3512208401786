"""Firefox loses its socket, its page and its gateway, and is back each time: the same participant, without a click."""

import time

import pytest

from firefox import FirefoxBrowser, FirefoxPerson
from people import GREEN, RED
from planes import Planes
from sfuserver import eventually, own_address


@pytest.fixture
def server(tmp_path):
    # Firefox pairs none of its addresses with 127.0.0.1.
    with Planes(tmp_path, ("127.0.0.1", *filter(None, [own_address()]))) as started:
        yield started


@pytest.fixture
def pair(people, server, room):
    """Chromium, Firefox; each sees and hears the other."""
    ruby = people(RED)
    browser = FirefoxBrowser()
    olive = FirefoxPerson(browser, server.url, room, GREEN).join()
    both_ways(ruby, olive)
    for one in (ruby, olive):
        one.evaluate("sfuTest.watch()")
    yield ruby, olive
    ruby.errors.clear()
    browser.close()


def both_ways(ruby, olive):
    for one, other in ((ruby, olive), (olive, ruby)):
        one.expect_sees(other.who, timeout=40)
        one.expect_moving(other.who)
        one.expect_hears(other.who)


def facts(person):
    return person.evaluate("sfuTest.facts()")


def expect_no_flicker(*people):
    for person in people:
        told = [one for one in person.evaluate("sfuTest.watch()") if one["what"] in ("joined", "left")]
        assert not told, f"{person.who.name}'s page was told {told}"


def test_a_lost_socket_is_resumed(pair):
    ruby, olive = pair
    before = facts(olive)
    for count in (1, 2):
        olive.evaluate("sfuTest.cutSocket()")
        eventually(lambda: facts(olive)["resumes"] == count, what=f"resume {count}")
    olive.expect_live()
    after = facts(olive)
    assert (after["sid"], after["pid"], after["peers"], after["tids"]) == (before["sid"], before["pid"], 1, before["tids"])
    expect_no_flicker(ruby, olive)
    both_ways(ruby, olive)


def test_a_reloaded_page_is_back(pair):
    ruby, olive = pair
    before = facts(olive)
    olive.browser.send("browsingContext.reload", context=olive.browser.context, wait="complete")
    olive.expect_live(40)
    both_ways(ruby, olive)
    after = facts(olive)
    assert (after["pid"], after["did"], after["tids"]) == (before["pid"], before["did"], before["tids"])
    assert not olive.evaluate("!document.getElementById('lobby').hidden"), "the lobby was shown"
    expect_no_flicker(ruby)


def test_a_killed_gateway_is_found_again(pair, server):
    ruby, olive = pair
    before = [facts(one) for one in pair]
    received = [one.evaluate("sfuTest.received()") for one in pair]
    server.gateway.kill()
    eventually(lambda: "You can go on talking" in olive.evaluate("sfuTest.line()")["text"], what="the page says that the server is away")
    time.sleep(4)
    for one, other in (pair, pair[::-1]):
        one.expect_moving(other.who)
    heard = server.heard_of()
    server.gateway.start()
    moment = heard.get(timeout=30)
    for one in pair:
        one.expect_live(40)
        last = [said for said in one.evaluate("sfuTest.watch()") if said["what"] == "status"][-1]
        print(f"{one.who.name} is live {last['at'] / 1000 - moment:.2f} s after the gateway listened")
    for one, had, was in zip(pair, received, before):
        now = facts(one)
        assert (now["pid"], now["peers"], now["tids"]) == (was["pid"], was["peers"], was["tids"])
        has = one.evaluate("sfuTest.received()")
        for kind in ("audio", "video"):
            assert has[kind]["packets"] > had[kind]["packets"]
            assert has[kind]["lost"] == had[kind]["lost"], f"{one.who.name} lost {kind}: {had[kind]}, then {has[kind]}"
    expect_no_flicker(*pair)
    both_ways(ruby, olive)


def test_a_killed_media_plane_is_rejoined(pair, server):
    ruby, olive = pair
    before = [facts(one) for one in pair]
    server.media.kill()
    server.wait_until_unready()
    server.media.start()
    server.wait_until_ready()
    eventually(lambda: all(facts(one)["peers"] > was["peers"] for one, was in zip(pair, before)), 40, what="new connections")
    for one in pair:
        one.expect_live(40)
    both_ways(ruby, olive)
    assert [facts(one)["tids"] for one in pair] == [one["tids"] for one in before]
    expect_no_flicker(*pair)
