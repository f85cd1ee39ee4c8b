# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One measurement: a command under one allocator, through the meter program (see meter.c for why
not directly)."""
import dataclasses
import os
import signal
import subprocess

# Far above what any workload needs; a run that takes longer hangs.
TIMEOUT_S = 180

# Variables of the caller that would change what is measured.
FOREIGN_SETTINGS = (
    "LD_PRELOAD",
    "UMF_",
    "MALLOC_",
    "MIMALLOC_",
    "TCMALLOC_",
    "TBB_",
    "GLIBC_TUNABLES",
    "PYTHONMALLOC",
)


@dataclasses.dataclass
class Sample:
    """What one run took. `error` is None or one line that says how it failed; then the figures mean
    nothing."""

    seconds: float = 0.0
    user: float = 0.0
    system: float = 0.0
    peak_kib: int = 0
    minor_faults: int = 0
    output: str = ""
    error: str | None = None


def clean_environment(extra=None):
    """The environment of measured programs: fixed language, no allocator's settings but UMF_PROXY,
    which is reported."""
    env = {
        key: value
        for key, value in os.environ.items()
        if key == "UMF_PROXY" or not key.startswith(FOREIGN_SETTINGS)
    }
    env["LC_ALL"] = "C"
    env.update(extra or {})
    return env


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else ""


def run(meter, command, library, repeat=1, extra_env=None, cwd=None):
    """Runs `command` `repeat` times with `library` (or None) preloaded and returns the Sample."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [meter, str(writing), str(repeat), library or "-"] + command,
        pass_fds=[writing],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=clean_environment(extra_env),
        cwd=cwd,
        start_new_session=True,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # the meter and what it started: a session of their own
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Sample(error="no end after %d s" % TIMEOUT_S)
        fields = pipe.read().split()
    if process.returncode != 0 or len(fields) != 6:
        return Sample(error=last_line(errors) or "the meter failed")
    wall, user, system, peak, faults, status = (int(field) for field in fields)
    sample = Sample(wall / 1e9, user / 1e6, system / 1e6, peak, faults, output)
    if status != 0:
        sample.error = "exit status %d %s" % (status, last_line(errors))
    return sample
