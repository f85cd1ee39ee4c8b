# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# PostgreSQL: initdb, server on a unix socket, pgbench, sorting, parallel query and vacuum; as a
# user without rights.

binaries=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | sed -n '$p')
programs=("$binaries/postgres" "$binaries/initdb")
tools=(setpriv)
limit=90

# The server refuses to be root. The other user may not get at the library where it lies.
server() {
    if [ "$(id -u)" -eq 0 ]; then
        if [ -n "${LD_PRELOAD:-}" ]; then
            install -D -m 755 "$LD_PRELOAD" "$PWD/lib/${LD_PRELOAD##*/}"
            env LD_PRELOAD="$PWD/lib/${LD_PRELOAD##*/}" \
                setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
        else
            setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
        fi
    else
        "$@"
    fi
}

sql() { server "$binaries/psql" -q -X -A -t -h "$PWD/data" -U postgres postgres "$@"; }

workload() {
    mkdir data
    [ "$(id -u)" -ne 0 ] || chown 65534:65534 data
    quietly server "$binaries/initdb" -D "$PWD/data" -N -A trust -U postgres -E UTF8 \
        --locale=C.UTF-8
    trap 'quietly server "$binaries/pg_ctl" -D "$PWD/data" -m immediate stop || true' EXIT
    quietly server "$binaries/pg_ctl" -D "$PWD/data" -w -t 60 -l "$PWD/data/log" \
        -o "-k '$PWD/data' -h '' -F -c jit=off" start
    quietly server "$binaries/pgbench" -i -q -s 2 -h "$PWD/data" -U postgres postgres
    quietly server "$binaries/pgbench" -c 4 -j 2 -t 250 -h "$PWD/data" -U postgres postgres
    sql -c 'select count(*) from pgbench_history'
    sql -c 'select (select sum(abalance) from pgbench_accounts) =
                   (select sum(delta) from pgbench_history)'
    sql -c "create table t as select i, md5(i::text) m from generate_series(1, 100000) i" \
        -c 'create index on t (m)' \
        -c 'set work_mem = 65536' \
        -c 'select count(*), min(m), max(m) from (select m from t order by m desc offset 10) s' \
        -c "select left(m, 2) p, count(*) from t group by p order by 2 desc, 1 limit 5" \
        -c 'set min_parallel_table_scan_size = 0' -c 'set parallel_setup_cost = 0' \
        -c 'select sum(length(m)) from t where m ~ $$a.*b$$' \
        -c "select length(jsonb_agg(t)::text) from t where i < 3000" \
        -c 'vacuum analyze t'
    quietly server "$binaries/pg_ctl" -D "$PWD/data" -w -m fast stop
    trap - EXIT
    ! grep -E 'PANIC|terminated by signal' data/log
}
