/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys level_zero.* and cuda.*. */
#include "config/proxy_settings.h"

#define SETTINGS_STRUCT proxy_settings_t

enum { DEVICE_MAX = 1023 };

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_ENUM("level_zero.memory", level_zero.memory, "shared|host", "shared", "With provider=level_zero: shared moves between host and device as they use it; host stays on the host, where devices reach it."),
    KEY_UNSIGNED("level_zero.device", level_zero.device, 0, DEVICE_MAX, "0", "Number of the device, counted through all drivers."),
    KEY_ENUM("cuda.memory", cuda.memory, "shared|host", "shared", "With provider=cuda: shared is managed memory, which moves between host and device; host is pinned host memory."),
    KEY_UNSIGNED("cuda.device", cuda.device, 0, DEVICE_MAX, "0", "Number of the device; its primary context is used."),
};
/* clang-format on */

static void check(settings_run_t *run, void *out) {
    const proxy_settings_t *s = out;
    bool quiet = settings_was_wrong(run, "provider");
    settings_need(run, "level_zero.", s->choice.provider == PROXY_PROVIDER_LEVEL_ZERO, quiet,
                  "provider=level_zero");
    settings_need(run, "cuda.", s->choice.provider == PROXY_PROVIDER_CUDA, quiet, "provider=cuda");
}

const settings_section_t proxy_keys_gpu = {
    .title = "GPU memory",
    .about = "Host memory and memory that host and device share; a key counts only with its "
             "`provider`. See [gpu.md](gpu.md).",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};
