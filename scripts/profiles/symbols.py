# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names of code addresses, from the symbol tables of the files that were mapped.

Only the standard library is needed. c++filt makes C++ names readable where it is installed; a separate
file with symbols (/usr/lib/debug/.build-id) is used where the distribution's package is installed.
"""
import bisect
import os
import shutil
import struct
import subprocess
from collections import namedtuple

Mapping = namedtuple("Mapping", "start end offset path")


class Elf:
    """Loadable parts and function symbols of a 64-bit little-endian ELF file."""

    def __init__(self, path):
        self.loads, self.functions, self.build_id = [], [], None
        with open(path, "rb") as file:
            self.data = memoryview(file.read())
        if bytes(self.data[:6]) != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit ELF file")
        phoff, shoff = struct.unpack_from("<QQ", self.data, 32)
        phentsize, phnum, shentsize, shnum = struct.unpack_from("<4H", self.data, 54)
        for i in range(phnum):
            kind, _, offset, vaddr, _, size = struct.unpack_from("<IIQQQQ", self.data, phoff + i * phentsize)
            if kind == 1:
                self.loads.append((offset, vaddr, size))
            elif kind == 4:
                self.read_note(offset, size)
        sections = [struct.unpack_from("<IIQQQQIIQQ", self.data, shoff + i * shentsize) for i in range(shnum)]
        tables = [s for s in sections if s[1] == 2] or [s for s in sections if s[1] == 11]
        for table in tables:
            self.read_symbols(table, sections[table[6]])
        self.functions.sort()
        self.starts = [f[0] for f in self.functions]

    def read_note(self, at, size):
        end = at + size
        while at + 12 <= end:
            name_size, size, kind = struct.unpack_from("<III", self.data, at)
            at += 12
            if kind == 3 and bytes(self.data[at:at + 4]) == b"GNU\0":
                start = at + (name_size + 3 & ~3)
                self.build_id = bytes(self.data[start:start + size]).hex()
            at += (name_size + 3 & ~3) + (size + 3 & ~3)

    def read_symbols(self, table, strings):
        offset, size = table[4], table[5]
        names = bytes(self.data[strings[4]:strings[4] + strings[5]])
        for name, info, _, section, value, length in struct.iter_unpack(
                "<IBBHQQ", self.data[offset:offset + size // 24 * 24]):
            if info & 15 in (2, 10) and section != 0:
                self.functions.append((value, length, names[name:names.index(b"\0", name)].decode("utf-8", "replace")))

    def address_of(self, file_offset):
        for offset, vaddr, size in self.loads:
            if offset & ~0xFFF <= file_offset < offset + size:
                return vaddr + file_offset - offset
        return file_offset

    def function_at(self, address):
        i = bisect.bisect_right(self.starts, address) - 1
        if i >= 0:
            value, length, name = self.functions[i]
            if address < value + length or (length == 0 and i + 1 < len(self.starts)):
                return name
        return None


def open_elf(path):
    """The file, or its separate symbols if it has none of its own and they are installed."""
    try:
        elf = Elf(path)
    except (OSError, ValueError, struct.error, IndexError):
        return None
    if elf.build_id:
        debug = "/usr/lib/debug/.build-id/%s/%s.debug" % (elf.build_id[:2], elf.build_id[2:])
        if os.path.exists(debug):
            try:
                elf.functions, elf.starts = (lambda d: (d.functions, d.starts))(Elf(debug))
            except (OSError, ValueError, struct.error, IndexError):
                pass
    return elf


def demangle(names):
    """C++ names as people write them, without their parameters."""
    tool = shutil.which("c++filt")
    if tool is None or not any(n.startswith("_Z") for n in names):
        return list(names)
    done = subprocess.run([tool, "-p"], input="\n".join(names), capture_output=True, text=True, check=False)
    result = done.stdout.split("\n")
    return result[:len(names)] if done.returncode == 0 and len(result) >= len(names) else list(names)


class Namer:
    def __init__(self, mappings):
        self.mappings = sorted(mappings)
        self.starts = [m.start for m in self.mappings]
        self.files, self.names = {}, {}

    def raw_name(self, address):
        i = bisect.bisect_right(self.starts, address) - 1
        if i < 0 or address >= self.mappings[i].end:
            return "[unknown]"
        mapping = self.mappings[i]
        offset = address - mapping.start + mapping.offset
        if mapping.path.startswith("/"):
            if mapping.path not in self.files:
                self.files[mapping.path] = open_elf(mapping.path)
            elf = self.files[mapping.path]
            if elf is not None:
                offset = elf.address_of(offset)
                name = elf.function_at(offset)
                if name is not None:
                    return name
        return "%s+0x%x" % (os.path.basename(mapping.path) or "[anon]", offset)

    def prepare(self, addresses):
        addresses = sorted(addresses)
        raw = [self.raw_name(a) for a in addresses]
        self.names = dict(zip(addresses, demangle(raw)))

    def name(self, address):
        return self.names[address]
