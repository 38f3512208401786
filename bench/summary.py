"""Figures of a comparison as tables and charts. Knows neither how they were measured nor by what."""

import re
import statistics

import charts
import documents

NAMES = {"floor": "floor", "sfu": "sfu", "sfu-feedback": "sfu, with feedback", "sfu-unlimited": "the same, estimator off", "janus": "Janus"}
COLOURS = {"floor": 0, "sfu": 1, "sfu-feedback": 1, "sfu-unlimited": 1, "janus": 2}
BEGIN, END = "<!-- begin: bench/compare -->", "<!-- end: bench/compare -->"

# What LiveKit publishes of one room on 16 vCPU (c2-standard-16): packets and bytes that the server sent each second, and
# the share of the machine's CPU. What a packet costs follows from that.
LIVEKIT = "https://docs.livekit.io/transport/self-hosting/benchmark/"
PUBLISHED = [
    {"what": "audio, 10 publishers, 3000 subscribers", "packets": 959_156, "bytes": 23e6, "cpu": 0.80},
    {"what": "meeting, 150 people, 720p simulcast", "packets": 762_749, "bytes": 93e6, "cpu": 0.85},
    {"what": "live stream, 1 publisher, 3000 subscribers", "packets": 560_962, "bytes": 531e6, "cpu": 0.92},
]
PUBLISHED_CORES = 16


def figures(report):
    """Of one report of the load client: microseconds, per cent, KiB."""
    server, delivery, latency = report.get("server"), report["delivery"], report["latency"]
    made = {
        "packets": delivery["received"],
        "packets_per_second": delivery["packetsPerSecond"],
        "megabits_per_second": delivery["megabitsPerSecond"],
        "bytes_per_packet": delivery["bytesPerPacket"],
        "delivered_percent": delivery.get("deliveredPercent"),
        "lost_percent": delivery["lossPercent"],
        "undecryptable": delivery["undecryptable"],
        "join_ms_p95": report["joins"]["p95"],
        "client_percent": report["client"]["percent"],
        "client_us": report["client"]["perPacket"],
        "client_late_ms_p99": report["client"]["lateP99"],
        "softirq_percent": report["client"].get("machineSoftirqPercent"),
        "stolen_percent": report["client"].get("machineStolenPercent"),
        **{f"latency_us_{key}": latency[key] for key in ("p50", "p95", "p99", "maximum")},
    }
    if server:
        made |= {
            "cpu_us": server["processPerPacket"],
            "media_us": server["mediaThreadsPerPacket"],
            "media_user_us": server["mediaThreadsUserPerPacket"],
            "media_system_us": server["mediaThreadsSystemPerPacket"],
            "kib_per_session": server["residentBytesPerSession"] / 1024,
            "resident_mib": server["residentBytes"] / (1 << 20),
        }
    return made


def values(rounds, subject, key):
    return [value for one in rounds if (value := one.get(subject, {}).get(key)) is not None]


def median(rounds, subject, key):
    found = values(rounds, subject, key)
    return statistics.median(found) if found else None


def ratio(rounds, subject, other, key="cpu_us"):
    """The median of the rounds' own ratios: what disturbed one round disturbed both."""
    found = [
        one[subject][key] / one[other][key]
        for one in rounds
        if one.get(subject, {}).get(key) and one.get(other, {}).get(key)
    ]
    return statistics.median(found) if found else None


def subjects(rounds):
    """In the order of the first round, and floor and ours first."""
    return sorted(rounds[0], key=lambda name: list(NAMES).index(name) if name in NAMES else len(NAMES))


def cell(value, digits=2):
    return "" if value is None else f"{value:.{digits}f}"


def table(head, rows):
    """Without the columns that nobody has a figure in: older results lack some."""
    kept = [i for i in range(len(head)) if any(str(row[i]) for row in rows)]
    lines = [[head[i] for i in kept], *([str(row[i]) for i in kept] for row in rows)]
    made = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([made[0], "|" + "---|" * len(kept), *made[1:]])


def cpu_table(rounds):
    head = ["", "CPU µs per packet", "rounds", "user", "system", "softirq %", "without sends", "× floor", "× Janus", "packets/s per core", "Mbit/s per core"]
    rows = []
    for name in subjects(rounds):
        cpu, user, system = (median(rounds, name, key) for key in ("cpu_us", "media_user_us", "media_system_us"))
        if cpu is None:
            continue
        every = values(rounds, name, "cpu_us")
        rows.append(
            [
                NAMES.get(name, name),
                f"**{cell(cpu)}**",
                f"{min(every):.2f} to {max(every):.2f}",
                cell(user),
                cell(system),
                cell(median(rounds, name, "softirq_percent"), 1),
                cell(median(rounds, name, "cpu_us_unsent")),
                cell(ratio(rounds, name, "floor")) if name != "floor" else "",
                cell(ratio(rounds, name, "janus")) if name != "janus" else "",
                f"{1e6 / cpu:,.0f}".replace(",", " "),
                f"{median(rounds, name, 'bytes_per_packet') * 8 / cpu:,.0f}".replace(",", " "),
            ]
        )
    return table(head, rows)


