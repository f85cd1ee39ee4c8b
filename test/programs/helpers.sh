# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash
#
# Functions for the workloads in cases/; sourced by run_program.sh in the shell that runs them.

# Runs a command whose output is not compared: timings, addresses, chatter. It goes to a file that
# is searched for signs of a crash and shown when the test fails.
quietly() { "$@" >>"$UMF_TEST_NOISE" 2>&1; }

# Writes down, for the runner, the mapping that proves that a process has the library, or that it
# has none. proof_of_maps PID|self
proof_of_maps() {
    local maps
    maps=$(<"/proc/$1/maps")
    grep -m 1 -F -- "${UMF_TEST_LIBRARY_FILE:-none}" <<<"$maps" >>"$UMF_TEST_PROOF" ||
        echo "not mapped in process $1" >>"$UMF_TEST_PROOF"
}

# until_ready SECONDS COMMAND...: repeats a command until it succeeds.
until_ready() {
    local tries=$(($1 * 20))
    shift
    while ! quietly "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            echo "never became ready: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

# stop_at_exit PID...: ends servers with the shell, however it ends.
stop_list=()
stop_now() {
    kill "${stop_list[@]}" 2>/dev/null || true
    wait "${stop_list[@]}" 2>/dev/null || true
}
stop_at_exit() {
    stop_list+=("$@")
    trap stop_now EXIT
}

# words LINES: the same pseudo-random text on every call, six words a line.
words() {
    awk -v lines="$1" 'BEGIN {
        seed = 42
        for (i = 0; i < lines; i++) {
            line = i
            for (j = 0; j < 6; j++) {
                seed = (seed * 1103515245 + 12345) % 2147483648
                line = line " w" int(seed / 65536) % 5000
            }
            print line
        }
    }'
}

# Prints a TCP port of the loopback address that nothing listens on right now.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}
