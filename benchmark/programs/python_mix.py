# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Allocation-heavy Python: JSON there and back, dictionaries, strings, sorting. Argument: scale
(default 1).

Python serves objects up to 512 bytes from arenas of its own, which come from mmap, so the program
is started with PYTHONMALLOC=malloc to send each object to malloc, as extension modules and embedded
interpreters often do.
"""
import hashlib
import json
import random
import sys


def records(count, rng):
    return [
        {
            "id": i,
            "name": "user%d" % rng.randrange(count),
            "tags": ["t%d" % rng.randrange(99) for _ in range(5)],
            "score": rng.random(),
            "text": "lorem ipsum " * rng.randrange(1, 20),
        }
        for i in range(count)
    ]


def group(rows):
    by_tag = {}
    for row in rows:
        for tag in row["tags"]:
            by_tag.setdefault(tag, []).append((row["score"], row["name"].upper() + tag))
    return {tag: sorted(pairs)[:50] for tag, pairs in by_tag.items()}


def words(rows):
    counts = {}
    for row in rows:
        for word in (row["text"] + row["name"]).split():
            counts[word] = counts.get(word, 0) + 1
    return ",".join("%s=%d" % item for item in sorted(counts.items()))


def main():
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rng = random.Random(1)
    digest = hashlib.sha256()
    for _ in range(max(1, round(5 * scale))):
        text = json.dumps(records(5000, rng))
        rows = json.loads(text)
        digest.update(words(rows).encode())
        digest.update(json.dumps(group(rows), sort_keys=True).encode())
    print(digest.hexdigest())


main()
