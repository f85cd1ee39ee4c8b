# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Heap profiles from files: pprof text, profile.proto (gzip'd or not), collapsed stacks.

load(path) gives a Profile: stacks of names, outermost first, with values by kind.
"""
import gzip
import re

from . import symbols

KINDS = ("inuse_space", "inuse_objects", "alloc_space", "alloc_objects", "peak_space", "peak_objects")


class ProfileError(Exception):
    """The file is not what it should be; the text says what is wrong."""


class Profile:
    def __init__(self, path, kinds):
        self.path = path
        self.kinds = kinds
        self.stacks = {}  # tuple of names, outermost first -> {kind: value}

    def add(self, stack, values):
        into = self.stacks.setdefault(stack, dict.fromkeys(self.kinds, 0))
        for kind, value in values.items():
            into[kind] += value

    def total(self, kind):
        return sum(values[kind] for values in self.stacks.values())

    def check_kind(self, kind):
        if kind not in self.kinds:
            hint = " (a text profile's peak is in its own file, .peak)" if "peak" in kind else ""
            raise ProfileError("%s has no %s; it has %s%s" % (self.path, kind, ", ".join(self.kinds), hint))


# ---- pprof text ----

HEAD = re.compile(r"heap profile:\s*\d+:\s*\d+\s*\[\s*\d+:\s*\d+\]\s*@\s*(\S*)")
ENTRY = re.compile(r"\s*(\d+):\s*(\d+)\s*\[\s*(\d+):\s*(\d+)\]\s*@((?:\s+0x[0-9a-fA-F]+)*)")
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+\s*(.*)")


def read_text(path, text):
    lines = text.splitlines()
    head = HEAD.match(lines[0])
    if head is None:
        raise ProfileError("%s: line 1: not the head of a heap profile" % path)
    if "_v2" in head.group(1):
        raise ProfileError("%s: samples that are not scaled (%s) are not read" % (path, head.group(1)))
    entries, mappings, in_mappings = [], [], False
    for number, line in enumerate(lines[1:], 2):
        if line.startswith("MAPPED_LIBRARIES:"):
            in_mappings = True
        elif in_mappings:
            match = MAPPING.match(line)
            if match and "x" in match.group(3):
                start, end, offset = (int(match.group(i), 16) for i in (1, 2, 4))
                mappings.append(symbols.Mapping(start, end, offset, match.group(5)))
        elif line.strip():
            match = ENTRY.match(line)
            if match is None:
                raise ProfileError("%s: line %d: not an entry of a heap profile" % (path, number))
            addresses = [int(a, 16) - 1 for a in match.group(5).split()]
            entries.append((addresses, [int(match.group(i)) for i in range(1, 5)]))
    profile = Profile(path, KINDS[:4])
    namer = symbols.Namer(mappings)
    namer.prepare({a for addresses, _ in entries for a in addresses})
    for addresses, (count, size, all_count, all_size) in entries:
        stack = tuple(namer.name(a) for a in reversed(addresses) if a > 0) or ("[unknown]",)
        profile.add(stack, {"inuse_objects": count, "inuse_space": size,
                            "alloc_objects": all_count, "alloc_space": all_size})
    return profile


# ---- profile.proto ----

def fields(data):
    """(number, value) of each field of a message; value is an int or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = int.from_bytes(data[at:at + size], "little"), at + size
        else:
            raise ValueError("wire type %d" % wire)
        yield key >> 3, value


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def numbers(value):
    """A repeated number, packed or single."""
    if isinstance(value, int):
        return [value]
    result, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        result.append(number)
    return result


def one(message, number, default=0):
    for field, value in fields(message):
        if field == number:
            return value
    return default


def read_proto(path, data):
    types, samples, mappings, locations, strings = [], [], {}, {}, []
    try:
        for field, value in fields(data):
            if field == 1:
                types.append(one(value, 1))
            elif field == 2:
                samples.append(value)
            elif field == 3:
                mappings[one(value, 1)] = value
            elif field == 4:
                locations[one(value, 1)] = one(value, 3)
            elif field == 6:
                strings.append(value.decode("utf-8", "replace"))
        kinds = [strings[t] for t in types]
        maps = [symbols.Mapping(one(m, 2), one(m, 3), one(m, 4), strings[one(m, 5)])
                for m in mappings.values()]
    except (IndexError, ValueError, AttributeError) as error:
        raise ProfileError("%s: not a profile.proto (%s)" % (path, error)) from None
    profile = Profile(path, tuple(kinds))
    namer = symbols.Namer(maps)
    namer.prepare(set(locations.values()))
    for sample in samples:
        ids = [n for f, v in fields(sample) if f == 1 for n in numbers(v)]
        values = [n for f, v in fields(sample) if f == 2 for n in numbers(v)]
        stack = tuple(namer.name(locations[i]) for i in reversed(ids)) or ("[unknown]",)
        profile.add(stack, dict(zip(kinds, values)))
    return profile


# ---- collapsed stacks ----

def read_collapsed(path, text):
    profile = Profile(path, ("inuse_space",))
    for number, line in enumerate(text.splitlines(), 1):
        stack, _, value = line.rpartition(" ")
        if not stack or not value.isdigit():
            raise ProfileError("%s: line %d: not a stack and a number" % (path, number))
        names = symbols.demangle(stack.split(";"))
        profile.add(tuple(names), {"inuse_space": int(value)})
    return profile


def load(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ProfileError("%s: %s" % (path, error.strerror)) from None
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise ProfileError("%s: damaged (%s)" % (path, error)) from None
        return read_proto(path, data)
    if not data:
        raise ProfileError("%s: empty" % path)
    text = data.decode("utf-8", "replace")
    if text.startswith("heap profile:"):
        return read_text(path, text)
    if data[0] == 0x0A:
        return read_proto(path, data)
    return read_collapsed(path, text)
