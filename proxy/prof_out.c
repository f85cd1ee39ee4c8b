/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Output of reports. The gzip files hold "stored" blocks: the readers want the container, profiles
 * are small, and a compressor has no place inside malloc.
 */
#include "proxy/prof_out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void write_all(prof_out_t *out, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0 && !out->failed) {
        ssize_t written = write(out->fd, at, count);
        if (written > 0) {
            at += written;
            count -= (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            out->failed = true;
            out->error = errno;
        }
    }
}

/* CRC-32 of gzip, a bit at a time: half a microsecond per 100 bytes is nothing beside the file. */
static uint32_t crc32_of(uint32_t crc, const uint8_t *bytes, size_t count) {
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (UINT32_C(0xedb88320) & -(crc & 1));
        }
    }
    return ~crc;
}

static void put_le(uint8_t *to, uint32_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static void flush(prof_out_t *out, bool last) {
    if (out->gzip) {
        uint8_t head[5] = {last};
        put_le(head + 1, (uint32_t)out->used, 2);
        put_le(head + 3, ~(uint32_t)out->used, 2);
        write_all(out, head, sizeof(head));
        out->crc = crc32_of(out->crc, (const uint8_t *)out->buffer, out->used);
        out->length += (uint32_t)out->used;
    }
    write_all(out, out->buffer, out->used);
    out->used = 0;
}

void prof_out_begin(prof_out_t *out, int fd, bool gzip) {
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    out->fd = fd;
    out->gzip = gzip;
    out->failed = false;
    out->error = 0;
    out->crc = out->length = 0;
    out->used = 0;
    if (gzip) {
        write_all(out, head, sizeof(head));
    }
}

void prof_out_bytes(prof_out_t *out, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        size_t part = PROF_OUT_BYTES - out->used < count ? PROF_OUT_BYTES - out->used : count;
        memcpy(out->buffer + out->used, at, part);
        out->used += part;
        at += part;
        count -= part;
        if (out->used == PROF_OUT_BYTES) {
            flush(out, false);
        }
    }
}

void prof_out_text(prof_out_t *out, const char *text) {
    prof_out_bytes(out, text, strlen(text));
}

void prof_out_format(prof_out_t *out, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length > 0) {
        size_t bytes = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
        prof_out_bytes(out, line, bytes);
    }
}

bool prof_out_end(prof_out_t *out) {
    if (out->gzip || out->used > 0) {
        flush(out, true);
    }
    if (out->gzip) {
        uint8_t tail[8];
        put_le(tail, out->crc, 4);
        put_le(tail + 4, out->length, 4);
        write_all(out, tail, sizeof(tail));
    }
    return !out->failed;
}
