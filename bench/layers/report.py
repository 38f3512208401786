"""Runs as tables. Knows no browser and no server."""

import statistics

BEGIN, END = "<!-- layers: written by bench/layers --write-docs -->", "<!-- /layers -->"


def percentile(values, share):
    """The smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def times(samples):
    """Median, p95 and maximum in ms; what did not come at all is counted, not left out."""
    came = [one for one in samples if one is not None]
    missed = len(samples) - len(came)
    if not samples:
        return "—"
    if not came:
        return f"none of {missed} came"
    text = f"{statistics.median(came):.0f} / {percentile(came, 95):.0f} / {max(came):.0f}"
    return text + (f" ({missed} of {len(samples)} did not come)" if missed else "")


def seconds(samples):
    came = [one / 1000 for one in samples if one is not None]
    if not samples:
        return "—"
    if not came:
        return "never"
    missed = len(samples) - len(came)
    return f"{statistics.median(came):.1f} s" + (f" (not {missed} of {len(samples)} times)" if missed else "")


def freezes(count):
    return f"{count['freezeCount']}" + (f" ({count['totalFreezesDuration']:.1f} s)" if count["freezeCount"] else "")


def pauses(run):
    """Of the longer ones, how many the sender's own clock has: it made no picture meanwhile, or it was left out."""
    if "gaps" not in run:
        return "—"
    own = sum(1 for one in run["gaps"] if one["sent"] > 0.7 * one["shown"])
    return f"{len(run['gaps'])}" + (f", {own}" if run["gaps"] else "")


def summary(run):
    if "failed" in run:
        return run["failed"]
    samples = run["samples"]
    told = {"larger": times, "smaller": times, "shown": times, "off": seconds}
    return ", ".join(f"{name} {show(samples[name])}" for name, show in told.items() if samples.get(name))


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def name(run):
    width, height, fps = run["size"]
    return f"{run['title']}, {width} × {height} at {fps}"


def dynacast(run):
    return "on" if run["dynacast"] else "off"


def tables(outcome):
    about = outcome["about"]
    fine = [run for run in outcome["runs"] if "failed" not in run]
    spent = table(
        ["sender", "dynacast", "larger tile, ms", "smaller tile, ms", "shown again, ms", "last packet when hidden, ms",
         "switched off after"],
        [[name(run), dynacast(run),
          *(times(run["samples"][one]) for one in ("larger", "smaller", "shown", "stopped")),
          seconds(run["samples"]["off"])] for run in fine])
    rows = []
    for run in fine:
        count, calm = run.get("switching") or run["hiding"], run["calm"]
        changes = len(run["samples"]["larger"]) + len(run["samples"]["smaller"]) or len(run["samples"]["shown"])
        rows.append([
            name(run), dynacast(run), f"{changes} in {count['seconds']:.0f} s",
            freezes(count) if "switching" in run else "—", pauses(run),
            f"{freezes(calm)} in {calm['seconds']:.0f} s", f"{calm['fps']:.0f}",
            f"{count['keyFramesDecoded'] / changes:.1f}" if changes else "—",
            *(f"{count[one]:.0f}" for one in ("framesDropped", "pliCount", "nackCount", "packetsLost"))])
    counts = table(
        ["sender", "dynacast", "changes", "freezes", "pauses", "freezes when calm", "frames/s", "key frames per change",
         "dropped frames", "PLI", "NACK", "lost packets"], rows)
    browsers = ", ".join(f"{key.capitalize()} {value}" if key == "chromium" else value
                         for key, value in about.items() if key in ("chromium", "firefox") and value)
    where = f"{browsers}; {about['processor']}, which senders, server ({about['build']} build) and viewers share."
    told = [one for run in fine for one in run["samples"]["told"] if one is not None]
    if told:
        where += f" The SDK told the server of a change after {times(told)} ms."
    failed = [f"- {name(run)}, dynacast {dynacast(run)}: {run['failed']}" for run in outcome["runs"] if "failed" in run]
    parts = ["Times are median / p95 / maximum.", spent, "What the receivers counted meanwhile:", counts, where]
    if failed:
        parts.append("Not measured:\n\n" + "\n".join(failed))
    return "\n\n".join(parts)
