/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * umf-run [OPTION...] [--] PROGRAM [ARG...]: becomes PROGRAM with its malloc on libumf_proxy. The
 * options are turned into the text of UMF_PROXY (umf_run_options.c), which is checked here, before
 * anything starts: what the library would only warn about is an error of the command line.
 */
#define _GNU_SOURCE
#include "proxy/umf_run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/proxy_settings.h"

#ifndef UMF_RUN_LIBRARY_FOLDER
#define UMF_RUN_LIBRARY_FOLDER "../lib" /* from the folder of this program; the build gives it */
#endif
#ifndef UMF_RUN_VERSION
#define UMF_RUN_VERSION "1"
#endif

static const char library_name[] = "libumf_proxy.so.1";

void run_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("umf-run: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- the library ---- */

/* The folder of this program, with the slash at its end. */
static bool own_folder(char *path, size_t bytes) {
    ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
    if (length <= 0) {
        return false;
    }
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return false;
    }
    slash[1] = '\0';
    return true;
}

/* Beside this program (as built), or where it was installed, else by name. */
static bool find_library(const char *given, char *path, size_t bytes) {
    static const char *const folders[] = {"", UMF_RUN_LIBRARY_FOLDER "/"};
    char own[RUN_PATH_BYTES];
    if (given != NULL) {
        char *real = realpath(given, NULL);
        snprintf(path, bytes, "%s", real != NULL ? real : given);
        free(real);
        if (access(path, R_OK) != 0) {
            run_say("--library: %s: %s", given, strerror(errno));
            return false;
        }
        return true;
    }
    for (size_t i = 0; own_folder(own, sizeof(own)) && i < ARRAY_LENGTH(folders); i++) {
        snprintf(path, bytes, "%s%s%s", folders[i][0] == '/' ? "" : own, folders[i], library_name);
        char *real = realpath(path, NULL);
        if (real != NULL) {
            snprintf(path, bytes, "%s", real);
            free(real);
            return true;
        }
    }
    snprintf(path, bytes, "%s", library_name); // the loader looks for it
    return true;
}

/* ---- the environment ---- */

/* The text for LD_PRELOAD: ours behind what is there. */
static bool preload_text(const char *library, char *text, size_t bytes) {
    const char *there = getenv("LD_PRELOAD");
    if (strpbrk(library, ": ") != NULL) {
        run_say("%s: the loader takes no path with a space or a colon", library);
        return false;
    }
    bool has = there != NULL && there[0] != '\0';
    int length = snprintf(text, bytes, "%s%s%s", has ? there : "", has ? ":" : "", library);
    return length > 0 && (size_t)length < bytes;
}

static void print_quoted(const char *name, const char *value) {
    printf("%s='", name);
    for (; *value != '\0'; value++) {
        if (*value == '\'') {
            fputs("'\\''", stdout);
        } else {
            putchar(*value);
        }
    }
    fputs("'\n", stdout);
}

static void take_line(void *context, const char *text) {
    static const char variable[] = "UMF_PROXY: ";
    bool own = strncmp(text, variable, sizeof(variable) - 1) == 0;
    run_say("%s", own ? text + sizeof(variable) - 1 : text);
    *(int *)context += 1;
}

/* The settings as the library will read them; false: lines were said. */
static bool check_settings(const run_request_t *request, proxy_settings_t *settings) {
    int lines = 0;
    settings_sink_t sink = {take_line, &lines};
    settings_run_t run = {.table = proxy_settings_table(), .out = settings, .sink = &sink};
    proxy_settings_defaults(settings);
    const char *path = request->file[0] != '\0' ? request->file : getenv("UMF_PROXY_FILE");
    if (path != NULL && path[0] != '\0') {
        static char content[64 * 1024];
        FILE *file = fopen(path, "r");
        size_t used = file != NULL ? fread(content, 1, sizeof(content) - 1, file) : 0;
        if (file == NULL || ferror(file) || !feof(file)) {
            run_say("%s: %s", path, errno != 0 ? strerror(errno) : "too large");
            return false;
        }
        fclose(file);
        content[used] = '\0';
        settings_parse_file(&run, content, path);
    }
    settings_parse(&run, request->settings);
    settings_check(&run);
    return lines == 0;
}

/* Sets the variables, or prints them. */
static bool set_environment(const run_request_t *request) {
    char library[RUN_PATH_BYTES + 64], preload[2 * RUN_PATH_BYTES];
    if (!find_library(request->library, library, sizeof(library)) ||
        !preload_text(library, preload, sizeof(preload))) {
        return false;
    }
    const char *pairs[][2] = {{"UMF_PROXY_FILE", request->file},
                              {"UMF_PROXY", request->settings},
                              {"LD_PRELOAD", preload}};
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        if (pairs[i][1][0] == '\0') {
            continue;
        }
        if (request->print) {
            print_quoted(pairs[i][0], pairs[i][1]);
        } else if (setenv(pairs[i][0], pairs[i][1], 1) != 0) {
            run_say("no memory");
            return false;
        }
    }
    return true;
}

static int become(char **program) {
    execvp(program[0], program);
    int error = errno;
    unsetenv("LD_PRELOAD");
    run_say("%s: %s", program[0], strerror(error));
    return error == ENOENT ? RUN_NOT_FOUND : RUN_CANNOT_START;
}

int main(int argc, char **argv) {
    static run_request_t request;
    static proxy_settings_t settings;
    if (!run_parse(argc, argv, &request)) {
        return RUN_FAILED;
    }
    if (request.help) {
        run_usage();
        return 0;
    }
    if (request.version) {
        puts("umf-run " UMF_RUN_VERSION);
        return 0;
    }
    if (request.keys) {
        fflush(stdout);
        proxy_settings_help(STDOUT_FILENO);
        return 0;
    }
    if (request.check) {
        return run_check(request.json);
    }
    if (request.attach != NULL) {
        return run_attach(&request);
    }
    if (!check_settings(&request, &settings) || !set_environment(&request)) {
        return RUN_FAILED;
    }
    return request.print ? 0 : become(request.program);
}