def delivery_table(rounds):
    head = ["", "Mbit/s", "bytes per packet", "lost %", "delivered %", "p50 ms", "p95", "p99", "max", "stolen %", "KiB per subscriber"]
    rows = []
    for name in subjects(rounds):

        def of(key, name=name):
            return median(rounds, name, key)

        latency = [of(f"latency_us_{key}") for key in ("p50", "p95", "p99")]
        worst = max(values(rounds, name, "latency_us_maximum"), default=None)
        rows.append(
            [
                NAMES.get(name, name),
                cell(of("megabits_per_second"), 1),
                cell(of("bytes_per_packet"), 0),
                cell(of("lost_percent"), 3),
                cell(of("delivered_percent")),
                *(cell(None if value is None else value / 1000) for value in [*latency, worst]),
                cell(of("stolen_percent"), 1),
                cell(of("kib_per_session"), 0),
            ]
        )
    return table(head, rows)


def unsent_ratio(rounds):
    found = ratio(rounds, "sfu", "floor", "cpu_us_unsent")
    return "" if found is None else f"\n\nWithout sends, ours takes {found:.2f} × the floor."


def estimator_ratio(rounds):
    found = ratio(rounds, "sfu-feedback", "sfu-unlimited")
    return "" if found is None else f"\n\nWith the bandwidth estimator, ours takes {found:.2f} × what it takes without."


def text(results):
    """Markdown: what it was measured on, and two tables for each scenario."""
    machine = results["machine"]
    kind = "virtual machine" if machine["virtual"] else "machine"
    parts = [
        f"Measured {results['date']} on a {kind} with {machine['cores']} × {machine['processor']}, "
        f"Linux {machine['kernel']}, {machine['system']}, OpenSSL {machine['openssl']}"
        + (f", Janus {results['janus']}" if results.get("janus") else "")
        + f"; commit `{results['commit'][:12]}`{' with changes' if results['changed'] else ''}, `{results['command']}`."
    ]
    for scenario in results["scenarios"].values():
        rounds = scenario["rounds"]
        client = statistics.median(value for name in rounds[0] for value in values(rounds, name, "client_percent"))
        parts += [
            f"### {scenario['title']}",
            f"`{scenario['load']}`, {scenario['subscribers']} subscribers, {len(rounds)} round{'s' if len(rounds) > 1 else ''} of "
            f"{results['seconds']} s; "
            f"the load client took {client:.0f} % of a core.",
            cpu_table(rounds) + unsent_ratio(rounds) + estimator_ratio(rounds),
            delivery_table(rounds),
        ]
    return "\n\n".join([*parts, published_text()])


def published_cpu(row):
    return row["cpu"] * PUBLISHED_CORES / row["packets"] * 1e6


def published_text():
    rows = [
        [
            row["what"],
            cell(published_cpu(row), 1),
            f"{1e6 / published_cpu(row):,.0f}".replace(",", " "),
            cell(row["bytes"] / row["packets"], 0),
        ]
        for row in PUBLISHED
    ]
    head = ["LiveKit, published, not measured", "CPU µs per packet", "packets/s per busy vCPU", "bytes per packet"]
    return f"### LiveKit's own figures\n\nDerived from [its benchmark page]({LIVEKIT}).\n\n" + table(head, rows)


# ---- charts


def cpu_chart(results):
    groups = []
    for scenario in results["scenarios"].values():
        bars = []
        for name in subjects(scenario["rounds"]):
            every = values(scenario["rounds"], name, "cpu_us")
            if every:
                colour = COLOURS.get(name, 3)
                bars.append(charts.Bar(NAMES.get(name, name), statistics.median(every), colour, min(every), max(every)))
        groups.append(charts.Group(scenario["title"], bars))
    published = [charts.Bar(row["what"].partition(",")[0], published_cpu(row), 3, published=True) for row in PUBLISHED]
    groups.append(charts.Group("LiveKit (other machine, other packets)", published))
    return charts.bars("CPU per forwarded packet", "µs", groups)


def latency_chart(results):
    groups = []
    for scenario in results["scenarios"].values():
        rounds = scenario["rounds"]
        bars = []
        for name in subjects(rounds):
            for key in ("p50", "p99"):
                value = median(rounds, name, f"latency_us_{key}")
                if value:
                    bars.append(charts.Bar(f"{NAMES.get(name, name)}, {key}", value / 1000, COLOURS.get(name, 3)))
        groups.append(charts.Group(scenario["title"], bars))
    return charts.bars("Latency from the publisher's send to the subscriber's kernel", "ms", groups, logarithmic=True)


# ---- files


def slug(machine):
    """"2-amd-epyc-9r14" of the processor's name."""
    words = re.sub(r"\((r|tm)\)|\bcpu\b|@.*|\d+-core.*|processor", " ", machine["processor"].lower())
    return "-".join([str(machine["cores"]), *re.findall(r"[a-z0-9]+", words)])[:48].strip("-")


def write(results, name, root):
    """The part of docs/benchmarks.md that is written by programs, and its charts. `name`: the file of results."""
    folder = root / "docs"
    source = f"All figures of every round: [bench/results/{name}](../bench/results/{name})."
    documents.write(folder / "benchmarks.md", BEGIN, END, f"{text(results)}\n\n{source}")
    (folder / "benchmark-cpu.svg").write_text(cpu_chart(results), encoding="utf-8")
    (folder / "benchmark-latency.svg").write_text(latency_chart(results), encoding="utf-8")
