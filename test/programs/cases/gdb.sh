# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# gdb in batch mode: gdb itself under the library debugging a program, and gdb without it
# debugging a program under it: break in a function, backtrace, print, call malloc in the program,
# continue, follow threads.

programs=(gdb)
tools=(gcc)

# Left out: thread and process numbers, the library list and messages about the system.
normalise() {
    sed -E 's/process [0-9]+/process N/; s/0x[0-9a-f]+/ADDRESS/g; s/^Thread .* hit //' |
        grep -E '^(Breakpoint|#[0-9]|\$[0-9]|Value|answer|\[Inferior|done)'
}

workload() {
    cat >work.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { struct node *next; char *text; int n; };
static struct node *list;
static int total;
__attribute__((noinline)) int probe(struct node *node, int depth) {
    total += node->n + depth;
    return total;
}
static void *grow(void *unused) {
    for (int i = 0; i < 1000; i++) {
        struct node *node = malloc(sizeof *node);
        node->text = strdup("some text");
        node->n = i;
        node->next = list;
        list = node;
    }
    probe(list, 3);
    return unused;
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, grow, NULL);
    pthread_join(thread, NULL);
    probe(list->next, 4);
    while (list) {
        struct node *next = list->next;
        free(list->text);
        free(list);
        list = next;
    }
    printf("answer %d\n", total);
    return 0;
}
C
    gcc -g -O0 -pthread work.c -o work
    # On some processors (large vector state) the kernel refuses gdb 13's way to write registers, so that gdb can
    # call no function, with or without us: then that one line is left out.
    local call='print (int)strlen((char *)strcpy((char *)malloc(100), "made by gdb"))'
    if ! env -u LD_PRELOAD gdb -q -nx -batch -ex 'break probe' -ex run -ex 'print probe(node, 0)' ./work 2>&1 |
        grep -q '^\$1 = '; then
        echo 'left out: gdb can not call functions of a program on this machine'
        call='print 0'
    fi
    cat >commands <<GDB
set pagination off
set confirm off
set debuginfod enabled off
set disable-randomization off
break probe
run
backtrace
print *node
print node->text
finish
continue
backtrace
print depth
$call
delete
continue
GDB
    # gdb and the program both under the library.
    gdb -q -nx -batch -x commands ./work 2>>"$UMF_TEST_NOISE"
    # Only the program under it.
    local preload=${LD_PRELOAD:-}
    env -u LD_PRELOAD gdb -q -nx -batch ${preload:+-ex "set environment LD_PRELOAD $preload"} \
        -ex 'set startup-with-shell off' -x commands ./work 2>>"$UMF_TEST_NOISE"
    # A running program under it, attached to.
    cat >wait.c <<'C'
#include <stdlib.h>
#include <unistd.h>
volatile int go;
char *volatile text;
int main(void) { while (!go) { free(text); text = calloc(1, 100); usleep(1000); } return go; }
C
    gcc -g -O0 wait.c -o wait
    ./wait &
    local pid=$! status=0
    stop_at_exit "$pid"
    if quietly gdb -q -nx -batch -p "$pid" -ex 'set var go = 5' -ex detach; then
        wait "$pid" || status=$?
        echo "done with status $status"
    fi
}
