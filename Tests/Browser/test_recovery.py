"""What is lost comes back by itself, and the page says so in a line: socket, page, tab, the whole computer."""

import os
import signal
import time
from pathlib import Path

import pytest

import chromium
from people import BLUE, GREEN, RED
from sfuserver import eventually


def children(pid):
    """A process and everything it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children(int(child))
    return found


def see_and_hear(*everybody, others=()):
    for one in everybody:
        for other in (*everybody, *others):
            if one is not other:
                one.expect_sees(other.who)
                one.expect_moving(other.who)
                one.expect_hears(other.who)


def facts(person):
    return person.evaluate("sfuTest.facts()")


def test_a_lost_socket_is_resumed_and_the_media_knows_nothing_of_it(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    before = facts(ruby)
    ruby.evaluate("sfuTest.history()")
    olive.evaluate("sfuTest.history()")
    frames = ruby.look(GREEN)["frames"]
    ruby.evaluate("sfuTest.cutSocket()")
    # What happens meanwhile is told afterwards.
    olive.click("mic")
    eventually(lambda: facts(ruby)["resumes"] == 1, what="the session is resumed")
    ruby.expect_live()
    eventually(lambda: ruby.look(GREEN)["silent"], what="the mute that happened meanwhile shows")
    after = facts(ruby)
    assert (after["sid"], after["pid"], after["peers"], after["tids"]) == (before["sid"], before["pid"], 1, before["tids"])
    assert ruby.look(GREEN)["frames"] > frames
    assert "status reconnecting signal" in ruby.evaluate("sfuTest.history()")
    assert not [one for one in olive.evaluate("sfuTest.history()") if one.startswith(("left", "joined", "status"))]
    olive.click("mic")
    see_and_hear(ruby, olive)


def test_many_lost_sockets_are_as_many_resumes(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    before = facts(ruby)
    for count in range(1, 9):
        ruby.evaluate("sfuTest.cutSocket()")
        eventually(lambda: facts(ruby)["resumes"] == count, what=f"resume {count}")
    ruby.expect_live()
    after = facts(ruby)
    assert (after["sid"], after["peers"]) == (before["sid"], 1)
    see_and_hear(ruby, olive)


def test_a_reloaded_page_is_back_without_a_click(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    olive.expect_sees(RED)
    before = facts(olive)
    ruby.evaluate("sfuTest.history()")
    olive.page.reload()
    olive.expect_live()
    see_and_hear(ruby, olive)
    after = facts(olive)
    assert (after["pid"], after["did"], after["tids"]) == (before["pid"], before["did"], before["tids"])
    assert not olive.evaluate("!document.getElementById('lobby').hidden"), "the lobby was shown"
    history = ruby.evaluate("sfuTest.history()")
    assert not [one for one in history if one.startswith(("left", "joined"))], history
    olive.screenshot("after a reload")


def test_a_reload_keeps_what_was_off(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    olive.click("camera")
    eventually(lambda: ruby.look(GREEN)["state"] in ("muted", "empty"), what="the camera goes off")
    olive.page.reload()
    olive.expect_live()
    ruby.expect_hears(GREEN)
    assert ruby.look(GREEN)["state"] in ("muted", "empty", "waiting")
    assert olive.evaluate("sfuRoom.me.camera === null || sfuRoom.me.camera.muted")
    olive.click("camera")
    ruby.expect_sees(GREEN)


def test_who_left_is_in_the_lobby_after_a_reload(people):
    olive = people(GREEN)
    olive.leave()
    olive.page.reload()
    olive.page.get_by_test_id("lobby").wait_for()
    assert not olive.evaluate("!document.getElementById('call').hidden")


def test_a_closed_window_is_gone_soon(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    olive.page.close()
    ruby.expect_others(timeout=12)


def test_a_duplicated_tab_is_another_device(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    before = facts(olive)
    # An opened window gets a copy of the tab's storage, as a duplicated one does.
    with olive.context.expect_page() as opened:
        olive.page.evaluate("() => { window.open(location.href); }")
    copy = opened.value
    copy.get_by_test_id("lobby").wait_for()
    # The first one goes on, and does not lose its session to the copy.
    copy.get_by_test_id("name").fill("Copy")
    copy.get_by_test_id("join").click()
    theirs = eventually(lambda: copy.evaluate("async () => await sfuTest.facts()"), what="the copy joins")
    assert theirs["did"] != before["did"] and theirs["pid"] != before["pid"] and theirs["sid"] != before["sid"]
    olive.expect_live()
    assert facts(olive)["sid"] == before["sid"] and facts(olive)["resumes"] == 0
    eventually(lambda: "Copy" in ruby.evaluate("sfuTest.others()"))
    see_and_hear(ruby, olive)
    ruby.screenshots("a duplicated tab is somebody more")
    # Each goes on by itself after a reload, too.
    copy.reload()
    again = eventually(lambda: copy.evaluate("async () => await sfuTest.facts()"), what="the copy comes back")
    assert (again["did"], again["pid"]) == (theirs["did"], theirs["pid"])
    olive.page.reload()
    olive.expect_live()
    assert (facts(olive)["did"], facts(olive)["pid"]) == (before["did"], before["pid"])
    copy.close()


def test_a_restarted_server_is_found_again(people, server):
    everybody = ruby, olive = people(RED), people(GREEN)
    see_and_hear(*everybody)
    olive.click("camera")
    eventually(lambda: ruby.look(GREEN)["state"] == "muted")
    server.stop()
    eventually(lambda: "Reconnecting" in ruby.evaluate("sfuTest.line()")["text"], what="the page says that the server is away")
    server.start()
    for person in everybody:
        person.expect_live(40)
    ruby.expect_others(GREEN)
    olive.expect_others(RED)
    olive.expect_sees(RED)
    ruby.expect_hears(GREEN)
    # What was off is off, and goes on again.
    assert ruby.look(GREEN)["state"] in ("muted", "empty")
    olive.click("camera")
    see_and_hear(*everybody)
    for person in everybody:
        assert person.evaluate("sfuTest.line()")["dialogs"] == 0
        # The browser complains about dials that nobody answered.
        person.errors.clear()


def test_a_frozen_page_goes_on_by_itself(people):
    ruby, olive = people(RED), people(GREEN)
    see_and_hear(ruby, olive)
    ruby.evaluate("sfuTest.history()")
    before = facts(olive)
    browser = olive.context.new_cdp_session(olive.page)
    # As a phone does it to a page that nobody looks at: no script runs.
    browser.send("Page.setWebLifecycleState", {"state": "frozen"})
    time.sleep(8)
    browser.send("Page.setWebLifecycleState", {"state": "active"})
    olive.expect_live(30)
    see_and_hear(ruby, olive)
    after = facts(olive)
    assert (after["sid"], after["pid"], after["tids"]) == (before["sid"], before["pid"], before["tids"])
    assert not [one for one in ruby.evaluate("sfuTest.history()") if one.startswith(("left", "joined"))]


def test_who_is_refused_reads_why_and_what_to_do(browser, server, room):
    olive = chromium.ChromiumPerson(browser, server.url, room, GREEN, token="not-a-token")
    olive.page.get_by_test_id("name").fill("Olive")
    olive.page.get_by_test_id("join").click()
    error = olive.page.get_by_test_id("lobby-error")
    error.wait_for()
    assert "invitation" in error.inner_text()
    # There is a place for a better one, and nothing hinders another try.
    assert olive.page.get_by_test_id("token").is_visible() and olive.page.get_by_test_id("join").is_enabled()
    olive.screenshots("refused")
    olive.close()


def test_who_is_removed_reads_so(people, server, room):
    ruby, olive = people(RED, token=server.token(room, RED, "--moderator")), people(GREEN)
    ruby.expect_sees(GREEN)
    ruby.evaluate("sfuRoom.kick([...sfuRoom.participants.values()][0])")
    olive.page.get_by_test_id("lobby").wait_for()
    assert "removed" in olive.evaluate("document.getElementById('lobby-notice').textContent")
    olive.screenshots("removed")
    ruby.expect_others()


@pytest.fixture
def sleeper(playwright, server, room):
    """Somebody in a browser of their own, whose computer can be put to sleep."""
    before = set(children(os.getpid()))
    browser = chromium.launch(playwright)
    own = set(children(os.getpid())) - before
    person = chromium.ChromiumPerson(browser, server.url, room, BLUE)
    own = {pid for pid in set(children(os.getpid())) - before if Path(f"/proc/{pid}").exists()}

    def everything(what):
        for pid in {*own, *(one for root in own for one in children(root) if Path(f"/proc/{root}").exists())}:
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                pass
    person.sleep = lambda: everything(signal.SIGSTOP)
    person.wake = lambda: everything(signal.SIGCONT)
    yield person
    person.wake()
    person.close()
    browser.close()


@pytest.mark.parametrize("seconds", [8, 45])
def test_a_computer_that_slept_is_back_without_a_click(people, sleeper, seconds):
    ruby = people(RED)
    sleeper.join()
    see_and_hear(ruby, sleeper)
    ruby.evaluate("sfuTest.history()")
    before = facts(sleeper)
    asleep = time.monotonic()
    sleeper.sleep()
    if seconds > 40:
        eventually(lambda: ruby.look(BLUE)["word"] == "reconnecting…", 38, what="the tile says that its owner is away")
        ruby.screenshots("somebody else is reconnecting")
        ruby.click("people")
        assert "reconnecting…" in ruby.page.get_by_test_id("people-panel").inner_text()
        ruby.screenshots("somebody else is reconnecting, in the list")
        ruby.click("people")
    time.sleep(max(0, seconds - (time.monotonic() - asleep)))
    sleeper.wake()
    sleeper.expect_live(40)
    see_and_hear(ruby, sleeper)
    assert facts(sleeper)["pid"] == before["pid"]
    line = sleeper.evaluate("sfuTest.line()")
    assert line["dialogs"] == 0 and line["call"]
    ruby.expect_others(BLUE)
    sleeper.screenshot(f"after a sleep of {seconds} s")
