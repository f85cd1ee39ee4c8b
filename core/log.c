/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Logging. A line is built in a buffer on the stack and leaves with one write(2): no stdio stream,
 * no malloc, no lock, so lines of threads and processes never mix and a line may be written from
 * anywhere.
 *
 *   [<date> PID:<pid> TID:<tid> <LEVEL> UMF] <function>: <message>
 *
 * Local time needs the zone's offset from UTC, and the C library reads zone files with malloc. The
 * offset is therefore asked for once, when timestamps are switched on; a change of daylight saving
 * time during the run is not followed. The date itself is computed here: gmtime_r takes a lock of
 * the C library that a forked child may find held.
 */
#define _GNU_SOURCE
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <umf/base.h>

#include "core/state.h"
#include "core/system_call.h"

enum {
    LOG_TEXT_MAX = 8191, /* characters of function and message; given by the format */
    LOG_HEAD_MAX = 96,   /* date, ids, level and brackets */
    LOG_NO_ERRNO = -1,
    LOG_FILE_FD_MIN = 100, /* programs that close "all" descriptors mostly mean low ones */
};

static const char log_cut_mark[] = "[truncated...]";

/* One name per level, as in UMF_LOG; the order is that of log_level_t. */
static const char *const log_level_names[] = {"debug", "info", "warning", "error", "fatal"};
static const char *const log_level_marks[] = {"DEBUG", "INFO ", "WARN ", "ERROR", "FATAL"};

/* Seconds east of UTC, once it was asked for. Caches that each library has for itself. */
static _Atomic(int) log_utc_offset;
static _Atomic(bool) log_utc_offset_known;

/* ---- writing --------------------------------------------------------------------------------- */

static void write_all(int fd, const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return; // nobody is left to tell
        }
        text += written;
        length -= (size_t)written;
    }
}

