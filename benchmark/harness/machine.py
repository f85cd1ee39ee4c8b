# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The machine a result comes from, and the build of what is measured."""
import os
import platform
import re
import shutil
import subprocess
import time

from . import allocators
from .errors import BenchError


def run_merged(command):
    """Runs a command without input; stdout holds all it printed."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def first_match(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return ""
    return match[1].strip().strip('"') if match else ""


def package_versions(packages):
    """{package: version} of those that are installed."""
    if shutil.which("dpkg-query") is None:
        return {}
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n"] + packages
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    pairs = [line.split() for line in done.stdout.splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def revision(root):
    """The commit that was measured, with a mark when the tree had changes; empty outside git."""
    if shutil.which("git") is None:
        return ""

    def git(*arguments):
        command = ["git", "-C", root] + list(arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    commit = git("rev-parse", "--short=12", "HEAD")
    return commit + "+changes" if commit and git("status", "--porcelain") else commit


HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


def describe(root, packages):
    """A dictionary that says where and when the figures were taken."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.machine(),
        "cpus": os.cpu_count(),
        "memory_kib": int(first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)") or 0),
        "kernel": platform.release(),
        "system": first_match("/etc/os-release", r"^PRETTY_NAME=(.*)$"),
        "libc": " ".join(platform.libc_ver()),
        "transparent_huge_pages": first_match(HUGE_PAGES, r"\[(\w+)\]"),
        "load_average": os.getloadavg()[0],
        "revision": revision(root),
        "umf_proxy": os.environ.get("UMF_PROXY", ""),
        "packages": package_versions(packages),
    }


def run_quietly(command, what):
    """Runs a build step; on failure shows its output and stops."""
    done = run_merged(command)
    if done.returncode != 0:
        shown = (what, " ".join(command), done.stdout[-4000:])
        raise BenchError("%s failed (%s):\n%s" % shown)


TOOLS = ("cmake", "valgrind", "strace", "redis-server", "sqlite3", "gs", "g++")


def install_dependencies(root):
    """Asks scripts/install-deps for what is missing.

    Returns a line when that failed, which only means that some columns or rows are left out.
    """
    libraries = [peer[1] for peer in allocators.PEERS]
    if all(map(shutil.which, TOOLS)) and all(map(allocators.library_path, libraries)):
        return None
    script = os.path.join(root, "scripts", "install-deps")
    if not os.access(script, os.X_OK):
        return "scripts/install-deps is not there; missing programs are left out"
    done = run_merged([script, "build", "bench"])
    if done.returncode != 0:
        return "scripts/install-deps: " + (done.stdout.strip().splitlines() or ["failed"])[-1]
    return None


def check_configured(folder, source):
    """Refuses a build folder that holds something else than a Release build of `source`."""
    cache = os.path.join(folder, "CMakeCache.txt")
    home = first_match(cache, r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$")
    kind = first_match(cache, r"^CMAKE_BUILD_TYPE:\w+=(.*)$")
    problem = None
    if home and os.path.realpath(home) != os.path.realpath(source):
        problem = "was configured for %s, not %s" % (home, source)
    elif home and kind != "Release":
        problem = "is a build of type '%s', not Release" % kind
    if problem:
        raise BenchError("%s %s; name another folder with --build" % (folder, problem))


def build(root, folder, peers_only):
    """Builds the workloads and, unless `peers_only`, the library."""
    source = os.path.join(root, "benchmark") if peers_only else root
    check_configured(folder, source)
    options = ["-DCMAKE_BUILD_TYPE=Release"]
    if not peers_only:
        options += ["-DUMF_BUILD_BENCHMARKS=ON"]
    run_quietly(["cmake", "-S", source, "-B", folder] + options, "configuring")
    run_quietly(["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1)], "building")
