# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# numpy in python3: large arrays, aligned blocks, linear algebra on two threads.

programs=(python3)

unavailable() { python3 -c 'import numpy' 2>/dev/null || echo 'numpy is not installed'; }

workload() {
    export OPENBLAS_NUM_THREADS=2
    python3 - <<'PY'
import numpy as np
rng = np.random.default_rng(7)
a = rng.integers(0, 100, (400, 400)).astype(float)
b = rng.integers(0, 100, (400, 400)).astype(float)
print(int((a @ b).sum()), int(np.trace(a @ b.T)))
x = np.linalg.solve(a + 1000 * np.eye(400), b)
print(np.allclose((a + 1000 * np.eye(400)) @ x, b))
for n in (10, 1000, 100000, 3000000):
    v = np.arange(n, dtype=np.int64)
    for _ in range(10):
        v = np.concatenate([v[::2], v[1::2]])
    print(n, int((v * np.arange(n)).sum() % 1000003))
s = np.array(["word%d" % (i * 7919 % 10007) for i in range(50000)])
print(len(np.unique(s)), np.sort(s)[123])
print(int(abs(np.fft.fft(np.ones(1 << 18))).sum()))
PY
}
