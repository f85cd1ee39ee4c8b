# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# php: arrays, strings, regular expressions, JSON; with its own allocator and with plain malloc.
# Without its extension modules (-n), which php-modules loads.

programs=(php)

workload() {
    cat >work.php <<'PHP'
<?php
function work($seed) {
    $counts = [];
    for ($i = 0; $i < 100000; $i++) {
        $seed = ($seed * 1103515245 + 12345) % 2147483648;
        $word = 'w' . ($seed >> 17);
        $counts[$word] = ($counts[$word] ?? 0) + 1;
    }
    ksort($counts);
    $text = json_encode($counts);
    if (json_decode($text, true) !== $counts) die("differs\n");
    return preg_match_all('/"w\d*7":/', $text) . ' ' . hash('sha256', $text);
}
for ($i = 1; $i <= 4; $i++) echo work($i), "\n";
$long = '';
for ($i = 0; $i < 200000; $i++) $long .= chr(65 + $i % 26);
echo strlen($long), ' ', md5(strrev($long)), ' ', crc32(str_replace('A', 'bbb', $long)), "\n";
$heap = new SplPriorityQueue;
for ($i = 0; $i < 50000; $i++) $heap->insert("item $i", $i * 7919 % 10007);
echo $heap->extract(), ' ', count($heap), "\n";
PHP
    php -n -d memory_limit=512M -f work.php
    USE_ZEND_ALLOC=0 php -n -d memory_limit=512M -f work.php
}
