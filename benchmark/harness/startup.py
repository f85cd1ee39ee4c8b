# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a preloaded allocator costs a program that does nothing: time, system calls, page faults,
resident memory.

`true` runs in batches; every round runs one batch without preload and one per allocator, in
rotating order. The time figure is the median over the rounds of the batch's ratio to the same
round's batch without preload.
"""
import os
import shutil
import statistics
import subprocess
import tempfile

from . import measure, report
from .errors import BenchError
from .session import rotated

RUNS, BATCH = 500, 25
RATIO_GOAL, SYSCALL_GOAL = 1.15, 25


def true_program():
    path = shutil.which("true")
    if path is None:
        raise BenchError("there is no program 'true' in PATH")
    return path


def syscalls(library):
    """The number of system calls that `true` makes, or None without strace."""
    if shutil.which("strace") is None:
        return None
    with tempfile.NamedTemporaryFile(prefix="umf-bench-strace-") as out:
        command = ["strace", "-f", "-o", out.name]
        if library:
            command += ["-E", "LD_PRELOAD=" + library]
        done = subprocess.run(
            command + [true_program()],
            env=measure.clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BenchError("strace failed: " + measure.last_line(done.stderr))
        with open(out.name, encoding="utf-8", errors="replace") as lines:
            return sum("(" in line and "resumed>" not in line for line in lines)


def batch(meter, library):
    sample = measure.run(meter, [true_program()], library, BATCH)
    if sample.error:
        raise BenchError("true with %s: %s" % (library, sample.error))
    return sample


def measure_all(programs, allocators):
    """{allocator: {ratio, ms, syscalls, faults, peak_kib}}; the one without a library is the base,
    added if missing."""
    meter = os.path.join(programs, "meter")
    contestants = [None] + [a.library for a in allocators if a.library]
    names = ["no preload"] + [a.name for a in allocators if a.library]
    samples = [[] for _ in contestants]
    for library in contestants:
        batch(meter, library)  # warms the page cache
    for turn in range(RUNS // BATCH):
        for i in rotated(list(range(len(contestants))), turn):
            samples[i].append(batch(meter, contestants[i]))
    return {
        name: summary(library, mine, samples[0])
        for name, library, mine in zip(names, contestants, samples)
    }


def summary(library, samples, base):
    """The figures of one allocator; `base` are the samples without preload, round by round."""
    ratios = [sample.seconds / without.seconds for sample, without in zip(samples, base)]
    return {
        "ratio": statistics.median(ratios),
        "ms": statistics.median(s.seconds for s in samples) / BATCH * 1000,
        "syscalls": syscalls(library),
        "faults": statistics.median(s.minor_faults for s in samples) / BATCH,
        "peak_kib": statistics.median(s.peak_kib for s in samples),
    }


HEADER = ["true x %d" % RUNS, "time ratio", "ms", "extra syscalls", "extra page faults", "peak KiB"]
GOAL = "goal for umf: time ratio <= %.2f, fewer than %d extra syscalls" % (RATIO_GOAL, SYSCALL_GOAL)


def table(figures):
    base = figures["no preload"]
    rows = []
    for name, f in figures.items():
        calls = "-" if f["syscalls"] is None else "%+d" % (f["syscalls"] - base["syscalls"])
        faults = "%+.0f" % (f["faults"] - base["faults"])
        row = [name, "%.3f" % f["ratio"], "%.3f" % f["ms"], calls, faults, "%d" % f["peak_kib"]]
        rows.append(row)
    return "\n".join([report.text_table(HEADER, rows), "", GOAL])
