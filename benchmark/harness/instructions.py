# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Instructions per malloc/free iteration, counted by callgrind.

Each mode of the program instr runs with two iteration counts; the difference of the totals divided
by the difference of the counts is exact for the steady state. The loop and the PLT are part of the
figure, as they are of the limits; the row "loop alone" is what of it is executed in the program
itself, the same for all allocators.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import tempfile

from . import measure, report
from .allocators import OURS
from .errors import BenchError

# mode: (what it does, limit for ours)
MODES = {
    "pair": ("malloc(64) + free", 46),
    "lifo": ("1000 x 48 B, last first", 45),
    "fifo": ("1000 x 48 B, first first", 45),
    "random": ("16-1039 B in 1024 slots", 64),
    "calloc": ("calloc(4,25) + free", 72),
    "realloc": ("malloc 30, realloc 40, 300, free", 250),
}

# Multiples of the batch of 1000 blocks. The second is enough to make single slow calls a hundredth
# of an instruction.
FEW, MANY = 20_000, 220_000


def program_cost(path, program):
    """Instructions executed in the program's own object (loops and PLT stubs) in a callgrind
    file."""
    cost, inside, call = 0, False, False
    names = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"ob=(\(\d+\))(?: (.*))?$", line)
            if match:
                if match[2]:
                    names[match[1]] = match[2].strip()
                inside = os.path.basename(names.get(match[1], "")) == program
            elif line.startswith("cob="):
                match = re.match(r"cob=(\(\d+\)) (.*)$", line)
                if match:
                    names[match[1]] = match[2].strip()
            elif line.startswith("calls="):
                call = True  # the next line is the callee's inclusive cost
            elif re.match(r"[+*\-\d]", line):
                if inside and not call:
                    cost += int(line.split()[1])
                call = False
    return cost


def callgrind(programs, command, env):
    """(instructions of the whole run, of these in the program itself); `command` is a program of
    the benchmark folder and its arguments."""
    handle, out = tempfile.mkstemp(prefix="umf-bench-callgrind-")
    os.close(handle)
    try:
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out]
        done = subprocess.run(
            tool + [os.path.join(programs, command[0])] + command[1:],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=measure.TIMEOUT_S,
            check=False,
        )
        match = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode != 0 or match is None:
            what = (" ".join(command), measure.last_line(done.stderr))
            raise BenchError("callgrind failed on %s: %s" % what)
        return int(match[1]), program_cost(out, command[0])
    finally:
        os.unlink(out)


def count(programs, library, mode, iterations):
    env = measure.clean_environment({"LD_PRELOAD": library} if library else None)
    return callgrind(programs, ["instr", mode, str(iterations)], env)


def per_iteration(programs, library, mode):
    few, many = count(programs, library, mode, FEW), count(programs, library, mode, MANY)
    return tuple((b - a) / (MANY - FEW) for a, b in zip(few, many))


def measure_all(programs, allocators):
    """{allocator: {mode: instructions}} and, under "loop alone", the program's own part."""
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not installed; scripts/install-deps bench installs it")
    jobs = [(a, mode) for a in allocators for mode in MODES]
    figures = {a.name: {} for a in allocators}
    loop = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        results = workers.map(lambda job: per_iteration(programs, job[0].library, job[1]), jobs)
        for (allocator, mode), (total, own) in zip(jobs, results):
            figures[allocator.name][mode] = round(total, 2)
            loop.setdefault(mode, round(own, 2))
    figures["loop alone"] = loop
    return figures


def over_limit(figures):
    """Lines for the modes in which ours needs more than its limit."""
    ours = figures.get(OURS, {})
    return [
        "%s: %.1f instructions, limit %d" % (mode, ours[mode], limit)
        for mode, (_, limit) in MODES.items()
        if mode in ours and ours[mode] > limit
    ]


def table(figures):
    order = ["loop alone"] + [name for name in figures if name != "loop alone"]
    rows = [[name] + ["%.1f" % figures[name][mode] for mode in MODES] for name in order]
    rows.append(["limit for " + OURS] + [str(limit) for _, limit in MODES.values()])
    header = ["instructions per iteration"] + [what for what, _ in MODES.values()]
    return report.text_table(header, rows)
