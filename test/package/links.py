#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks the documents' links that stay in the tree.

    links.py SOURCE

Every relative link of README.md, CONTRIBUTING.md, docs/*.md and examples/README.md must lead to a file or folder, and its
`#section` to a heading of that document. Every document in docs/ must be linked from docs/README.md.
"""
import glob
import os
import re
import sys

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def anchors(path):
    """What `#section` may be in a document: its headings, as renderers write them."""
    with open(path) as file:
        text = FENCE.sub("", file.read())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.M)}


def problem(document, link):
    """What is wrong with a link, or None."""
    path, _, section = link.partition("#")
    target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
    if not os.path.exists(target):
        return "there is no such file"
    if section and section not in anchors(target):
        return f"{os.path.basename(target)} has no such section"
    return None


def main():
    source = os.path.abspath(sys.argv[1])
    documents = [os.path.join(source, name) for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")]
    documents += sorted(glob.glob(os.path.join(source, "docs", "*.md")))
    index = os.path.join(source, "docs", "README.md")
    checked, wrong, listed = 0, 0, {index}
    for document in documents:
        with open(document) as file:
            text = FENCE.sub("", file.read())
        for link in LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            checked += 1
            if document == index:
                listed.add(os.path.normpath(os.path.join(os.path.dirname(index), link.partition("#")[0])))
            fault = problem(document, link)
            if fault:
                wrong += 1
                print(f"{os.path.relpath(document, source)}: ({link}): {fault}")
    for document in documents:
        if os.path.dirname(document) == os.path.dirname(index) and document not in listed:
            wrong += 1
            print(f"docs/README.md does not list {os.path.basename(document)}")
    print(f"links: {checked} checked, {wrong} wrong")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
