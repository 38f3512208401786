"""Charts as SVG text, for light and dark pages. Knows bars and their names, no benchmarks."""

import html
import math
from dataclasses import dataclass

WIDTH = 760
LABEL = 224
RIGHT = 90
ROW = 26
BAR = 16
STYLE = """
  .page { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; } .line { stroke: #d1d9e0; }
  .k0 { fill: #57606a; } .k1 { fill: #0969da; } .k2 { fill: #bc4c00; } .k3 { fill: #8250df; }
  .range { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; } .line { stroke: #3d444d; }
    .k0 { fill: #9198a1; } .k1 { fill: #4493f8; } .k2 { fill: #f0883e; } .k3 { fill: #ab7df8; }
    .range { stroke: #f0f6fc; }
  }
  text { font: 13px system-ui, sans-serif; } .title { font-size: 15px; font-weight: 600; } .small { font-size: 11px; }
"""


@dataclass
class Bar:
    label: str
    value: float
    # Colour, 0 to 3: the same subject has the same one everywhere.
    kind: int
    # Lowest and highest of the rounds, drawn as a line.
    low: float | None = None
    high: float | None = None
    # Not measured here: drawn hatched, and says so.
    published: bool = False


@dataclass
class Group:
    title: str
    bars: list


def number(value, form=".3g"):
    """Three digits are enough for a picture."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:{form}}"


def ticks(highest):
    """Round steps from 0 to at least `highest`, four to eight of them."""
    if highest <= 0:
        return [0, 1]
    step = 10 ** math.floor(math.log10(highest))
    for part in (0.1, 0.2, 0.25, 0.5, 1, 2):
        if highest / (step * part) <= 6:
            step *= part
            break
    count = math.ceil(highest / step - 1e-9)
    return [i * step for i in range(count + 1)]


def decades(lowest, highest):
    """Powers of ten around both."""
    first = math.floor(math.log10(lowest))
    last = max(first + 1, math.ceil(math.log10(highest)))
    return [10.0**i for i in range(first, last + 1)]


def bars(title, unit, groups, logarithmic=False):
    """Horizontal bars in groups on one scale; a whole SVG document."""
    every = [bar for group in groups for bar in group.bars]
    reach = [max(bar.value, bar.high or 0) for bar in every]
    if logarithmic:
        scale = decades(min(bar.value for bar in every), max(reach))
        span = math.log10(scale[-1] / scale[0])

        def x(value):
            return LABEL + max(0, math.log10(max(value, scale[0]) / scale[0])) / span * (WIDTH - LABEL - RIGHT)
    else:
        scale = ticks(max(reach))

        def x(value):
            return LABEL + value / scale[-1] * (WIDTH - LABEL - RIGHT)

    body, y = [], 62
    for group in groups:
        body.append(text(16, y + 14, group.title, "text"))
        y += 24
        for bar in group.bars:
            body += draw(bar, x, y)
            y += ROW
        y += 10
    grid = []
    for value in scale:
        grid.append(f'<line class="line" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="56" y2="{y - 4}"/>')
        grid.append(text(x(value), 50, number(value) if value else "0", "faint small", "middle"))
    head = [text(16, 24, title, "text title"), text(16, 50, unit, "faint small")]
    foot = []
    if any(bar.published for bar in every):
        foot.append(text(16, y + 14, "Hatched: published by its makers, not measured here.", "faint small"))
        y += 22
    return document(y + 12, title, head + grid + body + foot)


def draw(bar, x, y):
    width = max(1.0, x(bar.value) - LABEL)
    fill = f'fill="url(#h{bar.kind})"' if bar.published else f'class="k{bar.kind}"'
    yield text(LABEL - 8, y + 13, bar.label, "text", "end")
    yield f'<rect {fill} x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
    end = LABEL + width
    if bar.low is not None and bar.high is not None and bar.high > bar.low:
        middle = y + BAR / 2
        end = max(end, x(bar.high))
        yield (
            f'<line class="range" x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" '
            f'y1="{middle}" y2="{middle}"/>'
        )
    yield text(end + 6, y + 13, number(bar.value, "#.3g"), "text")


def text(x, y, content, classes, anchor="start"):
    return f'<text class="{classes}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(content)}</text>'


def document(height, title, parts):
    hatches = "".join(
        f'<pattern id="h{kind}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect class="k{kind}" width="3" height="6"/></pattern>'
        for kind in range(4)
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{html.escape(title, quote=True)}">',
        f"<style>{STYLE}</style>",
        f"<defs>{hatches}</defs>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
