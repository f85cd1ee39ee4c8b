# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From raw samples to tables: medians, ratios, geometric means, and whether the goals hold.

A cell is the median over the repetitions divided by libc's median for the same workload (by the
first allocator's when libc was left out). The last column is ours divided by the workload's best
peer. Geometric means cover the workloads that every shown allocator finished.
"""
import math
import statistics

from .allocators import BASE, NAMES, OURS

METRICS = [("seconds", "Wall time"), ("peak_kib", "Peak resident memory")]

TIME_GOAL = 0.97  # geometric mean of ours / lowest of the peers'
WORKLOAD_GOAL = 1.10  # ours / the workload's best peer
MEMORY_GOAL = 1.00  # geometric mean of ours / lowest of the preloaded peers'


def median(samples, metric):
    """The median over the good samples; None when a run failed or none was made."""
    if not samples or any(sample["error"] for sample in samples):
        return None
    return statistics.median(sample[metric] for sample in samples)


def medians(results, metric):
    """{workload: {allocator: median or None}}"""
    return {
        workload: {name: median(samples, metric) for name, samples in row.items()}
        for workload, row in results.items()
    }


def ratio(value, base):
    """None where either is missing."""
    return value / base if value is not None and base else None


def ratios(table, base):
    """Each cell over its row's base."""
    return {
        workload: {name: ratio(value, row.get(base)) for name, value in row.items()}
        for workload, row in table.items()
    }


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def geometric_means(table, names):
    """{allocator: mean over the rows where all of them have a value}"""
    rows = [row for row in table.values() if all(row.get(name) for name in names)]
    return {name: geometric_mean([row[name] for row in rows]) for name in names}


def best_peer(row):
    """The lowest value of a row among the peers, with its name; (None, None) when there is none."""
    values = [
        (value, name)
        for name, value in row.items()
        if name in NAMES and name != OURS and value is not None
    ]
    return min(values) if values else (None, None)


def text_table(header, rows):
    """A Markdown table with aligned columns: the first to the left, the others to the right."""
    width = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]

    def line(cells):
        padded = [cells[0].ljust(width[0])] + [c.rjust(w) for c, w in zip(cells[1:], width[1:])]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (width[0] + 2)] + ["-" * (w + 1) + ":" for w in width[1:]]
    return "\n".join([line(header), "|" + "|".join(rule) + "|"] + [line(row) for row in rows])


def shown(value):
    return "FAIL" if value is None else "%.2f" % value


def base_text(value, metric):
    if value is None:
        return "FAIL"
    return "%.2f s" % value if metric == "seconds" else "%.1f MiB" % (value / 1024)


def peer_cells(row, metric):
    """Ours over the best peer (of memory: the best preloaded one), and that peer's name."""
    left_out = BASE if metric == "peak_kib" else None
    best, peer = best_peer({name: value for name, value in row.items() if name != left_out})
    return [shown(ratio(row[OURS], best)), peer or "-"]


def metric_table(results, names, metric):
    base = BASE if BASE in names else names[0]
    table = medians(results, metric)
    relative = ratios(table, base)
    relative["geometric mean"] = geometric_means(relative, names)
    with_ours = OURS in names
    rows = []
    for workload, row in relative.items():
        first = base_text(table[workload][base], metric) if workload in table else ""
        cells = [workload, first] + [shown(row[name]) for name in names]
        rows.append(cells + (peer_cells(row, metric) if with_ours else []))
    header = ["workload", base] + names + (["umf/best peer", "best peer"] if with_ours else [])
    return text_table(header, rows)


def verdict(holds):
    return "holds" if holds else "does NOT hold"


def mean_goal(what, means, limit):
    """A line that compares ours with the lowest of the peers' geometric means."""
    best, peer = best_peer(means)
    ours = ratio(means[OURS], best)
    if ours is None:
        return "%s: no workload that all allocators finished" % what
    return "%s: %.3f (%s) %s" % (what, ours, peer, verdict(ours <= limit))


def worst_goal(table):
    """A line that names the workloads in which ours is too far behind the best peer."""
    worse = []
    for workload, row in table.items():
        best, peer = best_peer(row)
        if row[OURS] is None:
            worse.append(workload + " failed")
        elif best and row[OURS] / best > WORKLOAD_GOAL:
            worse.append("%s %.2f (%s)" % (workload, row[OURS] / best, peer))
    what = "time, no workload worse than %.2f x its best peer" % WORKLOAD_GOAL
    return "%s: %s %s" % (what, ", ".join(worse) or "none is", verdict(not worse))


def goals(results, names):
    """Lines that compare ours with the goals; information only."""
    if OURS not in names or len(names) < 2:
        return []
    names = [name for name in names if name in NAMES]  # a library given with --also counts nothing
    base = BASE if BASE in names else names[0]
    time = ratios(medians(results, "seconds"), base)
    memory = geometric_means(ratios(medians(results, "peak_kib"), base), names)
    preloaded = {name: mean for name, mean in memory.items() if name != BASE}
    what = "time, geometric mean <= %.2f x best peer's" % TIME_GOAL
    return [
        mean_goal(what, geometric_means(time, names), TIME_GOAL),
        worst_goal(time),
        mean_goal("memory, geometric mean <= lowest preloaded peer's", preloaded, MEMORY_GOAL),
    ]


def failures(results):
    return [
        "%s under %s: %s" % (workload, name, sample["error"])
        for workload, row in results.items()
        for name, samples in row.items()
        for sample in samples
        if sample["error"]
    ]


def machine_line(data):
    machine = data["machine"]
    return "%s, %d processors, %s, kernel %s, %s; %d repetitions%s; %s%s" % (
        machine["cpu"],
        machine["cpus"],
        machine["system"],
        machine["kernel"],
        machine["libc"],
        data["repetitions"],
        "" if data["scale"] == 1 else " at scale %g" % data["scale"],
        machine["time"],
        "; UMF_PROXY=" + machine["umf_proxy"] if machine["umf_proxy"] else "",
    )


def full_report(data):
    """The whole text for one stored run."""
    names, results = data["allocators"], data["results"]
    base = BASE if BASE in names else names[0]
    parts = [machine_line(data)]
    for metric, title in METRICS:
        parts.append(
            "%s, medians as ratio to %s (less is better)\n\n%s"
            % (title, base, metric_table(results, names, metric))
        )
    lines = goals(results, names)
    if lines:
        parts.append("Goals\n\n" + "\n".join("- " + line for line in lines))
    failed = failures(results)
    if failed:
        parts.append("Failed runs\n\n" + "\n".join("- " + line for line in sorted(set(failed))))
    for skipped in data.get("left_out", []):
        parts.append(skipped)
    return "\n\n".join(parts)
