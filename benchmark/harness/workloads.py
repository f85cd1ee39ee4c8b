# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The list of workloads: our own C programs and the real programs, each with its command.

A workload is prepared once (`prepare` writes inputs and returns None or the reason why it cannot
run here) and run once per allocator and repetition (`run` returns a measure.Sample). To add a
program to the comparison, add a line to one of the two lists at the end.
"""
import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys

from . import measure, redis


@dataclasses.dataclass
class Context:
    """Where things are and how much work is wanted."""

    source: str  # benchmark/ of the source tree
    programs: str  # folder of the built C programs
    scratch: str  # folder for generated inputs
    scale: float
    threads: int | None = None  # None: each program's own default
    environment: dict = dataclasses.field(default_factory=dict)  # for every run

    @property
    def meter(self):
        return os.path.join(self.programs, "meter")


@dataclasses.dataclass
class Workload:
    """A row of the tables."""

    name: str
    kind: str  # "own" or "real"

    def prepare(self, context):
        return None

    def run(self, context, library):
        raise NotImplementedError


@dataclasses.dataclass
class OwnProgram(Workload):
    """One of the C programs; arguments are threads and scale. `repeat`: processes in a row."""

    program: str = ""
    first_argument: str | None = None
    repeat: int = 1
    part: float = 1.0  # of the program's usual work

    def prepare(self, context):
        path = os.path.join(context.programs, self.program)
        return None if os.access(path, os.X_OK) else "not built: %s" % path

    def run(self, context, library):
        threads = str(context.threads or max(2, os.cpu_count() or 2))
        scale = max(0.01, context.scale * self.part) if self.repeat == 1 else self.part
        repeat = max(1, round(self.repeat * context.scale)) if self.repeat > 1 else 1
        program = os.path.join(context.programs, self.program)
        command = [program, self.first_argument or threads, "%.5f" % scale]
        return measure.run(context.meter, command, library, repeat, context.environment)


@dataclasses.dataclass
class RealProgram(Workload):
    """A program of the distribution. `build` makes (command, environment) once inputs can be
    written."""

    tool: str = ""
    build: object = None
    command: list = dataclasses.field(default_factory=list)
    environment: dict = dataclasses.field(default_factory=dict)

    def prepare(self, context):
        if self.tool and shutil.which(self.tool) is None:
            return "%s is not installed" % self.tool
        self.command, self.environment = self.build(context)
        return None

    def run(self, context, library):
        env = {**self.environment, **context.environment}
        return measure.run(context.meter, self.command, library, extra_env=env, cwd=context.scratch)


class Redis(Workload):
    def prepare(self, context):
        for tool in ("redis-server", "redis-benchmark"):
            if shutil.which(tool) is None:
                return "%s is not installed" % tool
        return None

    def run(self, context, library):
        return redis.run(library, context.scale)


def source_file(context, name):
    return os.path.join(context.source, "programs", name)


def scaled(context, amount, least=1):
    return max(least, round(amount * context.scale))


def build_python(context):
    # The distribution's own interpreter: a version manager's wrapper would be measured instead.
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        python = os.path.realpath(sys.executable)
    command = [python, "-S", "-B", source_file(context, "python_mix.py"), "%.3f" % context.scale]
    return command, {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}


def build_sqlite(context):
    path = os.path.join(context.scratch, "mix.sql")
    with open(source_file(context, "sqlite_mix.sql"), encoding="ascii") as source:
        text = source.read()
    with open(path, "w", encoding="ascii") as out:
        out.write(re.sub(r"\bROWS\b", str(scaled(context, 90000, 1000)), text))
    return ["sqlite3", "-batch", "-init", "/dev/null", ":memory:", ".read %s" % path], {}


def build_gs(context):
    command = "gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=ppmraw -r100".split()
    command += ["-dPAGES=%d" % scaled(context, 24), "-o", "/dev/null"]
    return command + [source_file(context, "pages.ps")], {}


def compiler_proper():
    """The C++ compiler's own binary, without the driver; None when there is none."""
    for driver in filter(shutil.which, ("g++", "g++-12", "c++")):
        command = [driver, "-print-prog-name=cc1plus"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        path = done.stdout.strip()
        if os.path.isabs(path) and os.access(path, os.X_OK):
            return path
    return None


def build_compiler(context):
    source = source_file(context, "generate_cxx.py")
    spec = importlib.util.spec_from_file_location("generate_cxx", source)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    path = os.path.join(context.scratch, "units.cc")
    with open(path, "w", encoding="ascii") as out:
        out.write(generator.generate(scaled(context, 28)))
    return [compiler_proper(), "-quiet", "-O2", path, "-o", "/dev/null"], {}


class Compiler(RealProgram):
    def prepare(self, context):
        if compiler_proper() is None:
            return "no cc1plus (g++ is not installed)"
        return super().prepare(context)


# Programs that take a thread count and a scale and need nothing else.
PLAIN = """server_churn producer_consumer random_lifetimes thread_churn cache_scratch cache_thrash
trees numbers strings batches growth big_blocks phases""".split()

OWN = [OwnProgram(name, "own", program=name) for name in PLAIN] + [
    OwnProgram("small_process", "own", "small_process", "2048"),
    OwnProgram("tiny_commands", "own", "small_process", "512", repeat=250, part=0.002),
]

REAL = [
    RealProgram("python3", "real", build=build_python),
    Redis("redis", "real"),
    RealProgram("sqlite3", "real", "sqlite3", build_sqlite),
    RealProgram("gs", "real", "gs", build_gs),
    Compiler("cc1plus", "real", build=build_compiler),
]

ALL = OWN + REAL
