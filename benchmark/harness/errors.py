# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The one exception that ends scripts/bench with a one-line message instead of a traceback."""


class BenchError(Exception):
    """Something outside the measurement is wrong: a missing tool, a failed build, a bad
    argument."""
