/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Runs a fuzz target without libFuzzer: all files of a folder, then changed copies of them, chosen
 * by a generator with a fixed seed. A failure is a crash; the input that was tried is in the file
 * named by the last line of the output. With FUZZ_VERBOSE set, what the target says is shown.
 *
 *   fuzz_NAME_replay FOLDER [COUNT]    or    fuzz_NAME_replay FILE
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_MAX = 512, BYTES_MAX = 4096 };

typedef struct input {
    size_t size;
    uint8_t data[BYTES_MAX];
} input_t;

static input_t inputs[INPUTS_MAX];
static unsigned count;
static input_t current;
static int stderr_fd; /* the real one: what the target says is not what is looked for */

static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static uint32_t draw(uint32_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return below != 0 ? (uint32_t)(seed >> 32) % below : 0;
}

/* Keeps the input that brought the program down. */
static void on_crash(int number) {
    static const char name[] = "fuzz-crash-input";
    FILE *file = fopen(name, "w"); // not signal-safe, but all that is left to do
    if (file != NULL) {
        fwrite(current.data, 1, current.size, file);
        fclose(file);
        dprintf(stderr_fd, "signal %d: the input is in %s\n", number, name);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void run(void) {
    // an exact copy, so that a sanitizer sees reads behind the end
    uint8_t *copy = malloc(current.size != 0 ? current.size : 1);
    memcpy(copy, current.data, current.size);
    LLVMFuzzerTestOneInput(copy, current.size);
    free(copy);
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || count == INPUTS_MAX) {
        fprintf(stderr, "%s: can not be read, or too many inputs\n", path);
        exit(2);
    }
    inputs[count].size = fread(inputs[count].data, 1, BYTES_MAX, file);
    count++;
    fclose(file);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_folder(const char *path) {
    struct dirent **names;
    int found = scandir(path, &names, NULL, by_name);
    for (int i = 0; i < found; i++) {
        char name[1024];
        snprintf(name, sizeof(name), "%s/%s", path, names[i]->d_name);
        struct stat status;
        if (stat(name, &status) == 0 && S_ISREG(status.st_mode)) {
            load(name);
        }
        free(names[i]);
    }
    free(found >= 0 ? names : NULL);
}

/* Replaces, removes or inserts bytes, or appends a piece of another input. */
static void change(void) {
    uint32_t at = draw((uint32_t)current.size + 1);
    const input_t *other = &inputs[draw(count)];
    uint32_t length = draw(8) + 1;
    switch (draw(5)) {
    case 0:
        if (at < current.size) {
            current.data[at] ^= (uint8_t)(1u << draw(8));
        }
        break;
    case 1:
        if (at < current.size) {
            current.data[at] = (uint8_t)draw(256);
        }
        break;
    case 2:
        if (at + length <= current.size) {
            memmove(current.data + at, current.data + at + length, current.size - at - length);
            current.size -= length;
        }
        break;
    case 3:
        if (current.size + length <= BYTES_MAX) {
            memmove(current.data + at + length, current.data + at, current.size - at);
            memset(current.data + at, ".={};#0a"[draw(8)], length);
            current.size += length;
        }
        break;
    default:
        length = draw((uint32_t)other->size + 1);
        if (at + length <= BYTES_MAX) {
            memcpy(current.data + at, other->data + (other->size - length), length);
            current.size = at + length > current.size ? at + length : current.size;
        }
        break;
    }
}

int main(int argc, char **argv) {
    static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    struct stat status;
    if (argc < 2 || stat(argv[1], &status) != 0) {
        fprintf(stderr, "usage: %s FOLDER [COUNT] | FILE\n", argv[0]);
        return 2;
    }
    S_ISDIR(status.st_mode) ? load_folder(argv[1]) : load(argv[1]);
    if (count == 0) {
        fprintf(stderr, "%s: no inputs\n", argv[1]);
        return 2;
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        signal(signals[i], on_crash);
    }
    stderr_fd = dup(STDERR_FILENO);
    if (getenv("FUZZ_VERBOSE") == NULL) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    }
    for (unsigned i = 0; i < count; i++) {
        current = inputs[i];
        run();
    }
    unsigned long more = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    for (unsigned long i = 0; i < more; i++) {
        current = inputs[draw(count)];
        for (uint32_t n = draw(4) + 1; n > 0; n--) {
            change();
        }
        run();
    }
    printf("%u inputs, %lu changed ones\n", count, more);
    return 0;
}
