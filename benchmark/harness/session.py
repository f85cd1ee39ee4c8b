# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The interleaved run: repetitions outside, workloads inside, allocators in an order that rotates.

So a change in the machine's speed during the run meets all allocators alike, and none always goes
first or last.
"""
import os
import re
import sys
import time

SHOW_EVERY_S = 15  # when the progress goes to a file


class Progress:
    """One line on stderr: overwritten on a terminal, repeated now and then elsewhere."""

    def __init__(self, total):
        self.total, self.done = total, 0
        self.start = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def step(self, what):
        """Says what runs now; the previous step is done."""
        now = time.monotonic()
        if self.terminal or self.done == 0 or now - self.shown >= SHOW_EVERY_S:
            left = (now - self.start) / self.done * (self.total - self.done) if self.done else 0
            eta = "%d:%02d left" % divmod(int(left), 60) if self.done else "started"
            text = "[%d/%d, %s] %s" % (self.done, self.total, eta, what)
            sys.stderr.write("\r\x1b[K" + text if self.terminal else text + "\n")
            sys.stderr.flush()
            self.shown = now
        self.done += 1

    def end(self):
        if self.terminal:
            sys.stderr.write("\r\x1b[K")
        spent = divmod(int(time.monotonic() - self.start), 60)
        print("%d runs in %d:%02d" % ((self.done,) + spent), file=sys.stderr)


def comparable(output):
    """A run's output without what may differ from run to run."""
    return re.sub(r" seconds=\S+", "", output)


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def run(workloads, allocators, repetitions, context):
    """Returns {workload: {allocator: [sample as a dictionary, ...]}}."""
    results = {w.name: {a.name: [] for a in allocators} for w in workloads}
    expected = {}
    progress = Progress(len(workloads) * len(allocators) * repetitions)
    for repetition in range(repetitions):
        for number, workload in enumerate(workloads):
            for allocator in rotated(allocators, repetition + number):
                progress.step("%s under %s" % (workload.name, allocator.name))
                sample = workload.run(context, allocator.library)
                output = comparable(sample.output)
                if sample.error is None and expected.setdefault(workload.name, output) != output:
                    sample.error = "its output differs from the first run's"
                record = {key: value for key, value in vars(sample).items() if key != "output"}
                results[workload.name][allocator.name].append(record)
    progress.end()
    return results


def load_warning():
    """A line when the machine is busy with something else, else None."""
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    if load > 0.5 * cpus:
        return "the load average is %.1f on %d processors: times will be unreliable" % (load, cpus)
    return None
