# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# python3: json, regular expressions, threads and processes; once with its own small-object
# allocator and once with PYTHONMALLOC=malloc, where every object is a malloc.

programs=(python3)
proof=yes

workload() {
    cat >work.py <<'PY'
import json, os, random, re, threading, multiprocessing, hashlib, sys

def prove():
    library = os.environ.get("UMF_TEST_LIBRARY_FILE", "none")
    line = next((l for l in open("/proc/self/maps") if library in l), f"not mapped in {os.getpid()}\n")
    with open(os.environ["UMF_TEST_PROOF"], "a") as proof:
        proof.write(line)

def work(seed):
    rng = random.Random(seed)
    data = {f"k{i}": [rng.random() for _ in range(20)] for i in range(500)}
    text = json.dumps(data)
    assert json.loads(text) == data
    numbers = re.findall(r"0\.(\d{3})\d*", text)
    joined = "".join(sorted(numbers))
    return hashlib.sha256(joined.encode()).hexdigest()

def work_in_process(seed):
    prove()
    return work(seed)

if __name__ == "__main__":
    prove()
    results = [None] * 8
    def in_thread(i):
        results[i] = work(i)
    for _ in range(3):
        threads = [threading.Thread(target=in_thread, args=(i,)) for i in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
    print(*results, sep="\n")
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(*pool.map(work_in_process, range(6)), sep="\n")
    big = bytearray()
    for i in range(200000):
        big += i.to_bytes(8, "little")
    print(hashlib.sha256(big).hexdigest(), sys.getrecursionlimit())
PY
    python3 work.py
    PYTHONMALLOC=malloc python3 work.py
}