static bool is_leap_year(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* "YYYY-MM-DDThh:mm:ss " into `out`; returns the number of characters. */
static size_t format_date(char *out, size_t room, int64_t seconds) {
    static const int month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    enum { DAY_SECONDS = 24 * 60 * 60 };
    int64_t days = seconds > 0 ? seconds / DAY_SECONDS : 0;
    int in_day = seconds > 0 ? (int)(seconds % DAY_SECONDS) : 0;
    int year = 1970;
    while (days >= 365 + is_leap_year(year)) {
        days -= 365 + is_leap_year(year);
        year++;
    }
    int month = 0;
    for (;; month++) {
        int length = month_days[month] + (month == 1 && is_leap_year(year));
        if (days < length) {
            break;
        }
        days -= length;
    }
    int length = snprintf(out, room, "%04d-%02d-%02dT%02d:%02d:%02d ", year, month + 1,
                          (int)days + 1, in_day / 3600, in_day / 60 % 60, in_day % 60);
    return length > 0 && (size_t)length < room ? (size_t)length : 0;
}

static size_t format_head(char *out, size_t room, log_level_t level) {
    const log_state_t *log = &umf_core_state.log;
    size_t used = 0;
    out[used++] = '[';
    if (load_relaxed(&log->timestamp)) {
        struct timespec now = {0, 0};
        clock_gettime(CLOCK_REALTIME, &now);
        used += format_date(out + used, room - used, now.tv_sec + load_relaxed(&log_utc_offset));
    }
    if (load_relaxed(&log->pid)) {
        used += (size_t)snprintf(out + used, room - used, "PID:%-6ld TID:%-6ld ", (long)getpid(),
                                 (long)syscall(SYS_gettid));
    }
    used += (size_t)snprintf(out + used, room - used, "%s UMF] ", log_level_marks[level]);
    return used;
}

/* Appends formatted text to `text`, which holds `used` of LOG_TEXT_MAX characters; returns the new
 * count, which goes beyond LOG_TEXT_MAX when something was cut. */
__attribute__((format(printf, 3, 0))) static size_t append(char *text, size_t used,
                                                           const char *format, va_list args) {
    if (used > LOG_TEXT_MAX) {
        return used;
    }
    int length = vsnprintf(text + used, LOG_TEXT_MAX + 1 - used, format, args);
    return length > 0 ? used + (size_t)length : used;
}

__attribute__((format(printf, 3, 4))) static size_t append_f(char *text, size_t used,
                                                             const char *format, ...) {
    va_list args;
    va_start(args, format);
    used = append(text, used, format, args);
    va_end(args);
    return used;
}

/* Name of an errno value, from a constant table: strerror translates, which may allocate. */
static const char *errno_text(int error) {
    const char *text = strerrordesc_np(error);
    return text != NULL ? text : "unknown error";
}

/* Not inlined: callers shall not carry the buffer in their frames. */
UMF_COLD __attribute__((format(printf, 5, 0))) static void write_line(int fd, log_level_t level,
                                                                      const char *function,
                                                                      int error, const char *format,
                                                                      va_list args) {
    int saved_errno = errno;
    char line[LOG_HEAD_MAX + LOG_TEXT_MAX + sizeof(log_cut_mark) + 1];
    size_t head = format_head(line, LOG_HEAD_MAX, level);
    char *text = line + head;
    size_t used = append_f(text, 0, "%s: ", function);
    errno = saved_errno; // the format may use %m
    used = append(text, used, format, args);
    if (error != LOG_NO_ERRNO) {
        used = append_f(text, used, ": %s", errno_text(error));
    }
    if (used > LOG_TEXT_MAX) {
        used = LOG_TEXT_MAX;
        memcpy(text + used, log_cut_mark, sizeof(log_cut_mark) - 1);
        used += sizeof(log_cut_mark) - 1;
    }
    text[used++] = '\n';
    write_all(fd, line, head + used);
    errno = saved_errno;
}

/* Where this thread's errors are copied to; see log_capture. */
static UMF_TLS char *capture_text;
static UMF_TLS size_t capture_bytes;

void log_capture(char *text, size_t bytes) {
    capture_text = text;
    capture_bytes = bytes;
    if (text != NULL) {
        text[0] = '\0';
    }
}

__attribute__((format(printf, 2, 0))) static void capture(int error, const char *format,
                                                          va_list args) {
    int used = vsnprintf(capture_text, capture_bytes, format, args);
    if (error != LOG_NO_ERRNO && used >= 0 && (size_t)used < capture_bytes) {
        snprintf(capture_text + used, capture_bytes - (size_t)used, ": %s", errno_text(error));
    }
}

static bool log_is_on(log_level_t level) {
    const log_state_t *log = &umf_core_state.log;
    if (level == LOG_FATAL && capture_text == NULL) {
        return true;
    }
    // RACY: a thread may miss a change of the settings for a line or two
    return load_relaxed(&log->fd_plus1) != 0 &&
           (int)level + 1 >= load_relaxed(&log->min_level_plus1);
}

bool log_enabled(log_level_t level) {
    return log_is_on(level) || (level >= LOG_ERROR && capture_text != NULL);
}

/* Where lines go; FATAL ones always go somewhere. */
static int log_fd(void) {
    int fd_plus1 = load_relaxed(&umf_core_state.log.fd_plus1);
    return fd_plus1 != 0 ? fd_plus1 - 1 : STDERR_FILENO;
}

__attribute__((format(printf, 4, 0))) static void write_or_capture(log_level_t level,
                                                                   const char *function, int error,
                                                                   const char *format,
                                                                   va_list args) {
    if (capture_text != NULL && level >= LOG_ERROR) {
        va_list again;
        va_copy(again, args);
        capture(error, format, again);
        va_end(again);
    }
    if (log_is_on(level)) {
        write_line(log_fd(), level, function, error, format, args);
    }
}

void log_write(log_level_t level, const char *function, const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_or_capture(level, function, LOG_NO_ERRNO, format, args);
    va_end(args);
}

void log_write_errno(log_level_t level, const char *function, const char *format, ...) {
    int error = errno;
    va_list args;
    va_start(args, format);
    write_or_capture(level, function, error, format, args);
    va_end(args);
    errno = error;
}

/* ---- messages beside the log ----------------------------------------------------------------- */

UMF_COLD __attribute__((format(printf, 1, 0))) static void write_message(const char *format,
                                                                         va_list args) {
    int saved_errno = errno;
    char line[1024] = "umf: ";
    const size_t head = sizeof("umf: ") - 1;
    const size_t room = sizeof(line) - head - 1; // one is for the line end
    int length = vsnprintf(line + head, room, format, args);
    size_t used = head;
    if (length > 0) {
        used += (size_t)length < room ? (size_t)length : room - 1;
    }
    line[used++] = '\n';
    write_all(STDERR_FILENO, line, used);
    errno = saved_errno;
}

void umf_message(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_message(format, args);
    va_end(args);
}

_Noreturn void umf_panic(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_message(format, args);
    va_end(args);
    abort();
}

/* ---- settings -------------------------------------------------------------------------------- */

typedef struct log_settings {
    int fd; /* -1: nothing given yet */
    char output[LOG_OUTPUT_BYTES];
    log_level_t level, flush_level;
    bool timestamp, pid;
} log_settings_t;

/* A piece of the text, not terminated. */
typedef struct log_word {
    const char *text;
    size_t length;
} log_word_t;

/* One line on stderr about wrong input, whatever the settings. */
__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_line(STDERR_FILENO, LOG_ERROR, "log_configure", LOG_NO_ERRNO, format, args);
    va_end(args);
}

