# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# guile: lists, strings, big numbers and hash tables under the Boehm collector.

programs=(guile)

workload() {
    cat >work.scm <<'SCM'
(use-modules (srfi srfi-1) (ice-9 regex) (ice-9 threads))
(define (work seed)
  (let ((table (make-hash-table)))
    (let loop ((i 0) (s seed))
      (if (< i 50000)
          (let ((next (modulo (+ (* s 1103515245) 12345) 2147483648)))
            (hash-set! table (quotient next 65536) (+ 1 (hash-ref table (quotient next 65536) 0)))
            (loop (+ i 1) next))))
    (hash-fold (lambda (k v acc) (modulo (+ acc (* k v)) 1000003)) 0 table)))
(display (map work (iota 4 1))) (newline)
(display (par-map work (iota 4 5))) (newline)
(define (factorial n) (if (zero? n) 1 (* n (factorial (- n 1)))))
(display (string-length (number->string (factorial 1500)))) (newline)
(display (length (list-matches "7[0-4]" (string-join (map number->string (iota 20000)) " ")))) (newline)
(display (fold + 0 (map (lambda (x) (* x x)) (iota 100000)))) (newline)
SCM
    GUILE_AUTO_COMPILE=0 guile --no-auto-compile work.scm
}
