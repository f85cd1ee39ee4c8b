# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line of scripts/bench."""
import argparse
import json
import os
import re
import signal
import sys
import tempfile

from . import allocators, api, chart, instructions, machine, profile, report, session, startup
from . import workloads
from .errors import BenchError

FORMAT = 1  # of the stored results

DESCRIPTION = """Compares this project's allocator with libc's and with mimalloc, jemalloc, tcmalloc
and tbbmalloc.

run           workloads: wall time and peak resident memory, tables and chart (the default)
instructions  instructions per malloc/free and per umfPoolMalloc/umfPoolFree, by callgrind
api           calls of the library: every pool, the provider, look-ups by address
startup       what preloading costs a program that does nothing
profile       what sampling heap profilers cost, ours and the others'
report FILE   the tables and the chart of a stored run again"""

COMMANDS = ["run", "instructions", "api", "startup", "profile", "report"]


def parser(root):
    p = argparse.ArgumentParser(
        prog="scripts/bench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("what", nargs="?", default="run", choices=COMMANDS, metavar="|".join(COMMANDS))
    add("file", nargs="?", help="for report: the stored run (default docs/benchmark/results.json)")
    add("--quick", action="store_true", help="a fifth of the work, 2 repetitions: a first look")
    add("--only", metavar="REGEX", help="only the workloads whose name matches")
    add("--reps", type=int, metavar="N", help="repetitions (default 5; 2 with --quick)")
    add("--scale", type=float, metavar="X", help="amount of work (default 1; 0.2 with --quick)")
    add("--threads", type=int, metavar="N", help="threads of our workloads (default: processors)")
    add("--allocators", metavar="A,B", help="only these of " + ",".join(allocators.NAMES))
    add(
        "--also",
        metavar="NAME=LIBRARY",
        action="append",
        default=[],
        help="one more library to preload, such as another build; not counted as a peer",
    )
    add("--peers-only", action="store_true", help="without ours, which is not built then")
    build = os.path.join(root, "build")
    add("--build", metavar="DIR", default=build, help="build folder (default build/)")
    add("--no-build", action="store_true", help="use what the build folder holds")
    add("--out", metavar="DIR", help="for tables and chart (default bench/ in the build folder)")
    add(
        "--json",
        metavar="FILE",
        help="raw results (default: results.json in --out; a complete run of 5 or more "
        "repetitions goes to docs/benchmark/results.json)",
    )
    add("--check", action="store_true", help="instructions: exit status 1 if ours is over a limit")
    add("--list", action="store_true", help="names of the workloads and allocators, and ends")
    return p


def check_numbers(args):
    """Ranges of the numeric options; fills in the defaults."""
    if args.reps is None:
        args.reps = 2 if args.quick else 5
    if args.scale is None:
        args.scale = 0.2 if args.quick else 1.0
    ranges = [
        ("--reps", args.reps, 1, 1000),
        ("--scale", args.scale, 0.01, 100),
        ("--threads", args.threads, 1, 256),
    ]
    for name, value, low, high in ranges:
        if value is not None and not low <= value <= high:
            raise BenchError("%s %s is out of range; allowed: %s to %s" % (name, value, low, high))


def extra_allocator(text):
    """The allocator that --also describes."""
    name, _, path = text.partition("=")
    if not re.fullmatch(r"[\w.-]+", name) or name in allocators.NAMES or not os.path.isfile(path):
        raise BenchError("--also '%s': allowed is NAME=LIBRARY, a new name and a file" % text)
    return allocators.Allocator(name, os.path.abspath(path))


def check_names(args):
    """Checks what --allocators, --also and --only name, before anything is built."""
    args.names = args.allocators.split(",") if args.allocators else list(allocators.NAMES)
    unknown = [name for name in args.names if name not in allocators.NAMES]
    if unknown:
        allowed = ",".join(allocators.NAMES)
        raise BenchError("--allocators: unknown '%s'; allowed: %s" % (unknown[0], allowed))
    if args.peers_only:
        args.names = [name for name in args.names if name != allocators.OURS]
    args.extra = [extra_allocator(text) for text in args.also]
    try:
        pattern = re.compile(args.only or "")
    except re.error as error:
        problem = "--only '%s' is not a regular expression: %s" % (args.only, error)
        raise BenchError(problem) from error
    args.rows = [workload for workload in workloads.ALL if pattern.search(workload.name)]
    if not args.rows:
        names = ", ".join(workload.name for workload in workloads.ALL)
        raise BenchError("--only: no workload matches '%s'; there are: %s" % (args.only, names))


def chosen_allocators(args):
    """The allocators to compare and one line for each that is not here."""
    found, missing = allocators.find(args.names, args.build)
    found += args.extra
    if not found:
        raise BenchError("none of the chosen allocators is here: " + "; ".join(missing))
    if allocators.OURS in args.names and not any(a.name == allocators.OURS for a in found):
        raise BenchError("%s; --peers-only compares the others" % missing[-1])
    return found, missing


def chosen_workloads(args, context):
    """The workloads to run and one line for each that cannot."""
    found, left_out = [], []
    for workload in args.rows:
        reason = workload.prepare(context)
        if reason is None:
            found.append(workload)
        else:
            left_out.append("workload %s left out: %s" % (workload.name, reason))
    if not found:
        raise BenchError("no workload can run here: " + "; ".join(left_out))
    return found, left_out


def say(line):
    print("bench: " + line, file=sys.stderr, flush=True)


def prepare(root, args):
    """Installs, builds, and finds the allocators."""
    trouble = None if args.no_build else machine.install_dependencies(root)
    if trouble:
        say(trouble)
    if not args.no_build:
        say("building in " + args.build)
        machine.build(root, args.build, args.peers_only)
    found, missing = chosen_allocators(args)
    for line in missing:
        say(line)
    if os.environ.get("UMF_PROXY"):
        say("UMF_PROXY is set and used: " + os.environ["UMF_PROXY"])
    return found, missing


def save(path, data):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(data, out, indent=1)
        out.write("\n")


def results_path(root, args, data):
    """Where the raw data goes: the kept file only for a run that can replace it."""
    if args.json:
        return args.json
    complete = (
        data["allocators"] == allocators.NAMES
        and len(data["results"]) == len(workloads.ALL)
        and args.reps >= 5
        and args.scale == 1.0
        and not args.threads
        and not os.environ.get("UMF_PROXY")
    )
    folder = os.path.join(root, "docs", "benchmark") if complete else args.out
    return os.path.join(folder, "results.json")


def print_report(data, out):
    os.makedirs(out, exist_ok=True)
    text = report.full_report(data)
    print(text)
    table = os.path.join(out, "results.md")
    with open(table, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return [table] + chart.write(data, os.path.join(out, "results"))


def command_run(root, args):
    found, left_out = prepare(root, args)
    with tempfile.TemporaryDirectory(prefix="umf-bench-") as scratch:
        source, programs = os.path.join(root, "benchmark"), os.path.join(args.build, "benchmark")
        context = workloads.Context(source, programs, scratch, args.scale, args.threads)
        rows, lines = chosen_workloads(args, context)
        for line in filter(None, lines + [session.load_warning()]):
            say(line)
        data = {
            "format": FORMAT,
            "machine": machine.describe(root, [peer[2] for peer in allocators.PEERS]),
            "allocators": [a.name for a in found],
            "repetitions": args.reps,
            "scale": args.scale,
            "left_out": left_out + lines,
        }
        data["results"] = session.run(rows, found, args.reps, context)
    path = results_path(root, args, data)
    save(path, data)
    written = print_report(data, args.out)
    say("written: " + ", ".join([path] + written))
    return 1 if report.failures(data["results"]) else 0


def command_instructions(root, args):
    found, _ = prepare(root, args)
    say("counting instructions: %d runs of callgrind" % (len(found) * len(instructions.MODES) * 2))
    figures = instructions.measure_all(os.path.join(args.build, "benchmark"), found)
    save(args.json or os.path.join(args.out, "instructions.json"), figures)
    print(instructions.table(figures))
    over = instructions.over_limit(figures)
    for line in over:
        print("over the limit: " + line)
    if not args.peers_only:
        missed = print_api_instructions(args)
        over += missed
    return 1 if over and args.check else 0


def print_api_instructions(args):
    """Prints the table and its goals; the missed ones."""
    library = os.path.join(args.build, "libumf_proxy.so.1")
    programs = os.path.join(args.build, "benchmark")
    figures = api.pair_instructions(programs, library)
    lookups = api.lookup_instructions(programs)
    goals = api.instruction_goals(figures) + api.lookup_goals(lookups)
    tables = [api.instruction_table(figures), api.lookup_instruction_table(lookups)]
    print("\n" + "\n\n".join(tables + [api.goals_text(goals)]))
    return [text for text, holds in goals if not holds]


def command_api(root, args):
    if args.peers_only:
        raise BenchError("api measures this project's library only; not with --peers-only")
    prepare(root, args)
    say("counting instructions")
    missed = print_api_instructions(args)
    found = api.measure_all(os.path.join(args.build, "benchmark"), args.reps, args.scale, say)
    goals = api.time_goals(found)
    tables = [api.pool_table(found), api.lookup_table(found), api.goals_text(goals)]
    print("\n" + "\n\n".join(tables))
    rows = [{"cell": list(name), "ns": value} for name, value in found.items()]
    save(args.json or os.path.join(args.out, "api.json"), rows)
    missed += [text for text, holds in goals if not holds]
    return 1 if missed and args.check else 0


def command_profile(root, args):
    prepare(root, args)
    with tempfile.TemporaryDirectory(prefix="umf-bench-") as scratch:
        source, programs = os.path.join(root, "benchmark"), os.path.join(args.build, "benchmark")
        context = workloads.Context(source, programs, scratch, args.scale, args.threads)
        figures = profile.measure_all(context, args.build, args.reps, say)
    save(args.json or os.path.join(args.out, "profile.json"), figures)
    print(profile.table(figures))
    over = profile.over_limit(figures)
    for line in over:
        print("over the limit: " + line)
    return 1 if over and args.check else 0


def command_startup(root, args):
    found, _ = prepare(root, args)
    figures = startup.measure_all(os.path.join(args.build, "benchmark"), found)
    save(args.json or os.path.join(args.out, "startup.json"), figures)
    print(startup.table(figures))
    return 0


def command_report(root, args):
    path = args.file or os.path.join(root, "docs", "benchmark", "results.json")
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError) as error:
        raise BenchError("cannot read %s: %s" % (path, error)) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BenchError("%s is not a stored run of scripts/bench (format %d)" % (path, FORMAT))
    say("written: " + ", ".join(print_report(data, args.out)))
    return 0


def main(root, argv):
    # `scripts/bench run | head` ends quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    args = parser(root).parse_args(argv)
    if args.list:
        print("workloads:  " + " ".join(w.name for w in workloads.ALL))
        print("allocators: " + " ".join(allocators.NAMES))
        return 0
    args.build = os.path.abspath(args.build)
    args.out = os.path.abspath(args.out or os.path.join(args.build, "bench"))
    commands = {
        "run": command_run,
        "instructions": command_instructions,
        "api": command_api,
        "startup": command_startup,
        "profile": command_profile,
        "report": command_report,
    }
    try:
        if args.file and args.what != "report":
            raise BenchError("unexpected argument '%s'; only report takes a file" % args.file)
        check_numbers(args)
        check_names(args)
        return commands[args.what](root, args)
    except BenchError as error:
        print("scripts/bench: %s" % error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nscripts/bench: interrupted", file=sys.stderr)
        return 130
