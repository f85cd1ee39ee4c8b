/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Fuzz target: the text of UMF_PROXY. Parsing must end, touch nothing but its settings (the
 * sanitizers look), and say the same about the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/proxy_settings.h"
#include "core/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static proxy_settings_t first, second;
    char *text = malloc(size + 1); // its own block: reading behind its end shows
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    proxy_settings_defaults(&first);
    proxy_settings_defaults(&second);
    int wrong = proxy_settings_parse(&first, text);
    if (wrong < 0 || proxy_settings_parse(&second, text) != wrong) {
        abort();
    }
    free(text);
    return 0;
}