static bool word_is(log_word_t word, const char *text) {
    return strlen(text) == word.length && memcmp(text, word.text, word.length) == 0;
}

static void set_level(log_word_t key, log_word_t value, log_level_t *level) {
    for (size_t i = 0; i < ARRAY_LENGTH(log_level_names); i++) {
        if (word_is(value, log_level_names[i])) {
            *level = (log_level_t)i;
            return;
        }
    }
    complain("UMF_LOG: %.*s:%.*s is ignored: allowed are debug, info, warning, error, fatal",
             (int)key.length, key.text, (int)value.length, value.text);
}

static void set_yes_no(log_word_t key, log_word_t value, bool *yes) {
    if (word_is(value, "yes") || word_is(value, "no")) {
        *yes = value.length == strlen("yes");
    } else {
        complain("UMF_LOG: %.*s:%.*s is ignored: allowed are yes and no", (int)key.length, key.text,
                 (int)value.length, value.text);
    }
}

/* Opens for appending and moves the descriptor out of the way. -1: errno says why. */
static int open_file(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0) {
        return -1;
    }
    int high = fcntl(fd, F_DUPFD_CLOEXEC, LOG_FILE_FD_MIN);
    if (high < 0) {
        return fd; // the limit of descriptors is low: any one will do
    }
    close(fd);
    return high;
}

/* False: said on stderr. */
static bool set_output(log_word_t value, log_settings_t *settings) {
    static const char file_prefix[] = "file,";
    const size_t prefix_length = sizeof(file_prefix) - 1;
    if (word_is(value, "stdout") || word_is(value, "stderr")) {
        settings->fd = word_is(value, "stdout") ? STDOUT_FILENO : STDERR_FILENO;
        memcpy(settings->output, value.text, value.length);
        settings->output[value.length] = '\0';
        return true;
    }
    if (value.length <= prefix_length || memcmp(value.text, file_prefix, prefix_length) != 0) {
        complain("UMF_LOG: output:%.*s is unknown: allowed are stdout, stderr and file,<path>; "
                 "logging is off",
                 (int)value.length, value.text);
        return false;
    }
    log_word_t path = {value.text + prefix_length, value.length - prefix_length};
    if (path.length >= sizeof(settings->output)) {
        complain(
            "UMF_LOG: the path of the log file has %zu characters, allowed are %zu; logging is "
            "off: %.*s",
            path.length, sizeof(settings->output) - 1, (int)path.length, path.text);
        return false;
    }
    memcpy(settings->output, path.text, path.length);
    settings->output[path.length] = '\0';
    settings->fd = open_file(settings->output);
    if (settings->fd < 0) {
        complain("UMF_LOG: log file \"%s\" can not be opened for appending, logging is off: %s",
                 settings->output, errno_text(errno));
        return false;
    }
    return true;
}

static bool apply_option(log_word_t option, log_word_t *output, log_settings_t *settings) {
    const char *colon = memchr(option.text, ':', option.length);
    if (colon == NULL) {
        return false;
    }
    log_word_t key = {option.text, (size_t)(colon - option.text)};
    log_word_t value = {colon + 1, option.length - key.length - 1};
    if (word_is(key, "output")) {
        *output = value;
    } else if (word_is(key, "level")) {
        set_level(key, value, &settings->level);
    } else if (word_is(key, "flush")) {
        set_level(key, value, &settings->flush_level);
    } else if (word_is(key, "timestamp")) {
        set_yes_no(key, value, &settings->timestamp);
    } else if (word_is(key, "pid")) {
        set_yes_no(key, value, &settings->pid);
    } else {
        return false;
    }
    return true;
}

/* False: said on stderr, nothing is open. */
static bool parse(const char *text, log_settings_t *settings) {
    log_word_t output = {NULL, 0};
    const char *at = text;
    while (*at != '\0') {
        log_word_t option = {at, strcspn(at, ";")};
        if (option.length > 0 && !apply_option(option, &output, settings)) {
            complain("UMF_LOG: option \"%.*s\" is ignored: known are output:, level:, flush:, "
                     "timestamp: and pid:",
                     (int)option.length, option.text);
        }
        at += option.length;
        at += *at == ';';
    }
    if (output.text == NULL) {
        complain(
            "UMF_LOG=\"%s\" names no output, logging is off: give output:stdout, output:stderr "
            "or output:file,<path>",
            text);
        return false;
    }
    return set_output(output, settings);
}

static void remember_utc_offset(void) {
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local) != NULL) {
        store_relaxed(&log_utc_offset, (int)local.tm_gmtoff);
    }
    store_relaxed(&log_utc_offset_known, true);
}

