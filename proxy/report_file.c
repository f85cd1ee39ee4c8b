/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Files of reports. No allocation, no stdio: also within malloc. */
#define _GNU_SOURCE
#include "proxy/report_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

static int stderr_fd = STDERR_FILENO;
static pid_t first_pid; /* of the process that loaded the library, until it execs */

__attribute__((constructor(101))) static void report_file_load(void) {
    first_pid = getpid();
}

void report_file_keep_stderr(void) {
    enum { FD_MIN = 900 }; // out of the way of programs that count on low numbers
    if (stderr_fd == STDERR_FILENO) {
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, FD_MIN);
        stderr_fd = fd >= 0 ? fd : STDERR_FILENO;
    }
}

/* Appends what fits. */
static size_t put_text(char *name, size_t used, const char *text) {
    for (; *text != '\0' && used < REPORT_PATH_BYTES - 1; text++) {
        name[used++] = *text;
    }
    return used;
}

static size_t put_number(char *name, size_t used, unsigned number) {
    char digits[12];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return put_text(name, used, digits + at);
}

void report_file_name(char *name, const char *pattern, unsigned number) {
    size_t used = 0;
    bool has_pid = strncmp(pattern, "/dev/", 5) == 0; // one for all: /dev/null, /dev/stderr
    pid_t pid = getpid();
    for (const char *at = pattern; *at != '\0' && used < REPORT_PATH_BYTES - 1; at++) {
        if (*at != '%' || at[1] == '\0') {
            name[used++] = *at;
            continue;
        }
        switch (*++at) {
        case 'p':
            used = put_number(name, used, (unsigned)pid);
            has_pid = true;
            break;
        case 'n':
            used = put_number(name, used, number);
            break;
        case '%':
            name[used++] = '%';
            break;
        default: // not ours
            name[used++] = '%';
            used = put_text(name, used, (const char[]){*at, '\0'});
            break;
        }
    }
    if (used > 0 && !has_pid && first_pid != 0 && pid != first_pid) {
        used = put_number(name, put_text(name, used, "."), (unsigned)pid);
    }
    name[used] = '\0';
}

static int open_for_writing(const char *name, int flags) {
    if (*name == '\0') {
        return stderr_fd;
    }
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0) {
        umf_message("%s: %s", name, strerrordesc_np(errno));
    }
    return fd;
}

int report_file_open(const char *name) {
    return open_for_writing(name, O_TRUNC);
}

int report_file_append(const char *name) {
    return open_for_writing(name, O_APPEND);
}

void report_file_close(int fd) {
    if (fd >= 0 && fd != stderr_fd && fd != STDERR_FILENO) {
        close(fd);
    }
}
