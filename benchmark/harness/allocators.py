# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which allocators are compared and where their preloadable libraries are.

The peers are Debian's packages, found through the dynamic linker's cache or in the usual library
folders. `libc` is the program as it is. `umf` is this project's library in the build folder.
"""
import dataclasses
import glob
import os
import re
import subprocess

OURS = "umf"
BASE = "libc"


@dataclasses.dataclass(frozen=True)
class Allocator:
    """A column of the tables. `library` is the path for LD_PRELOAD, None to preload nothing."""

    name: str
    library: str | None


# name, soname, Debian package
PEERS = [
    ("mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"),
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    ("tbbmalloc", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
]

OUR_LIBRARY = "libumf_proxy.so.1"

NAMES = [BASE] + [peer[0] for peer in PEERS] + [OURS]


def library_path(soname):
    """The absolute path of a shared library, or None."""
    try:
        cache = subprocess.run(
            ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        cache = ""
    for line in cache.splitlines():
        match = re.match(r"\s*(\S+) \(([^)]*)\) => (\S+)$", line)
        if match and match[1] == soname and "x32" not in match[2] and os.path.exists(match[3]):
            return match[3]
    for pattern in (
        "/usr/lib/*-linux-gnu/",
        "/lib/*-linux-gnu/",
        "/usr/lib64/",
        "/usr/lib/",
        "/usr/local/lib/",
    ):
        found = sorted(glob.glob(pattern + soname))
        if found:
            return found[0]
    return None


def our_library(build):
    """The built proxy library in or below the build folder, or None."""
    for pattern in (OUR_LIBRARY, "*/" + OUR_LIBRARY):
        found = sorted(glob.glob(os.path.join(build, pattern)))
        if found:
            return os.path.abspath(found[0])
    return None


def find(names, build):
    """The allocators among `names` that exist here, in table order, and one line for each that does
    not."""
    found, missing = [], []
    for name in NAMES:
        if name not in names:
            continue
        if name == BASE:
            found.append(Allocator(name, None))
            continue
        if name == OURS:
            library, hint = our_library(build), "no %s in %s" % (OUR_LIBRARY, build)
        else:
            soname, package = next((peer[1], peer[2]) for peer in PEERS if peer[0] == name)
            library, hint = library_path(soname), "no %s; apt-get install %s" % (soname, package)
        if library is None:
            missing.append("%s left out: %s" % (name, hint))
        else:
            found.append(Allocator(name, library))
    return found, missing
