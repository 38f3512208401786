"""Charts of what happens over time as SVG text, several panels on one axis of seconds. Knows series and their names, no
benchmarks."""

from dataclasses import dataclass

from charts import RIGHT, WIDTH, document, number, text, ticks

LEFT = 70
GAP = 20
STYLE = """<style>
  .series { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
  .s0 { stroke: #57606a; stroke-dasharray: 5 3; } .s1 { stroke: #0969da; } .s2 { stroke: #bc4c00; } .s3 { stroke: #8250df; }
  @media (prefers-color-scheme: dark) {
    .s0 { stroke: #9198a1; } .s1 { stroke: #4493f8; } .s2 { stroke: #f0883e; } .s3 { stroke: #ab7df8; }
  }
</style>"""


@dataclass
class Series:
    name: str
    # (seconds, value); None: there was nothing, and the line has a gap.
    points: list
    # Colour, 0 to 3: the same subject has the same one everywhere. 0 is dashed.
    kind: int
    # A value holds until the next one, instead of leading there.
    is_step: bool = False


@dataclass
class Panel:
    title: str
    series: list
    height: int
    # What the axis names instead of round numbers.
    marks: list | None = None
    # Values above are cut off.
    most: float | None = None


def chart(title, panels):
    """A whole SVG document."""
    end = max(at for panel in panels for one in panel.series for at, _ in one.points)
    seconds = ticks(end)

    def x(at):
        return LEFT + at / seconds[-1] * (WIDTH - LEFT - RIGHT)

    parts, y = [STYLE, text(16, 24, title, "text title")], 34
    for panel in panels:
        y += 26
        parts += draw(panel, x, seconds, y)
        y += panel.height + GAP
    parts += [text(x(at), y, number(at) if at else "0", "faint small", "middle") for at in seconds]
    parts.append(text(x(seconds[-1]) + 16, y, "s", "faint small"))
    return document(y + 14, title, parts)


def draw(panel, x, seconds, top):
    values = [value for one in panel.series for _, value in one.points if value is not None]
    reach = min(max(values, default=1), panel.most or float("inf"))
    scale = [0, *panel.marks] if panel.marks else ticks(reach or 1)
    bottom = top + panel.height

    def y(value):
        return bottom - min(value, scale[-1]) / scale[-1] * panel.height

    yield text(16, top - 12, panel.title, "faint small")
    named = [one for one in panel.series if one.name]
    for index, one in enumerate(named):
        at = WIDTH - RIGHT - 110 * (len(named) - index)
        yield f'<line class="series s{one.kind}" x1="{at}" x2="{at + 18}" y1="{top - 16}" y2="{top - 16}"/>'
        yield text(at + 22, top - 12, one.name, "text small")
    for value in scale:
        yield f'<line class="line" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield text(LEFT - 6, y(value) + 4, number(value) if value else "0", "faint small", "end")
    for at in seconds:
        yield f'<line class="line" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
    for one in panel.series:
        if path := line(one, x, y):
            yield f'<path class="series s{one.kind}" d="{path}"/>'


def line(series, x, y):
    written, last = [], None
    for at, value in series.points:
        if value is None:
            last = None
            continue
        if last is None:
            written.append(f"M{x(at):.1f} {y(value):.1f}")
        elif not series.is_step:
            written.append(f"L{x(at):.1f} {y(value):.1f}")
        elif value != last:
            written.append(f"H{x(at):.1f}V{y(value):.1f}")
        else:
            # Straight on: only where it ends, or turns, is there anything to say.
            written.append(f"H{x(at):.1f}")
            if len(written) > 2 and written[-2].startswith("H") and "V" not in written[-2]:
                del written[-2]
        last = value
    return "".join(written)
