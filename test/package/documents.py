#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the commands of README.md, CONTRIBUTING.md and docs/ as a reader would.

    documents.py SOURCE [DOCUMENT...]

A copy of the tree is made, and every line of every block ```sh is run in it, in the order of the
documents, README first: so the first command builds the library, as it does for a newcomer. A
block ```c before `cc NAME.c` is that NAME.c. The stand-ins for what is the reader's own (`program`,
heap profiles with example names) are made here. Commands that run for minutes, or that run this
test, are run in the short form of SHORTENED; UNABLE says what cannot run here, and why.

Ends with 1 when a command fails, after the last one.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

# (pattern at the beginning of the command, what runs instead)
SHORTENED = [
    (r"scripts/test-vm\b.*", "scripts/test-vm --help"),
    (r"scripts/test\b(?!-)(.*)", r"scripts/test\1 -N"),
    (r"scripts/bench\b.*", "scripts/bench --help"),
    (r"scripts/fuzz\b.*", "scripts/fuzz --help"),
    (r"scripts/soak\b.*", "scripts/soak --help"),
    (r"(ctest .*-L (?:suites|faults).*)", r"\1 -N"),
    (r"\.ci/run\b.*", "bash -n .ci/run"),
]
# (pattern anywhere in the command, reason)
UNABLE = [
    (r"provider_cuda$|provider_level_zero$", "needs a GPU; ctest runs it on the stand-ins"),
    (r"provider=(cuda|level_zero)", "needs a GPU; ctest runs it on the stand-ins"),
    (r"numa\.nodes=0-3|--interleave|--membind=[1-9]|nodes=[1-9]", "needs several NUMA nodes; the VM ring runs it"),
    (r"/dev/dax|/mnt/pmem", "needs persistent memory; the VM ring runs it"),
    (r"abi\.sh . build --record", "would change the tree"),
    (r"--attach|\bPID\b", "needs a process that runs on; a test of its own shows it"),
]
PROGRAM = r"""
#include <stdlib.h>
#include <string.h>
int main(void) {
    static char *volatile block[1000];
    for (int i = 0; i < 1000; i++) memset(block[i] = malloc(4096), 1, 4096);
    for (int i = 0; i < 900; i++) free(block[i]);
    return 0;
}
"""
PROFILES = ["umf.1234.1.heap", "monday.heap", "tuesday.heap"]


def blocks(text):
    """(language, lines) of each fenced block."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.M | re.S):
        yield match.group(1), match.group(2)


def commands(block):
    """The commands of a block: lines ending in a backslash go on, comments are dropped."""
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        line = re.sub(r"(^|\s)#\s.*$", "", line).strip()
        if line:
            yield line


def copy_tree(source, target):
    names = subprocess.run(["git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True).stdout.split(b"\0")
    for name in filter(None, names):
        path = os.path.join(os.fsencode(source), name)
        if os.path.isfile(path):
            copy = os.path.join(os.fsencode(target), name)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy2(path, copy)


class Reader:
    def __init__(self, folder, output):
        self.folder, self.output = folder, output
        self.ran = self.failed = self.left_out = 0
        tools = os.path.join(folder, "..", "bin")
        os.makedirs(tools)
        with open(os.path.join(tools, "program.c"), "w") as file:
            file.write(PROGRAM)
        subprocess.run(["cc", "-O0", "-g", "program.c", "-o", "program"], cwd=tools, check=True)
        shutil.copy(os.path.join(tools, "program"), os.path.join(folder, "program"))
        self.environment = dict(os.environ, PATH=tools + ":" + os.environ["PATH"],
                                LD_LIBRARY_PATH=os.path.join(folder, "build"))
        for name in ("LD_PRELOAD", "UMF_PROXY", "UMF_CONF", "UMF_LOG"):
            self.environment.pop(name, None)

    def shell(self, command):
        return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)

    def make_profiles(self, command):
        missing = [name for name in PROFILES if name in command and not os.path.exists(os.path.join(self.folder, name))]
        if missing:
            self.shell("UMF_PROXY='prof.sample=1k' LD_PRELOAD=libumf_proxy.so.1 program")
            made = sorted(glob.glob(os.path.join(self.folder, "umf.*.heap")))
            for name in missing:
                shutil.copy(made[-1], os.path.join(self.folder, name))

    def run(self, command):
        for pattern, reason in UNABLE:
            if re.search(pattern, command):
                self.left_out += 1
                print(f"  left out ({reason}): {command}", flush=True)
                return
        short = " && ".join(shorten(part) for part in command.split(" && "))
        self.make_profiles(short)
        self.ran += 1
        result = self.shell(short)
        if result.returncode != 0:
            self.failed += 1
            print(f"  FAILED with status {result.returncode}: {command}")
            print(result.stdout.decode(errors="replace")[-2000:], flush=True)
        else:
            print(f"  ran: {short}", flush=True)

    def read(self, document):
        print(document)
        program = None
        with open(os.path.join(self.folder, document)) as file:
            text = file.read()
        for language, block in blocks(text):
            if language == "c":
                program = block
            elif language == "sh":
                for command in commands(block):
                    name = re.match(r"(?:cc|gcc|clang) (\w+\.c)\b", command)
                    if name and program is not None:
                        with open(os.path.join(self.folder, name.group(1)), "w") as file:
                            file.write(program)
                    self.run(command)


def shorten(command):
    for pattern, instead in SHORTENED:
        match = re.fullmatch(pattern, command)
        if match:
            return match.expand(instead)
    return command


def main():
    source = sys.argv[1]
    documents = sys.argv[2:]
    if not documents:
        documents = ["README.md", "CONTRIBUTING.md"] + sorted(
            os.path.relpath(path, source) for path in glob.glob(os.path.join(source, "docs", "*.md")))
    with tempfile.TemporaryDirectory(prefix="umf-documents.") as work:
        folder = os.path.join(work, "umf")
        copy_tree(source, folder)
        reader = Reader(folder, work)
        for document in documents:
            reader.read(document)
    print(f"documents: {reader.ran} commands ran, {reader.failed} failed, {reader.left_out} left out")
    return 1 if reader.failed or not reader.ran else 0


if __name__ == "__main__":
    sys.exit(main())
