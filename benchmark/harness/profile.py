# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a heap profile costs: each allocator with its own sampling profiler, against itself without.

All profilers sample every 512 KiB on average and write nothing. Runs alternate, with and without, so
that the machine's changes of speed meet both; the figure is the median of the ratios of neighbouring
runs' processor time.
"""
import dataclasses
import statistics

from . import allocators, session, workloads

INTERVAL = 512 * 1024
ROWS = ("server_churn", "random_lifetimes", "producer_consumer", "python3", "sqlite3")
LIMIT_PERCENT = 3.0


@dataclasses.dataclass(frozen=True)
class Profiler:
    """An allocator and the setting that makes it sample."""

    name: str
    library: str
    environment: dict


def find(build):
    """The profilers that are here, and a line for each that is not."""
    found, missing = [], []
    own = allocators.our_library(build)
    for name, library, package, environment in (
        ("umf", own, "this project", {"UMF_PROXY": "prof.sample=512k;prof.exit=no"}),
        ("jemalloc", allocators.library_path("libjemalloc.so.2"), "libjemalloc2",
         {"MALLOC_CONF": "prof:true,lg_prof_sample:19,prof_final:false"}),
        ("tcmalloc", allocators.library_path("libtcmalloc.so.4"), "libgoogle-perftools4",
         {"TCMALLOC_SAMPLE_PARAMETER": str(INTERVAL)}),
    ):
        if library is None:
            missing.append("%s left out: its library (%s) is not here" % (name, package))
        else:
            found.append(Profiler(name, library, environment))
    return found, missing


def processor_time(sample):
    return sample.user + sample.system


def measure_all(context, build, repetitions, say):
    """{workload: {profiler: (median percent, lowest-to-lowest percent)}}"""
    found, missing = find(build)
    for line in missing:
        say(line)
    rows = [w for w in workloads.ALL if w.name in ROWS]
    rows = [w for w in rows if w.prepare(context) is None]
    samples = {(w.name, p.name): [] for w in rows for p in found}
    progress = session.Progress(len(rows) * len(found) * repetitions)
    for repetition in range(repetitions):
        for number, workload in enumerate(rows):
            for profiler in session.rotated(found, repetition + number):
                progress.step("%s under %s" % (workload.name, profiler.name))
                pair = []
                for on in (False, True) if repetition % 2 else (True, False):
                    context.environment = dict(profiler.environment) if on else {}
                    sample = workload.run(context, profiler.library)
                    pair.append((on, sample))
                if all(sample.error is None for _, sample in pair):
                    times = {on: processor_time(sample) for on, sample in pair}
                    samples[workload.name, profiler.name].append((times[False], times[True]))
    progress.end()
    context.environment = {}
    figures = {w.name: {} for w in rows}
    for (workload, profiler), pairs in samples.items():
        if pairs:
            median = statistics.median(on / off for off, on in pairs)
            lowest = min(on for _, on in pairs) / min(off for off, _ in pairs)
            figures[workload][profiler] = (100 * (median - 1), 100 * (lowest - 1))
    return figures


def table(figures):
    names = ["umf", "jemalloc", "tcmalloc"]
    lines = ["| sampling every 512 KiB: processor time | %s |" % " | ".join(names),
             "|---|%s" % ("--:|" * len(names))]
    for workload, row in figures.items():
        cells = ["%+.1f %% (%+.1f)" % row[name] if name in row else "-" for name in names]
        lines.append("| %s | %s |" % (workload, " | ".join(cells)))
    lines.append("\nMedian of neighbouring runs; in brackets the fastest run against the fastest.")
    return "\n".join(lines)


def over_limit(figures):
    """Where ours costs more by both measures."""
    return ["%s: %.1f %%, limit %.1f %%" % (workload, min(row["umf"]), LIMIT_PERCENT)
            for workload, row in figures.items() if "umf" in row and min(row["umf"]) > LIMIT_PERCENT]
