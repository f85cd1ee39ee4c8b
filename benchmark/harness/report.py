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

TIME_GOAL = 0.97       # geometric mean of ours / lowest of the peers'
WORKLOAD_GOAL = 1.10   # ours / the workload's best peer
MEMORY_GOAL = 1.00     # geometric mean of ours / lowest of the preloaded peers'


def median(samples, metric):
    """The median over the good samples; None when a run failed or none was made."""
    if not samples or any(sample["error"] for sample in samples):
        return None
    return statistics.median(sample[metric] for sample in samples)


def medians(results, metric):
    """{workload: {allocator: median or None}}"""
    return {w: {a: median(samples, metric) for a, samples in row.items()} for w, row in results.items()}


def ratios(table, base):
    """Each cell over its row's base; None where either is missing."""
    return {w: {a: value / row[base] if value is not None and row.get(base) else None for a, value in row.items()}
            for w, row in table.items()}


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def geometric_means(table, names):
    """{allocator: mean over the rows where all of them have a value}"""
    rows = [row for row in table.values() if all(row.get(name) for name in names)]
    return {name: geometric_mean([row[name] for row in rows]) for name in names}


def best_peer(row):
    """The lowest value of a row among the peers, with its name; (None, None) when there is none."""
    values = [(value, name) for name, value in row.items()
              if name in NAMES and name != OURS and value is not None]
    return min(values) if values else (None, None)


def text_table(header, rows):
    """A Markdown table with aligned columns: the first to the left, the others to the right."""
    width = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]

    def line(cells):
        return "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, width))) + " |"
    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|"
    return "\n".join([line(header), rule] + [line(row) for row in rows])


def shown(value):
    return "FAIL" if value is None else "%.2f" % value


def base_text(value, metric):
    if value is None:
        return "FAIL"
    return "%.2f s" % value if metric == "seconds" else "%.1f MiB" % (value / 1024)


def metric_table(results, names, metric):
    base = BASE if BASE in names else names[0]
    table = medians(results, metric)
    relative = ratios(table, base)
    means = geometric_means(relative, names)
    header = ["workload", base] + names + (["umf/best peer", "best peer"] if OURS in names else [])
    rows = []
    for workload, row in relative.items():
        cells = [workload, base_text(table[workload][base], metric)] + [shown(row[name]) for name in
        names] if OURS in names: best, peer = best_peer(row) cells += [shown(row[OURS] / best if
        best and row[OURS] else None), peer or "-"] rows.append(cells)
    cells = ["geometric mean", ""] + [shown(means[name]) for name in names]
    if OURS in names:
        best, peer = best_peer(means)
        cells += [shown(means[OURS] / best if best and means[OURS] else None), peer or "-"]
    return text_table(header, rows + [cells])


def verdict(holds):
    return "holds" if holds else "does NOT hold"


def goals(results, names):
    """Lines that compare ours with the goals; information only."""
    if OURS not in names or len(names) < 2:
        return []
    base = BASE if BASE in names else names[0]
    lines = []
    time = ratios(medians(results, "seconds"), base)
    means = geometric_means(time, names)
    best, peer = best_peer(means)
    if best and means[OURS]:
        ratio = means[OURS] / best
        lines.append("time, geometric mean <= %.2f x best peer's: %.3f (%s) %s"
                     % (TIME_GOAL, ratio, peer, verdict(ratio <= TIME_GOAL)))
    worse = []
    for workload, row in time.items():
        best, peer = best_peer(row)
        if row[OURS] is None or (best and row[OURS] / best > WORKLOAD_GOAL):
            worse.append("%s %s" % (workload, "failed" if row[OURS] is None else "%.2f (%s)" % (row[OURS] / best, peer)))
    lines.append("time, no workload worse than %.2f x its best peer: %s %s"
                 % (WORKLOAD_GOAL, ", ".join(worse) or "none is", verdict(not worse)))
    means = geometric_means(ratios(medians(results, "peak_kib"), base), names)
    best, peer = best_peer({name: mean for name, mean in means.items() if name != BASE})
    if best and means[OURS]:
        lines.append("memory, geometric mean <= the lowest preloaded peer's: %.3f (%s) %s"
                     % (means[OURS] / best, peer, verdict(means[OURS] / best <= MEMORY_GOAL)))
    return lines


def failures(results):
    return ["%s under %s: %s" % (workload, name, sample["error"]) for workload, row in results.items()
            for name, samples in row.items() for sample in samples if sample["error"]]


def machine_line(data):
    machine = data["machine"]
    return "%s, %d processors, %s, kernel %s, %s; %d repetitions%s; %s%s" % (
        machine["cpu"], machine["cpus"], machine["system"], machine["kernel"], machine["libc"],
        data["repetitions"], "" if data["scale"] == 1 else " at scale %g" % data["scale"],
        machine["time"], "; UMF_PROXY=" + machine["umf_proxy"] if machine["umf_proxy"] else "")


def full_report(data):
    """The whole text for one stored run."""
    names, results = data["allocators"], data["results"]
    base = BASE if BASE in names else names[0]
    parts = [machine_line(data)]
    for metric, title in METRICS:
        parts.append("%s, medians as ratio to %s (less is better)\n\n%s"
                     % (title, base, metric_table(results, names, metric)))
    lines = goals(results, names)
    if lines:
        parts.append("Goals\n\n" + "\n".join("- " + line for line in lines))
    failed = failures(results)
    if failed:
        parts.append("Failed runs\n\n" + "\n".join("- " + line for line in sorted(set(failed))))
    for skipped in data.get("left_out", []):
        parts.append(skipped)
    return "\n\n".join(parts)
