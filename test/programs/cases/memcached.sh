# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# memcached over a unix socket: fills beyond its limit so that it evicts, with two worker threads.

programs=(memcached)
tools=(python3)

workload() {
    local user=()
    [ "$(id -u)" -ne 0 ] || user=(-u root)
    memcached ${user[@]+"${user[@]}"} -s "$PWD/socket" -m 64 -t 2 >>"$UMF_TEST_NOISE" 2>&1 &
    stop_at_exit $!
    until_ready 20 test -S socket
    cat >client.py <<'PY'
import socket, threading
def client(n, results):
    s = socket.socket(socket.AF_UNIX)
    s.connect("socket")
    f = s.makefile("rwb")
    stored = good = 0
    for i in range(5000):
        size = i * 37 % 9000
        f.write(b"set k%d_%d 0 0 %d\r\n" % (n, i, size) + b"x" * size + b"\r\n")
        f.flush()
        stored += f.readline() == b"STORED\r\n"
    for i in range(4990, 5000):
        f.write(b"get k%d_%d\r\n" % (n, i))
        f.flush()
        if f.readline().startswith(b"VALUE"):
            good += len(f.readline()) == i * 37 % 9000 + 2
            f.readline()
    results[n] = (stored, good)
results = {}
threads = [threading.Thread(target=client, args=(n, results)) for n in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results.items()))
PY
    python3 client.py
}
