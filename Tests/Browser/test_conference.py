"""Three people in Chromium talk through the page."""

from dataclasses import replace

from people import BLUE, GREEN, RED
from sfuserver import eventually


def test_three_people_see_and_hear_each_other(people):
    everybody = [people(who) for who in (RED, GREEN, BLUE)]
    for person in everybody:
        others = [one.who for one in everybody if one is not person]
        person.expect_others(*others)
        for other in others:
            person.expect_sees(other)
            person.expect_moving(other)
            person.expect_hears(other)
    everybody[0].screenshot("three people")
    everybody[0].page.set_viewport_size({"width": 390, "height": 844})
    everybody[0].expect_sees(BLUE)
    everybody[0].screenshot("three people")


def test_who_leaves_is_gone_for_the_others(people):
    ruby, olive, indigo = (people(who) for who in (RED, GREEN, BLUE))
    ruby.expect_others(GREEN, BLUE)
    indigo.leave()
    ruby.expect_others(GREEN)
    olive.expect_others(RED)
    assert ruby.look(BLUE) is None
    ruby.expect_sees(GREEN)
    ruby.expect_hears(GREEN)
    # And comes back.
    indigo.join()
    ruby.expect_sees(BLUE)
    indigo.expect_sees(RED)
    indigo.expect_hears(RED)


def test_a_closed_window_is_noticed(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    olive.page.close(run_before_unload=True)
    ruby.expect_others(timeout=45)


def test_mute_shows_and_silences(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_hears(GREEN)
    olive.click("mic")
    eventually(lambda: ruby.look(GREEN)["silent"], what="the tile shows the muted microphone")
    assert "microphone off" in ruby.look(GREEN)["label"]
    ruby.expect_silence(GREEN)
    olive.click("mic")
    eventually(lambda: not ruby.look(GREEN)["silent"])
    ruby.expect_hears(GREEN)


def test_a_camera_goes_off_and_comes_back(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    olive.click("camera")
    eventually(lambda: ruby.look(GREEN)["state"] == "muted", what="the tile shows that the camera is off")
    olive.click("camera")
    ruby.expect_sees(GREEN)
    ruby.expect_moving(GREEN)


def test_a_shared_screen_arrives_and_ends(people):
    ruby, olive = people(RED), people(GREEN)
    olive.click("screen")
    ruby.expect_sees(GREEN, "screen")
    ruby.expect_sees(GREEN, "camera")
    ruby.screenshot("shared screen")
    olive.click("screen")
    eventually(lambda: ruby.look(GREEN, "screen") is None, what="the screen's tile goes")
    # Again, in the section that the first one left.
    olive.click("screen")
    ruby.expect_sees(GREEN, "screen")


def test_who_comes_late_sees_everything_at_once(people):
    ruby = people(RED)
    ruby.click("screen")
    olive = people(GREEN)
    olive.expect_sees(RED, "screen")
    olive.expect_sees(RED, "camera")
    olive.expect_hears(RED)


def test_a_small_tile_gets_a_small_layer(people):
    """1280 × 720 with three layers: a phone's corner does not get the largest."""
    ruby = people(replace(RED, width=1280, height=720))
    olive = people(GREEN)
    olive.expect_sees(RED)
    eventually(lambda: olive.look(RED)["width"] == 1280, 30, what="a large tile gets the full picture")
    olive.page.set_viewport_size({"width": 320, "height": 480})
    eventually(lambda: 0 < olive.look(RED)["width"] <= 640, 30, what="a small tile gets a small layer")
    olive.expect_sees(RED)
    # And back: by now the sender may have switched the large layer off.
    olive.page.wait_for_timeout(3000)
    olive.page.set_viewport_size({"width": 1280, "height": 800})
    eventually(lambda: olive.look(RED)["width"] == 1280, 30, what="the full picture comes back")
    olive.expect_moving(RED)
    ruby.expect_live()
