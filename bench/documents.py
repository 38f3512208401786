"""Documents with parts that programs write. Knows no figures."""

import re


def write(document, begin, end, text):
    """Replaces what is between the markers."""
    before = document.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
    if not pattern.search(before):
        raise SystemExit(f"{document} has no {begin} … {end}")
    document.write_text(pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", before, count=1), encoding="utf-8")
