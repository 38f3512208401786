"""The network of one person goes, and comes back: after seconds, after minutes, with and without a word of it."""

import time

from people import GREEN, RED
from remote import browser_inside, namespace, olive, server  # noqa: F401
from sfuserver import eventually

# A page without a network complains about its requests.
GOES_OFFLINE = True


def both_ways(*pair):
    for one, other in (pair, pair[::-1]):
        one.expect_sees(other.who, timeout=40)
        one.expect_moving(other.who)
        one.expect_hears(other.who)


def watch_line(person, wanted, timeout):
    """What the page says while it is cut off, and that nothing but a line says it."""
    def says():
        line = person.evaluate("sfuTest.line()")
        assert wanted in line["text"], f"the page says {line}"
        assert line["dialogs"] == 0 and line["call"]
        return line
    return eventually(says, timeout)


def test_five_seconds_of_silence(people, server, namespace, olive):
    ruby = people(RED)
    both_ways(ruby, olive)
    before = olive.evaluate("sfuTest.facts()")
    ruby.evaluate("sfuTest.history()")
    namespace.cut()
    time.sleep(5)
    namespace.mend()
    olive.expect_live(30)
    both_ways(ruby, olive)
    after = olive.evaluate("sfuTest.facts()")
    assert (after["sid"], after["pid"], after["peers"], after["tids"]) == (before["sid"], before["pid"], 1, before["tids"])
    assert not [one for one in ruby.evaluate("sfuTest.history()") if one.startswith(("left", "joined"))]


def test_a_cable_that_is_pulled_for_ninety_seconds(people, server, namespace, olive):
    ruby = people(RED)
    both_ways(ruby, olive)
    namespace.unplug()
    watch_line(olive, "You are offline", 40)
    olive.screenshots("offline")
    time.sleep(80)
    watch_line(olive, "You are offline", 5)
    # For the others it is over by then.
    ruby.expect_others(timeout=60)
    namespace.plug()
    olive.expect_live(45)
    ruby.expect_others(GREEN)
    both_ways(ruby, olive)
    assert olive.evaluate("sfuTest.outcomes()")[-1] in ("rejoin", "fresh")
    assert olive.evaluate("sfuTest.line()")["text"] == ""
    olive.screenshots("back after ninety seconds")


def test_another_network(people, server, namespace, olive):
    """From one address to another in the middle of a sentence: the same session, the same connection."""
    ruby = people(RED)
    both_ways(ruby, olive)
    before = olive.evaluate("sfuTest.facts()")
    ruby.evaluate("sfuTest.history()")
    for _ in range(2):
        namespace.move()
        moved = time.monotonic()
        frames, heard = ruby.look(GREEN)["frames"], olive.look(RED)["frames"]
        eventually(lambda: ruby.look(GREEN)["frames"] > frames + 3 and olive.look(RED)["frames"] > heard + 3, 40,
                   what="pictures both ways over the other address")
        print(f"pictures again {time.monotonic() - moved:.1f} s after the address changed")
        olive.expect_live(30)
    both_ways(ruby, olive)
    after = olive.evaluate("sfuTest.facts()")
    assert (after["sid"], after["pid"], after["peers"], after["tids"]) == (before["sid"], before["pid"], 1, before["tids"])
    assert not [one for one in ruby.evaluate("sfuTest.history()") if one.startswith(("left", "joined"))]
    # What was lost on the way is said for a while.
    eventually(lambda: olive.evaluate("sfuTest.line()")["text"] == "", 30, what="a line without a complaint")


def test_a_cable_that_is_pulled_for_twenty_seconds(people, server, namespace, olive):
    ruby = people(RED)
    both_ways(ruby, olive)
    before = olive.evaluate("sfuTest.facts()")
    ruby.evaluate("sfuTest.history()")
    namespace.unplug()
    time.sleep(20)
    namespace.plug()
    olive.expect_live(30)
    both_ways(ruby, olive)
    after = olive.evaluate("sfuTest.facts()")
    assert (after["sid"], after["pid"], after["tids"]) == (before["sid"], before["pid"], before["tids"])
    assert after["resumes"] >= 1
    assert not [one for one in ruby.evaluate("sfuTest.history()") if one.startswith(("left", "joined"))]