/*
 * Log files always have the same descriptor number, which is not closed: a thread about to write
 * meets the old file or what took its place, never something of the program's. Lock held.
 */
static int file_fd_use(int fd) {
    log_state_t *log = &umf_core_state.log;
    int file_fd = log->file_fd_plus1 - 1;
    if (file_fd >= 0 && sys_dup3(fd, file_fd, O_CLOEXEC) >= 0) {
        close(fd);
        return file_fd;
    }
    log->file_fd_plus1 = fd + 1;
    return fd;
}

/* Closes the file behind the number, in favour of `fd` or of nothing. Lock held. */
static void file_fd_park(int fd) {
    int file_fd = umf_core_state.log.file_fd_plus1 - 1;
    if (file_fd < 0 || (fd >= 0 && sys_dup3(fd, file_fd, O_CLOEXEC) >= 0)) {
        return;
    }
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nothing >= 0) {
        sys_dup3(nothing, file_fd, O_CLOEXEC);
        close(nothing);
    }
}

/* Sends lines to `fd` from now on, which is taken over when it is a file; -1: nowhere. */
static void output_apply(int fd, const char *name) {
    log_state_t *log = &umf_core_state.log;
    lock_acquire(&log->lock);
    strncpy(log->output, name, sizeof(log->output) - 1);
    if (fd > STDERR_FILENO) {
        fd = file_fd_use(fd);
    } else {
        file_fd_park(fd);
    }
    store_release(&log->fd_plus1, fd + 1);
    lock_release(&log->lock);
}

/* Puts settings into force. The level is stored first: a line in between is judged by it. */
static void settings_apply(const log_settings_t *settings) {
    log_state_t *log = &umf_core_state.log;
    store_relaxed(&log->timestamp, settings->timestamp);
    store_relaxed(&log->pid, settings->pid);
    store_relaxed(&log->flush_level_plus1, (int)settings->flush_level + 1);
    store_relaxed(&log->min_level_plus1, (int)settings->level + 1);
    output_apply(settings->fd, settings->output);
}

bool log_set_output(const char *name) {
    int saved_errno = errno;
    int fd = -1;
    if (strlen(name) >= LOG_OUTPUT_BYTES) {
        log_error("the name of the log's output has %zu characters, allowed are %d", strlen(name),
                  LOG_OUTPUT_BYTES - 1);
        return false;
    }
    if (strcmp(name, "stdout") == 0) {
        fd = STDOUT_FILENO;
    } else if (strcmp(name, "stderr") == 0) {
        fd = STDERR_FILENO;
    } else if (name[0] != '\0') {
        fd = open_file(name);
        if (fd < 0) {
            log_error_errno("log file \"%s\" can not be opened for appending", name);
            errno = saved_errno;
            return false;
        }
    }
    output_apply(fd, name);
    errno = saved_errno;
    return true;
}

void log_get_output(char (*name)[LOG_OUTPUT_BYTES]) {
    log_state_t *log = &umf_core_state.log;
    lock_acquire(&log->lock);
    memcpy(*name, log->output, sizeof(*name));
    lock_release(&log->lock);
}

void log_set_timestamp(bool on) {
    if (on && !load_relaxed(&log_utc_offset_known)) {
        remember_utc_offset();
    }
    store_relaxed(&umf_core_state.log.timestamp, on);
}

void log_configure(const char *text) {
    int saved_errno = errno;
    log_settings_t settings = {.fd = -1, .level = LOG_ERROR, .flush_level = LOG_ERROR};
    if (parse(text, &settings)) {
        if (settings.timestamp) {
            remember_utc_offset();
        }
        settings_apply(&settings);
        log_info("interface version %d.%d; output %s, level %s, flush %s, timestamp %s, pid %s",
                 UMF_MAJOR_VERSION(UMF_VERSION_CURRENT), UMF_MINOR_VERSION(UMF_VERSION_CURRENT),
                 settings.output, log_level_names[settings.level],
                 log_level_names[settings.flush_level], settings.timestamp ? "yes" : "no",
                 settings.pid ? "yes" : "no");
    } else if (load_relaxed(&umf_core_state.log.min_level_plus1) == 0) {
        // marks UMF_LOG as read, so that a later umfInit does not complain again
        store_relaxed(&umf_core_state.log.min_level_plus1, (int)LOG_ERROR + 1);
    }
    errno = saved_errno;
}

void log_init_from_environment(void) {
    if (load_relaxed(&umf_core_state.log.min_level_plus1) != 0) { // settings outlive a tear-down
        if (load_relaxed(&umf_core_state.log.timestamp) && !load_relaxed(&log_utc_offset_known)) {
            remember_utc_offset();
        }
        return;
    }
    const char *text = secure_getenv("UMF_LOG");
    if (text != NULL) {
        log_configure(text);
    }
}
