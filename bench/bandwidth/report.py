"""Runs as tables and charts. Knows no process."""

import statistics

import timelines
from scenarios import SCENARIOS

BEGIN, END = "<!-- begin: bench/bandwidth -->", "<!-- end: bench/bandwidth -->"
# Mbit/s; what is above is cut off in charts of links that carry less.
MOST = 4
TITLES = {"sfu": "this server", "chromium": "this server, Chromium", "janus": "Janus"}


def number(row, value):
    if value is None:
        return "never" if row.unit == "s" else "none"
    return f"{value:.{row.digits}f}"


def middle(values):
    """None is worse than any number, for rows in which it means that something did not happen."""
    known = sorted(value for value in values if value is not None)
    half = len(values) // 2
    if len(known) <= half:
        return None
    return statistics.median(known) if len(known) == len(values) else known[half]


def cell(row, values):
    """Median, and from least to most where they differ; what did not happen is the most."""
    if not values:
        return ""
    ordered = sorted(values, key=lambda value: (value is None, value))
    text, least, most = (number(row, value) for value in (middle(values), ordered[0], ordered[-1]))
    return text if least == most else f"{text} ({least}–{most})"


def bound(row):
    return "" if row.goal is None else f"{'≤' if row.at_most else '≥'} {row.goal:g}"


def often(count):
    return "one round" if count == 1 else f"median of {count} rounds"


def table(name, subjects):
    """`subjects`: by name, a list of rounds, each a list of values."""
    scenario = SCENARIOS[name]
    counts = {len(rounds) for rounds in subjects.values()}
    alike = often(counts.pop()) if len(counts) == 1 else ""
    titles = [TITLES.get(one, one) + ("" if alike else f", {often(len(rounds))}") for one, rounds in subjects.items()]
    head = [alike, *titles, "goal"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for index, row in enumerate(scenario.rows):
        if row.of_page and "chromium" not in subjects:
            continue
        title = f"{row.name}, {row.unit}" if row.unit else row.name
        cells = ["–" if row.of_page and one != "chromium" else cell(row, [values[index] for values in rounds])
                 for one, rounds in subjects.items()]
        lines.append("| " + " | ".join([title, *cells, bound(row)]) + " |")
    return "\n".join(lines)


def about(results):
    said = results["about"]
    janus = f"; Janus {said['janus']}, as the distribution has it" if said.get("janus") else ""
    chromium = f"; Chromium {said['chromium']}" if said.get("chromium") else ""
    layers = said.get("layers", {})
    rates = " / ".join(f"{layers[rid]['bits'] / 1000:.0f}" for rid in ("q", "h", "f") if rid in layers)
    pictures = f"{layers['f']['fps']:.0f}" if "f" in layers else "?"
    build = f", {said['build']} build" if said.get("build") else ""
    most = max((len(rounds) for found in results["scenarios"].values() for rounds in found.values()), default=1)
    brackets = " In brackets: the least and the most of several rounds." if most > 1 else ""
    return (
        f"Measured {said['date']} on {said['machine']}, commit `{said['commit'][:12]}`{build}{janus}{chromium}; "
        f"`{said['command']}`.{brackets} The publisher sent {rates} kbit/s at {pictures} pictures per second. The machine's load was "
        f"{said['load']:.0f} as the measurement began.")


def document(results, folder="bandwidth"):
    parts = [about(results)]
    for name, found in results["scenarios"].items():
        subjects = {one: found[one] for one in sorted(found, key=list(TITLES).index)}
        pictures = "\n".join(
            f"![{TITLES.get(subject, subject)}: {SCENARIOS[name].title}]({folder}/{file_of(name, subject)})" for subject in subjects)
        parts.append(f"### {capital(SCENARIOS[name].title)}\n\n{table(name, subjects)}\n\n{pictures}")
    return "\n\n".join(parts)


def capital(text):
    return text[0].upper() + text[1:]


def file_of(name, subject):
    return f"real-{name}-{subject}.svg"


def chart(name, subject, rows):
    """`rows` as figures.timeline makes them."""
    title = f"{TITLES.get(subject, subject)}: {SCENARIOS[name].title}"
    rows = [row for row in rows if row[0] <= SCENARIOS[name].seconds]

    def series(index, scale=1):
        return [(row[0], None if row[index] is None else row[index] / scale) for row in rows]

    rates = [timelines.Series("sent", series(2, 1e6), 2), timelines.Series("delivered", series(3, 1e6), 1)]
    if any(row[6] for row in rows):
        rates.append(timelines.Series("TCP delivered", series(6, 1e6), 3))
    rates.append(timelines.Series("link", series(1, 1e6), 0, is_step=True))
    # A peak of ten times the link would leave nothing to be seen of the rest.
    most = max(1.2 * max(row[1] for row in rows) / 1e6, MOST)
    return timelines.chart(title, [
        timelines.Panel("Mbit/s", rates, 150, most=most),
        timelines.Panel("queue, ms", [timelines.Series("", series(4), 1)], 70),
        timelines.Panel("lines shown", [timelines.Series("", series(5), 1, is_step=True)], 80, marks=[180, 360, 720]),
    ])
