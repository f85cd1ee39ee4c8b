/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A setting in force, as text that the parser reads back to the same value (except `log`, which is
 * kept and shown as UMF_LOG has it, with semicolons). */
#ifndef UMF_CONFIG_SETTINGS_SHOW_H
#define UMF_CONFIG_SETTINGS_SHOW_H

#include "config/settings_text.h"

/* The row's field of `settings`, the struct that the table fills. Empty lists and texts: "". */
void settings_show(const settings_key_t *key, const void *settings, text_buffer_t *out);

#endif /* UMF_CONFIG_SETTINGS_SHOW_H */
