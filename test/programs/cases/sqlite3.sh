# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# sqlite3: a table of 100000 rows with indexes, joins, JSON, full-text search and vacuum.

programs=(sqlite3)

workload() {
    sqlite3 work.db <<'SQL'
create table t (id integer primary key, k integer, v text);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into t select i, (i * 7919) % 10007, 'value ' || (i * 31 % 977) from n;
commit;
create index t_k on t (k, v);
select count(*), sum(k), min(v), max(v) from t;
select v, count(*) c from t group by v order by c desc, v limit 5;
select count(*) from t a join t b on a.k = b.k and a.id < b.id where a.id < 3000;
update t set v = upper(v) || id where id % 3 = 0;
delete from t where id % 10 = 0;
select count(*), sum(length(v)) from t;
select length(json_group_array(json_object('id', id, 'v', v))) from t where k < 500;
create table copy as select * from t order by v desc, id;
select group_concat(v, ',') from (select v from copy limit 5);
create virtual table ft using fts5(body);
insert into ft select v from t where id < 5000;
select count(*) from ft where ft match 'value AND 3*';
select printf('%.6f', avg(k)) from t;
pragma integrity_check;
vacuum;
SQL
    sqlite3 work.db .dump | sha256sum
    sqlite3 :memory: 'with recursive n(i) as (select 1 union all select i + 1 from n limit 100000)
                      select count(distinct hex(i * i)) from n'
}
