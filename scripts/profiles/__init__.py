# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reading heap profiles, finding names, drawing flame graphs: the modules of scripts/profile-*."""
