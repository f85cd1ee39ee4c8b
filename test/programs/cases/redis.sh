# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# redis-server and redis-benchmark over a unix socket; background save (fork), scripts, restart.

programs=(redis-server redis-benchmark)
tools=(redis-cli)

# Waits until no background save runs.
saved() { redis-cli -s redis.sock info persistence | grep -q 'rdb_bgsave_in_progress:0'; }

start() {
    redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" --save '' --daemonize no \
        --appendonly no >>"$UMF_TEST_NOISE" 2>&1 &
    stop_at_exit $!
    until_ready 20 redis-cli -s redis.sock ping
}

workload() {
    start
    quietly redis-benchmark -s redis.sock -n 4000 -c 20 -d 200 -r 5000 -q \
        -t set,get,incr,lpush,lpop,sadd,hset,zadd,mset,lrange_100
    redis-cli -s redis.sock flushall
    redis-cli -s redis.sock eval '
        for i = 1, 20000 do
            redis.call("set", "s" .. i, string.rep("x", i % 300))
            redis.call("hset", "h" .. i % 100, "f" .. i, i)
            redis.call("zadd", "z", i * 7919 % 10007, "m" .. i)
        end
        return redis.call("dbsize")' 0
    redis-cli -s redis.sock bgsave
    redis-cli -s redis.sock eval 'for i = 1, 20000, 3 do redis.call("append", "s" .. i, "more") end' 0
    until_ready 20 saved
    redis-cli -s redis.sock save
    redis-cli -s redis.sock strlen s19999
    redis-cli -s redis.sock hlen h42
    redis-cli -s redis.sock zrange z 100 110 withscores
    redis-cli -s redis.sock memory usage s299 >>"$UMF_TEST_NOISE"
    quietly redis-cli -s redis.sock memory malloc-stats
    redis-cli -s redis.sock shutdown nosave || true
    wait
    rm -f redis.sock
    start
    redis-cli -s redis.sock dbsize
    redis-cli -s redis.sock strlen s19999
    redis-cli -s redis.sock flushall async
}
