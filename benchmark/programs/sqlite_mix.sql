-- SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
-- Inserts, index, selects with join, group and sort, update and delete in a database in memory.
-- ROWS is replaced by the number of rows (90000 at scale 1). The sums are the same in each run.
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, town TEXT, score INTEGER);
CREATE TABLE visit(person INTEGER, place TEXT, minutes INTEGER);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS)
INSERT INTO person
SELECT i, 'name' || (i * 7919 % 10007), 'town' || (i * 31 % 211), i * 48271 % 65537 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS * 2)
INSERT INTO visit
SELECT i * 6151 % ROWS + 1, 'place' || (i * 17 % 1009) || hex(i * i), i * 271 % 599 FROM n;
COMMIT;
CREATE INDEX visit_person ON visit(person);
CREATE INDEX person_name ON person(name, town);
SELECT count(*), sum(score) FROM person WHERE name LIKE 'name1%';
SELECT sum(length(p.name) * v.minutes)
FROM person p JOIN visit v ON v.person = p.id WHERE p.score % 3 = 0;
SELECT sum(length(t)) FROM (SELECT group_concat(name, ';') AS t FROM person GROUP BY town);
SELECT sum(m)
FROM (SELECT max(minutes) AS m FROM visit GROUP BY place ORDER BY place DESC LIMIT 1000);
UPDATE person SET name = upper(name) || '-' || town WHERE id % 2 = 0;
DELETE FROM visit WHERE minutes < 200;
SELECT count(*), sum(length(name)) FROM person;
SELECT sum(rowid % 1000) FROM (SELECT rowid FROM visit ORDER BY place, minutes LIMIT 20000);
