# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The redis workload: the server runs under the allocator, the load generator without; a fixed
number of requests.

The time is that of the requests, the peak is the server's VmHWM. Debian's redis-server is linked
against libjemalloc, so for the `libc` column libc itself is preloaded: its malloc then comes first
in the symbol search.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import allocators, measure

START_TIMEOUT_S = 20
REQUESTS = 100000  # per kind of command, at scale 1
KINDS = "set get incr lpush lrange_100 hset sadd zadd".split()
SLOW = {"lrange_100": 10}  # answers a hundred values: fewer requests

# 20 clients that send 32 requests at a time, 40000 keys, values of 300 bytes.
LOAD = "redis-benchmark -q -c 20 -P 32 -r 40000 -d 300".split()
SERVER = "redis-server --port 0 --appendonly no --save".split() + [""]


def answers(path):
    """Whether a server on this socket answers a PING."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(path)
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def peak_kib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])


def cpu_seconds(pid):
    """User and system time of the process so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def load(path, scale):
    """Sends the requests; returns an error line or None."""
    for kind in KINDS:
        requests = max(1000, round(REQUESTS * scale / SLOW.get(kind, 1)))
        client = subprocess.run(
            LOAD + ["-s", path, "-t", kind, "-n", str(requests)],
            env=measure.clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=measure.TIMEOUT_S,
            check=False,
        )
        if client.returncode != 0 or "requests per second" not in client.stdout:
            said = measure.last_line(client.stderr or client.stdout)
            return "redis-benchmark %s: %s" % (kind, said)
    return None


def wait_until_up(server, path):
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and server.poll() is None:
        if answers(path):
            return True
        time.sleep(0.02)
    return False


def measure_server(server, path, scale):
    if not wait_until_up(server, path):
        return measure.Sample(error="redis-server did not start")
    start = time.monotonic()
    error = load(path, scale)
    seconds = time.monotonic() - start
    if server.poll() is not None:
        return measure.Sample(error="redis-server ended with status %d" % server.returncode)
    user, system = cpu_seconds(server.pid)
    return measure.Sample(seconds, user, system, peak_kib(server.pid), 0, "", error)


def run(library, scale):
    """Starts a server of its own in a temporary folder, loads it, stops it."""
    folder = tempfile.mkdtemp(prefix="umf-bench-redis-")
    path = os.path.join(folder, "socket")
    preload = library or allocators.library_path("libc.so.6") or ""
    server = subprocess.Popen(
        SERVER + ["--unixsocket", path, "--dir", folder, "--logfile", os.path.join(folder, "log")],
        env=measure.clean_environment({"LD_PRELOAD": preload}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return measure_server(server, path, scale)
    except subprocess.TimeoutExpired:
        return measure.Sample(error="no end after %d s" % measure.TIMEOUT_S)
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGKILL)
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
