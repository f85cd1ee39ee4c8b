# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Python side of scripts/bench; standard library only. See benchmark/README.md for the map of
its files."""
