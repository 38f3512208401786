"""What people do in a call beside talking, with the page's own buttons: hands, reactions, muting, removing, the waiting room."""

import pytest

import chromium
from people import BLUE, GREEN, RED
from sfuserver import eventually

PHONE = {"size": (390, 844), "mobile": True}


@pytest.fixture
def moderator(people, server, room):
    return lambda who, **more: people(who, token=server.token(room, who, "--moderator"), **more)


@pytest.fixture
def guest(server, browser, room, people):
    """Somebody with a token and no rights beyond talking, who has not joined yet."""
    made = []

    def arrive(who, *options, **more):
        made.append(chromium.ChromiumPerson(browser, server.url, room, who, token=server.token(room, who, *options), **more))
        return made[-1]
    yield arrive
    for person in made:
        person.close()


def open_people(person):
    """On a phone the list covers the stage."""
    if not person.page.get_by_test_id("people-panel").is_visible():
        person.click("people")
    person.page.get_by_test_id("people-panel").wait_for()


def menu_of(person, whom):
    open_people(person)
    person.page.locator("#people-list li", has_text=whom.name).get_by_test_id("person").click()
    person.page.get_by_test_id("person-menu").wait_for()


def said(person, words, timeout=15):
    eventually(lambda: any(words in one for one in person.evaluate("sfuTest.line()")["toasts"]), timeout,
               what=f"{person.who.name} reads “{words}”")


def shown(person, test_id):
    return person.page.get_by_test_id(test_id).is_visible()


def test_a_hand_goes_up_and_down(people):
    ruby, olive = people(RED), people(GREEN, **PHONE)
    ruby.expect_sees(GREEN)
    olive.click("more")
    olive.page.locator("#more-menu [data-action=hand]").click()
    eventually(lambda: "hand raised" in ruby.look(GREEN)["label"], what="the hand shows on the tile")
    open_people(ruby)
    ruby.page.locator("#people-list li", has_text=GREEN.name).locator(".hand").wait_for()
    ruby.screenshot("raised hand")
    ruby.click("hand")
    eventually(lambda: "hand raised" in olive.look(RED)["label"])
    ruby.click("hand")
    eventually(lambda: "hand raised" not in olive.look(RED)["label"], what="the hand goes down")


def test_a_reaction_rises_from_the_picture(people):
    ruby, olive = people(RED), people(GREEN, **PHONE)
    ruby.expect_sees(GREEN)
    olive.click("more")
    olive.screenshot("reactions")
    olive.page.get_by_test_id("reactions").get_by_role("button").nth(5).click()
    reaction = ruby.page.locator(f"[data-testid=tile][aria-label^={GREEN.name}] .reaction")
    reaction.wait_for()
    assert reaction.text_content() == "🎉"
    ruby.screenshot("a reaction")
    reaction.wait_for(state="detached")


def test_a_moderator_mutes_and_asks_to_unmute(people, moderator):
    ruby, olive = moderator(RED, **PHONE), people(GREEN)
    ruby.expect_hears(GREEN)
    menu_of(ruby, GREEN)
    ruby.screenshot("what to do with somebody")
    ruby.click("mute")
    said(olive, "muted your microphone")
    ruby.expect_silence(GREEN)
    eventually(lambda: ruby.look(GREEN)["silent"])
    menu_of(ruby, GREEN)
    ruby.click("unmute")
    olive.page.get_by_test_id("unmute-request").wait_for()
    olive.screenshot("asked to unmute")
    olive.page.locator("#unmute-yes").click()
    ruby.expect_hears(GREEN)
    assert not shown(olive, "unmute-request")


def test_a_moderator_removes_somebody(people, moderator):
    ruby, olive, indigo = moderator(RED), people(GREEN), people(BLUE)
    ruby.expect_others(GREEN, BLUE)
    menu_of(ruby, GREEN)
    ruby.click("kick")
    olive.page.get_by_test_id("lobby").wait_for()
    assert "removed" in olive.page.locator("#lobby-notice").text_content()
    for one, others in ((ruby, [BLUE]), (indigo, [RED])):
        one.expect_others(*others)


def test_why_is_answered_in_a_sentence(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_hears(GREEN)
    menu_of(ruby, GREEN)
    ruby.click("why")
    said(ruby, "Nothing is wrong")
    olive.click("mic")
    eventually(lambda: ruby.look(GREEN)["silent"])
    menu_of(ruby, GREEN)
    ruby.click("why")
    said(ruby, "muted")


def test_who_does_not_moderate_has_no_such_buttons(people):
    ruby, _ = people(RED), people(GREEN)
    ruby.expect_others(GREEN)
    menu_of(ruby, GREEN)
    assert ruby.page.locator("#person-actions button").evaluate_all("all => all.map((one) => one.dataset.do)") == ["why"]
    assert not shown(ruby, "moderation")


def test_a_locked_room_has_a_waiting_room(people, moderator, guest):
    ruby = moderator(RED)
    open_people(ruby)
    ruby.page.get_by_test_id("lock").check()
    eventually(lambda: ruby.evaluate("sfuRoom.locked && sfuRoom.hasLobby"), what="the room is locked")
    olive = guest(GREEN, **PHONE)
    olive.page.get_by_test_id("name").fill(GREEN.name)
    olive.page.get_by_test_id("join").click()
    olive.page.get_by_test_id("waiting").wait_for()
    assert olive.evaluate("sfuTest.others()") == []
    olive.screenshot("waiting to be let in")
    ruby.page.get_by_test_id("knock").wait_for()
    ruby.screenshot("somebody knocks")
    # A lost socket does not cost the place.
    olive.evaluate("sfuTest.cutSocket()")
    eventually(lambda: olive.evaluate("sfuTest.status()")["state"] == "waiting")
    assert shown(olive, "waiting") and shown(ruby, "knock")
    ruby.click("admit")
    olive.expect_live()
    assert not shown(olive, "waiting")
    ruby.page.get_by_test_id("knock").wait_for(state="hidden")
    for one, other in ((ruby, olive), (olive, ruby)):
        one.expect_sees(other.who)
        one.expect_hears(other.who)
    # And another one is turned away.
    indigo = guest(BLUE)
    indigo.page.get_by_test_id("name").fill(BLUE.name)
    indigo.page.get_by_test_id("join").click()
    ruby.page.get_by_test_id("knock").wait_for()
    ruby.click("deny")
    indigo.page.get_by_test_id("lobby").wait_for()
    eventually(lambda: indigo.page.locator("#lobby-notice").is_visible() or indigo.page.get_by_test_id("lobby-error").is_visible())
    ruby.expect_others(GREEN)
