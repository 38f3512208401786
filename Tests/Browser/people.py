"""Participants of a test: who they are, and the questions that every browser's participant answers.

A subclass drives one kind of browser by `evaluate`; the page answers by `window.sfuTest` of fakemedia.js.
"""

from dataclasses import dataclass
from pathlib import Path

from sfuserver import eventually

FAKE_MEDIA = Path(__file__).with_name("fakemedia.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Who:
    """Colours and pitches are far apart, and no pitch is a multiple of another."""

    name: str
    colour: tuple
    tone: int
    screen: tuple = (20, 160, 160)
    width: int = 640
    height: int = 360
    fps: int = 15

    def as_dict(self):
        return {"name": self.name, "colour": self.colour, "tone": self.tone, "screen": self.screen,
                "width": self.width, "height": self.height, "fps": self.fps}


RED = Who("Ruby", (205, 45, 45), 500)
GREEN = Who("Olive", (40, 165, 60), 730, screen=(225, 130, 20))
BLUE = Who("Indigo", (50, 80, 210), 1130, screen=(160, 50, 190))
YELLOW = Who("Amber", (205, 185, 40), 1570)


def near(colour, wanted, tolerance=38):
    return colour is not None and all(abs(a - b) <= tolerance for a, b in zip(colour, wanted))


class Person:
    """A participant in a page. `evaluate(expression)` is the subclass's part."""

    who: Who

    def evaluate(self, expression):
        raise NotImplementedError

    def look(self, whom, source="camera"):
        return self.evaluate(f"sfuTest.look({whom.name!r}, {source!r})")

    def expect_sees(self, whom, source="camera", timeout=25):
        wanted = whom.screen if source == "screen" else whom.colour

        def sees():
            seen = self.look(whom, source)
            assert seen and seen["state"] == "playing" and near(seen["colour"], wanted), \
                f"{self.who.name} sees {seen} of {whom.name}'s {source}, wanted {wanted}"
            return seen
        return eventually(sees, timeout)

    def expect_moving(self, whom, source="camera", timeout=15):
        before = (self.look(whom, source) or {}).get("frames", 0)
        return eventually(lambda: (self.look(whom, source) or {}).get("frames", 0) > before + 5, timeout,
                          what=f"{whom.name}'s {source} goes on for {self.who.name}")

    def expect_hears(self, whom, timeout=25):
        def hears():
            pitch = self.evaluate(f"sfuTest.hear({whom.name!r})")
            assert abs(pitch - whom.tone) <= 15, f"{self.who.name} hears {pitch} Hz of {whom.name}, not {whom.tone}"
            return pitch
        return eventually(hears, timeout)

    def expect_silence(self, whom, timeout=15):
        def silent():
            pitch = self.evaluate(f"sfuTest.hear({whom.name!r}, 500)")
            assert pitch == 0, f"{self.who.name} still hears {pitch} Hz of {whom.name}"
            return True
        return eventually(silent, timeout)

    def expect_others(self, *others, timeout=20):
        names = sorted(one.name for one in others)

        def present():
            found = self.evaluate("sfuTest.others()")
            assert found == names, f"{self.who.name} knows {found}, not {names}"
            return True
        return eventually(present, timeout)

    def expect_live(self, timeout=20):
        def live():
            status = self.evaluate("sfuTest.status()")
            assert status.get("state") == "live", f"{self.who.name}: {status}"
            return True
        return eventually(live, timeout)
