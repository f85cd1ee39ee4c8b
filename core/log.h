/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Logging, set up by UMF_LOG. Never allocates: a line is formatted on the stack and written with
 * one write(2), so it works inside malloc, in a forked child and at exit.
 */
#ifndef UMF_CORE_LOG_H
#define UMF_CORE_LOG_H

#include "core/lock.h"
#include "core/utils.h"

typedef enum log_level {
    LOG_DEBUG = 0,
    LOG_INFO = 1,
    LOG_WARNING = 2,
    LOG_ERROR = 3,
    LOG_FATAL = 4
} log_level_t;

enum { LOG_OUTPUT_BYTES = 256 }; /* of an output's name, with the NUL */

typedef struct log_state {
    umf_lock_t lock;                /* changes of the target */
    _Atomic(int) min_level_plus1;   /* lines below are dropped; 0 (all-zero state): everything but
                                       FATAL is dropped */
    _Atomic(int) flush_level_plus1; /* kept for the interface; write(2) needs no flush */
    _Atomic(int) fd_plus1;          /* 0: logging is off (FATAL goes to stderr) */
    int file_fd_plus1; /* descriptor that log files get, open from the first one on; under lock */
    _Atomic(bool) timestamp;
    _Atomic(bool) pid;
    char output[LOG_OUTPUT_BYTES]; /* "stdout", "stderr", file name, or "" when off; under lock */
} log_state_t;

/* Reads UMF_LOG (secure_getenv); once, from umfInit. */
void log_init_from_environment(void);
/* Parses a UMF_LOG string; wrong input is reported in one line on stderr. */
void log_configure(const char *text);

/* Changes while the program runs (umf.logger.*). A name of "" switches the log off. False: the file
 * can not be opened, which was logged; nothing changed. */
bool log_set_output(const char *name);
void log_get_output(char (*name)[LOG_OUTPUT_BYTES]);
void log_set_timestamp(bool on);

bool log_enabled(log_level_t level);
void log_write(log_level_t level, const char *function, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Appends ": " + strerror(errno); preserves errno. */
void log_write_errno(log_level_t level, const char *function, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG_AT(level, ...)                                                                         \
    do {                                                                                           \
        if (unlikely(log_enabled(level))) {                                                        \
            log_write((level), __func__, __VA_ARGS__);                                             \
        }                                                                                          \
    } while (0)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_warning(...) LOG_AT(LOG_WARNING, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_fatal(...) LOG_AT(LOG_FATAL, __VA_ARGS__)
#define log_error_errno(...) log_write_errno(LOG_ERROR, __func__, __VA_ARGS__)

/*
 * From here to log_capture(NULL, 0) the text of this thread's last ERROR or FATAL line is copied to
 * `text` (of `bytes`), also when the log is off, and FATAL lines of a log that is off are only
 * copied. For messages that tell why something did not work.
 */
void log_capture(char *text, size_t bytes);

/* One line straight to stderr, "umf: …", whatever the log settings: for messages that the user must
 * see. No allocation. */
void umf_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, then abort(). For corruption. */
_Noreturn void umf_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* UMF_CORE_LOG_H */
