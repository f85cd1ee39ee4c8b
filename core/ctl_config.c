/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL settings from the environment: UMF_CONF holds them, UMF_CONF_FILE names a file of them, read
 * second. Entries `path=value` are separated by `;`. Each is a write of text. A wrong one is told
 * in one line on standard error and changes nothing; the others count. Only a text that can not be
 * taken apart (an entry without value or with two `=`) ends the reading.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/log.h"
#include "core/state.h"

enum {
    CONFIG_FILE_MAX = 1024 * 1024, /* bytes */
    SHOWN_MAX = 200,               /* characters of an entry in messages */
};

static int shown(const char *text) {
    return (int)strnlen(text, SHOWN_MAX);
}

/* ---- entries --------------------------------------------------------------------------------- */

static const char *reason(umf_result_t result) {
    switch (result) {
    case UMF_RESULT_ERROR_INVALID_CTL_PATH:
        return "there is no such setting (docs/ctl.md lists all)";
    case UMF_RESULT_ERROR_INVALID_ARGUMENT:
        return "the value is not allowed";
    case UMF_RESULT_ERROR_NOT_SUPPORTED:
        return "it can not be set here";
    case UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY:
        return "out of memory";
    default:
        return "it failed";
    }
}

/* Says why an entry was refused, with the allowed values where the row is known. */
static void complain(const char *origin, const char *path, const char *value, umf_result_t result) {
    char allowed[96] = "";
    if (result == UMF_RESULT_ERROR_INVALID_ARGUMENT) {
        ctl_allowed_at(path, allowed, sizeof(allowed));
    }
    umf_message("%s: %.*s=%.*s is ignored: %s%s%s", origin, shown(path), path, shown(value), value,
                reason(result), allowed[0] != '\0' ? "; allowed are " : "", allowed);
}

/* The variable arguments are none: paths of the configuration have no wildcards. */
static umf_result_t write_text(const char *path, char *value, ...) {
    ctl_args_t none;
    va_start(none.list, value);
    ctl_request_t request = {
        .source = CTL_QUERY_CONFIG_INPUT,
        .type = CTL_QUERY_WRITE,
        .arg = value,
        .size = strlen(value) + 1,
        .rest = path,
        .args = &none,
    };
    umf_result_t result = ctl_request_run(&request);
    va_end(none.list);
    return result;
}

/* False: the rest of the text can not be trusted. */
static bool serve_entry(const char *origin, char *entry, bool more) {
    const char *rest = more ? "; what follows it is ignored" : "";
    char *equals = strchr(entry, '=');
    if (equals == NULL || equals[1] == '\0' || equals == entry) {
        umf_message("%s: \"%.*s\" is no setting, it must be path=value%s", origin, shown(entry),
                    entry, rest);
        return false;
    }
    if (strchr(equals + 1, '=') != NULL) {
        umf_message("%s: \"%.*s\" has more than one =; a ; is missing before the next setting%s",
                    origin, shown(entry), entry, rest);
        return false;
    }
    *equals = '\0';
    if (strstr(entry, "{}") != NULL) {
        umf_message("%s: %.*s is ignored: {} is not possible here, only names are", origin,
                    shown(entry), entry);
        return true;
    }
    umf_result_t result = write_text(entry, equals + 1);
    if (result != UMF_RESULT_SUCCESS) {
        complain(origin, entry, equals + 1, result);
    }
    return true;
}

void ctl_config_text(const char *origin, char *text) {
    bool good = true;
    while (good && *text != '\0') {
        size_t length = strcspn(text, ";");
        char *next = text + length + (text[length] == ';' ? 1 : 0);
        text[length] = '\0';
        good = length == 0 || serve_entry(origin, text, *next != '\0');
        text = next;
    }
}

size_t ctl_config_strip(char *text, size_t length) {
    size_t used = 0;
    bool comment = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        comment = c == '#' ? true : c == '\n' ? false : comment;
        bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        if (!comment && !blank && c != '\0') {
            text[used++] = c;
        }
    }
    text[used] = '\0';
    return used;
}

/* ---- sources --------------------------------------------------------------------------------- */

static void load_string(const char *value) {
    size_t room = strlen(value) + 1;
    char *copy = base_alloc(room);
    if (copy != NULL) {
        memcpy(copy, value, room);
        ctl_config_text("UMF_CONF", copy);
    }
    base_free(copy, room);
}

/* Bytes read, or -1 with errno. */
static ssize_t read_all(int fd, char *buffer, size_t room) {
    size_t used = 0;
    while (used < room) {
        ssize_t got = read(fd, buffer + used, room - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static void load_open_file(const char *name, int fd) {
    enum { ROOM = CONFIG_FILE_MAX + 2 }; // a byte more than allowed, and the NUL
    char *text = base_map(ROOM);
    ssize_t length = text != NULL ? read_all(fd, text, ROOM - 1) : -1;
    if (length < 0) {
        umf_message("UMF_CONF_FILE: %.*s can not be read: %s", shown(name), name,
                    strerrordesc_np(errno));
    } else if (length > CONFIG_FILE_MAX) {
        umf_message("UMF_CONF_FILE: %.*s is ignored: it is larger than 1 MiB", shown(name), name);
    } else {
        ctl_config_strip(text, (size_t)length);
        ctl_config_text("UMF_CONF_FILE", text);
    }
    if (text != NULL) {
        base_unmap(text, ROOM);
    }
}

static void load_file(const char *name) {
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); // a FIFO must not block
    struct stat status;
    if (fd < 0) {
        umf_message("UMF_CONF_FILE: %.*s can not be opened: %s", shown(name), name,
                    strerrordesc_np(errno));
        return;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        umf_message("UMF_CONF_FILE: %.*s is ignored: it is not a regular file", shown(name), name);
    } else {
        load_open_file(name, fd);
    }
    close(fd);
}

/* One look at the environment for programs that have neither variable, which is most. */
static bool environment_has_any(void) {
    static const char prefix[] = "UMF_CONF";
    for (char **entry = environ; *entry != NULL; entry++) {
        if (**entry == prefix[0] && strncmp(*entry, prefix, sizeof(prefix) - 1) == 0) {
            return true;
        }
    }
    return false;
}

void ctl_config_load(void) {
    if (environ == NULL || exchange_acq_rel(&umf_core_state.ctl.configured, true)) {
        return; // within the dynamic loader there is no environment yet: the constructor comes
                // again
    }
    if (!environment_has_any()) {
        return;
    }
    int saved_errno = errno;
    const char *text = secure_getenv("UMF_CONF");
    const char *file = secure_getenv("UMF_CONF_FILE");
    if (text != NULL && *text != '\0') {
        load_string(text);
    }
    if (file != NULL && *file != '\0') {
        load_file(file);
    }
    errno = saved_errno;
}
