"""What callgrind counted, by object and function. Knows only its file format (valgrind's manual, "Callgrind Format
Specification"), no gates."""

import collections
import re


class Profile:
    """Where functions are (object, name)."""

    def __init__(self, text):
        """`text`: a file of `--tool=callgrind`, with compressed or whole names."""
        # Instructions of functions themselves, and of calls from one to another with all that these called.
        self.own = collections.Counter()
        self.through = collections.Counter()
        names = {}

        def resolve(kind, value):
            found = re.match(r"\((\d+)\)(?: (.*))?$", value)
            if not found:
                return value
            if found[2] is not None:
                names[kind, found[1]] = found[2]
            return names.get((kind, found[1]), found[1])

        place = called = ("", "")
        is_call = False
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if line[:1] in tuple("+-*0123456789") and not equals:
                fields = line.split()
                cost = int(fields[1]) if len(fields) > 1 else 0
                if is_call:
                    self.through[place, called] += cost
                    called = place
                else:
                    self.own[place] += cost
                is_call = False
            elif key == "ob":
                place = called = resolve("ob", value), place[1]
            elif key == "fn":
                place = place[0], resolve("fn", value)
                called = place
            elif key == "cob":
                called = resolve("ob", value), called[1]
            elif key == "cfn":
                called = called[0], resolve("fn", value)
            elif key == "calls":
                is_call = True

    def spent(self, objects, helpers, without=()):
        """Instructions in these objects, and in `helpers` where these objects called them; objects by the beginning of
        their file names. Functions whose names contain one of `without` do not count."""

        def is_in(place, group):
            return place[0].rpartition("/")[2].startswith(tuple(group))

        def counts(place):
            return is_in(place, objects) and not any(part in place[1] for part in without)

        inside = sum(cost for place, cost in self.own.items() if counts(place))
        # What began before the collection did has no cost of its own, and would count everything below it.
        return inside + sum(
            cost
            for (caller, called), cost in self.through.items()
            if caller in self.own and counts(caller) and is_in(called, helpers)
        )

    def of(self, function):
        """Instructions of functions of this name, without what they call."""
        return sum(cost for (_, name), cost in self.own.items() if name == function)
