# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The machine a result comes from, and the build of what is measured."""
import os
import platform
import re
import shutil
import subprocess
import time

from .errors import BenchError


def first_match(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return ""
    return match[1].strip().strip('"') if match else ""


def package_versions(packages):
    if shutil.which("dpkg-query") is None:
        return {}
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n"] + packages, capture_output=True, text=True,
                           check=False).stdout
    return {line.split()[0]: line.split()[1] for line in shown.splitlines() if len(line.split()) == 2}


def revision(root):
    """The commit that was measured, with a mark when the tree had changes; empty outside git."""
    def git(*arguments):
        return subprocess.run(["git", "-C", root] + list(arguments), capture_output=True, text=True, check=False).stdout
    if shutil.which("git") is None:
        return ""
    commit = git("rev-parse", "--short=12", "HEAD").strip()
    return commit + "+changes" if commit and git("status", "--porcelain").strip() else commit


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
        "transparent_huge_pages": first_match("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
        "load_average": os.getloadavg()[0],
        "revision": revision(root),
        "umf_proxy": os.environ.get("UMF_PROXY", ""),
        "packages": package_versions(packages),
    }


def run_quietly(command, what):
    """Runs a build step; on failure shows its output and stops."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT, text=True, errors="replace", check=False) if done.returncode != 0:
    raise BenchError("%s failed (%s):\n%s" % (what, " ".join(command), done.stdout[-4000:]))


def install_dependencies(root):
    """Asks scripts/install-deps for what is missing; a failure only means that some columns or rows
    are left out."""
    script = os.path.join(root, "scripts", "install-deps")
    needed = ("cmake", "valgrind", "strace", "redis-server", "sqlite3", "gs", "g++")
    from . import allocators
    libraries = [peer[1] for peer in allocators.PEERS]
    if all(shutil.which(tool) for tool in needed) and all(map(allocators.library_path, libraries)):
        return None
    if not os.access(script, os.X_OK):
        return "scripts/install-deps is not there; missing programs are left out"
    done = subprocess.run([script, "build", "bench"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode != 0:
        return "scripts/install-deps: " + (done.stdout.strip().splitlines() or ["failed"])[-1]
    return None


def build(root, folder, peers_only):
    """Builds the workloads and, unless `peers_only`, the library; an existing configuration of the
    folder is kept."""
    source = os.path.join(root, "benchmark") if peers_only else root
    cache = os.path.join(folder, "CMakeCache.txt")
    home = first_match(cache, r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$")
    if home and os.path.realpath(home) != os.path.realpath(source):
        raise BenchError("%s was configured for %s, not %s; name another folder with --build" % (folder, home, source))
    kind = first_match(cache, r"^CMAKE_BUILD_TYPE:\w+=(.*)$")
    if home and kind != "Release":
        raise BenchError("%s is a build of type '%s'; benchmarks want Release; name another folder with --build"
                         % (folder, kind))
    run_quietly(["cmake", "-S", source, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DUMF_BUILD_BENCHMARKS=ON"],
                "configuring")
    run_quietly(["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1)], "building")
