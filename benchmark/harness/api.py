# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The library's own interface: pools over the OS provider, the provider, look-ups by address.

Instructions of a pair umfPoolMalloc + umfPoolFree come from callgrind, in the same way as those of
malloc + free, and are exact. Times are the fastest of the repetitions, since what disturbs a run
only makes it slower; repetitions outside, cells inside, so that a disturbance meets all cells
alike.
"""
import itertools
import os
import re
import subprocess

from . import instructions, measure, report
from .errors import BenchError

POOLS = ["slab", "scalable", "disjoint", "jemalloc", "proxy"]
REFERENCE = "one-lock"  # what disjoint is compared with, see one_lock_pool.c
DISPATCH_LIMIT = 15  # instructions that a pair on a slab pool may cost more than malloc + free
DISJOINT_LIMIT = 60  # instructions of a pair on a disjoint pool, without the loop
DISJOINT_FACTOR = 3  # operations of disjoint over those of the reference, 2 threads
LOOKUP_GROWTH = 2  # of the instructions of umfPoolByPtr from the fewest ranges to the most
COUNTED_RANGES = [100, 10_000, 100_000]  # under callgrind
PATTERNS = {"pair": 4_000_000, "batch": 4_000_000, "mixed": 2_000_000}
SLOW = {"proxy": 100}  # their counts are divided: every block is a system call or two
RANGES = [100, 1_000, 10_000, 100_000, 1_000_000]
USED = [0, 100]  # ranges that are looked up: all, or so many among all
RANGE_BYTES = {"64 KiB": 65536, "4 KiB": 4096}


# ---- instructions ----


def pair_cost(programs, command, env, few, many):
    """(instructions of one pair, of these in the program itself)"""
    results = []
    for iterations in (few, many):
        line = [word if word != "COUNT" else str(iterations) for word in command]
        results.append(instructions.callgrind(programs, line, env))
    return tuple((b - a) / (many - few) for a, b in zip(*results))


def pair_instructions(programs, library):
    """{name: (all, without the loop)}; "malloc" is the malloc replacement."""
    found = {}
    if library is not None:
        env = measure.clean_environment({"LD_PRELOAD": library})
        found["malloc"] = pair_cost(programs, ["instr", "pair", "COUNT"], env, 20_000, 220_000)
    env = measure.clean_environment()
    for pool in POOLS + [REFERENCE]:
        divisor = SLOW.get(pool, 1)
        command = ["pool_ops", pool, "pair", "1", "COUNT"]
        try:
            found[pool] = pair_cost(programs, command, env, 20_000 // divisor, 220_000 // divisor)
        except BenchError:
            continue  # this pool is not here
    return {name: (round(a, 1), round(a - own, 1)) for name, (a, own) in found.items()}


def lookup_instructions(programs):
    """{kind of range: instructions of one umfPoolByPtr for each of COUNTED_RANGES}"""
    env = measure.clean_environment()
    found = {}
    for kind, size in RANGE_BYTES.items():
        found[kind] = []
        for ranges in COUNTED_RANGES:
            command = ["pool_lookup", str(ranges), str(size), "1", "COUNT"]
            whole, own = pair_cost(programs, command, env, 10_000, 60_000)
            found[kind].append(round((whole - own) / 2, 1))  # two rounds
    return found


def lookup_instruction_table(found):
    head = ["umfPoolByPtr, instructions"] + ["%d ranges" % ranges for ranges in COUNTED_RANGES]
    rows = [["%s each" % kind] + ["%.1f" % v for v in values] for kind, values in found.items()]
    return report.text_table(head, rows)


def lookup_goals(found):
    goals = []
    for kind, values in found.items():
        growth = max(values) / values[0]
        text = "umfPoolByPtr, ranges of %s, instructions grow at most %d x: %.2f"
        goals.append((text % (kind, LOOKUP_GROWTH, growth), growth <= LOOKUP_GROWTH))
    return goals


def instruction_table(figures):
    rows = []
    for name, (whole, own) in figures.items():
        over = "" if "malloc" not in figures else "%+.1f" % (whole - figures["malloc"][0])
        rows.append([name, "%.1f" % whole, "%.1f" % own, over])
    head = ["umfPoolMalloc(64) + umfPoolFree", "instructions", "without the loop", "over malloc"]
    return report.text_table(head, rows)


def instruction_goals(figures):
    """(text, holds) of each goal."""
    goals = []
    if "malloc" in figures and "slab" in figures:
        over = figures["slab"][0] - figures["malloc"][0]
        text = "slab, a pair costs at most %d more than malloc + free: %.1f"
        goals.append((text % (DISPATCH_LIMIT, over), over <= DISPATCH_LIMIT))
    if "disjoint" in figures:
        own = figures["disjoint"][1]
        text = "disjoint, a pair costs at most %d: %.1f"
        goals.append((text % (DISJOINT_LIMIT, own), own <= DISJOINT_LIMIT))
    return goals


# ---- times ----


def nanoseconds(programs, command):
    """What one run prints, or None when it can not run."""
    done = subprocess.run(
        [os.path.join(programs, command[0])] + [str(word) for word in command[1:]],
        env=measure.clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=measure.TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0 or not re.fullmatch(r"[\d.]+\s*", done.stdout):
        return None
    return float(done.stdout)


def cells(scale):
    """{name of the cell: command}"""
    found = {}
    for pool in POOLS + [REFERENCE]:
        for pattern, count in PATTERNS.items():
            count = max(1000, int(count * scale) // SLOW.get(pool, 1) // 1000 * 1000)
            for threads in (1, 2):
                for mode in ("tracked", "untracked"):
                    command = ["pool_ops", pool, pattern, threads, count]
                    if mode == "untracked":
                        command.append(mode)
                    found[(pool, pattern, threads, mode)] = command
    for threads in (1, 2):
        count = max(1000, int(50_000 * scale))
        found[("provider", "provider", threads, "")] = (
            ["pool_ops", "proxy", "provider", threads, count])
        for kind, size in RANGE_BYTES.items():
            for ranges in RANGES:
                count = max(1000, int(1_000_000 * scale))
                for used in USED:
                    command = ["pool_lookup", ranges, size, threads, count]
                    found[("lookup", kind, threads, ranges, used)] = (
                        command + [used] if used else command)
    return found


def measure_all(programs, repetitions, scale, say):
    """{cell: least ns}; cells that can not run are left out."""
    todo = cells(scale)
    samples = {name: [] for name in todo}
    for turn in range(repetitions):
        say("repetition %d of %d, %d cells" % (turn + 1, repetitions, len(todo)))
        for name in list(todo):
            value = nanoseconds(programs, todo[name])
            if value is None:
                say("left out: " + " ".join(str(part) for part in name))
                del todo[name]
                samples.pop(name)
            else:
                samples[name].append(value)
    return {name: min(values) for name, values in samples.items()}


def figure(value):
    return "-" if value is None else "%.1f" % value


def pool_table(found):
    head = ["ns per block"]
    columns = [(p, t, m) for p in PATTERNS for t in (1, 2) for m in ("tracked", "untracked")]
    for pattern, threads, mode in columns:
        head.append("%s x%d%s" % (pattern, threads, "" if mode == "tracked" else ", untracked"))
    rows = []
    for pool in POOLS + [REFERENCE]:
        rows.append([pool] + [figure(found.get((pool,) + column)) for column in columns])
    row = [figure(found.get(("provider", "provider", t, ""))) for t in (1, 2)]
    text = "\n\nProvider, 64 KiB alloc + free with one page touched: %s ns, on 2 threads %s ns."
    return report.text_table(head, rows) + text % tuple(row)


def lookup_table(found):
    head = ["umfPoolByPtr, ns"] + ["%d ranges" % ranges for ranges in RANGES] + ["growth"]
    rows = []
    for kind, threads, used in itertools.product(RANGE_BYTES, (1, 2), USED):
        values = [found.get(("lookup", kind, threads, ranges, used)) for ranges in RANGES]
        known = None not in values and values[0] > 0
        growth = "%.2f" % (values[-1] / values[0]) if known else "-"
        name = "%s each, x%d%s" % (kind, threads, ", %d of them" % used if used else "")
        rows.append([name] + [figure(v) for v in values] + [growth])
    return report.text_table(head, rows)


def time_goals(found):
    goals = []
    for pattern in ("pair", "batch"):
        ours = found.get(("disjoint", pattern, 2, "tracked"))
        reference = found.get((REFERENCE, pattern, 2, "tracked"))
        if ours and reference:
            text = "disjoint, %s on 2 threads, at least %d x one lock per bucket: %.1f"
            factor = reference / ours
            goals.append((text % (pattern, DISJOINT_FACTOR, factor), factor >= DISJOINT_FACTOR))
    return goals


def goals_text(goals):
    return "\n".join("- %s %s" % (text, "holds" if holds else "MISSED") for text, holds in goals)
