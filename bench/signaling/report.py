"""Figures as tables. Knows no server."""


BEGIN, END = "<!-- signaling: written by bench/signaling --write-docs -->", "<!-- /signaling -->"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def milliseconds(found):
    return f"{found['p50']:.1f} / {found['p99']:.1f} / {found['max']:.1f}"


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def outcomes(found):
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items()))


def resume(part):
    rows = []
    for one in part["rows"]:
        over = one["afterOpen"]["p99"] - one["ping"]["p50"]
        rows.append([f"{one['rtt']} ms", milliseconds(one["ping"]), milliseconds(one["afterOpen"]), f"{over:+.1f} ms",
                     milliseconds(one["whole"]), outcomes(one["outcomes"])])
    sessions = part["rows"][0]["sessions"]
    return ("### Resume", f"One client loses its socket and misses an event; {sessions} others are on the server. Goal: 1 RTT + 5 ms.",
            table(["round trip", "`ping` over the same way, ms", "open → live, ms", "p99 over that ping's median", "connect → live, ms",
                   "outcomes"], rows))


def idle(part):
    rows = [[("TLS" if one["tls"] else "plain"), f"{one['sockets']}", f"{one['residentPerSocket'] / 1024:.1f} KiB",
             f"{one['cpuMicrosecondsPerSecond']:.1f} µs/s",
             f"{one['bytesPerMinute']['received']:.0f} / {one['bytesPerMinute']['sent']:.0f}",
             f"{one['kernel'] / 1024:.1f} KiB", f"{one['joinSeconds']:.1f} s, {one['joinCPU']:.1f} s of CPU"]
            for one in part["rows"]]
    per_room = part["rows"][0]["perRoom"]
    return ("### Idle sockets", f"Participants without media in rooms of {per_room}. Goals: 10 KiB without TLS, 30 KiB with TLS, 2.5 µs/s.",
            table(["", "sockets", "resident memory each", "CPU each", "bytes per minute, to and from the client",
                   "in the kernel, one end", "joining"], rows))


def mass(part):
    rows = []
    for one in part["rows"]:
        what = "first join" if one["what"] == "join" else f"cut, back within {one['spread'] * 1000:.0f} ms"
        after = milliseconds(one["afterOpen"]) if "afterOpen" in one else "—"
        rows.append([what, f"{one['seconds']:.2f} s", after, outcomes(one.get("outcomes", {})) or "—", megabytes(one["received"]),
                     megabytes(one["sent"]), f"{one['cpu']:.2f} s"])
    return ("### Everybody at once", f"One room of {part['clients']}; all sockets go in the same moment. Goals: all live after 5 s, "
            "less than one core, at most 30 MB.",
            table(["", "until all are live", "open → live, ms", "outcomes", "to the clients", "from them", "server's CPU"], rows))


def kill(part):
    rows = [["with" if one["media"] else "without", f"{one['restart']:.2f} s", f"{one['seconds']:.2f} s", milliseconds(one["afterOpen"]),
             outcomes(one["outcomes"]), megabytes(one["received"]), f"{one['cpu']:.2f} s"] for one in part["rows"]]
    return ("### kill -9 of the gateway", "`sfu media` goes on, `sfu gateway` is started again at once. One room of "
            f"{part['rows'][0]['clients']}. Goal: all live 3 s after the gateway serves again, plus the clients' own jitter.",
            table(["media sessions", "until it serves again", "until all are live", "open → live, ms", "outcomes", "to the clients",
                   "gateway's CPU"], rows))


def fanout(part):
    rows = [[f"{one['rate']}/s × {one['receivers']}", f"{one['deliveries']} of {one['expected']}", f"{one['bytes']:.0f}",
             f"{one['perCore'] / 1000:.0f} 000/s", f"{one['user']:.1f} + {one['system']:.1f} µs", f"{100 * one['load']:.0f} %",
             milliseconds(one["latency"]), f"{one['closed']}"] for one in part["rows"]]
    return ("### Fan-out", "Reliable messages to everybody in one room, one write per receiver and event. Goal: p99 at most 20 ms.",
            table(["events × receivers", "deliveries", "bytes each", "deliveries per second of one core", "CPU each, user + kernel",
                   "load of the server", "request → event, ms", "closed"], rows))


def tables(outcome):
    about, parts = outcome["about"], outcome["parts"]
    told = [f"`{about['command']}` on {about['date']}, {about['build']} build of {about['commit']}"
            + (" with changes" if about["changed"] else "")
            + f"; {about['machine']}, which server and clients share; load before it {about['load']:.1f}. "
            "Times are median / p99 / maximum."]
    for make in (resume, idle, mass, kill, fanout):
        if make.__name__ in parts:
            told += make(parts[make.__name__])
    return "\n\n".join(told)
