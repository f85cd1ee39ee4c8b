/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys about messages: the log, the help, and what follows an error; rows in keys_report.c. */
#ifndef UMF_CONFIG_KEYS_REPORT_H
#define UMF_CONFIG_KEYS_REPORT_H

#include "config/settings.h"

/* In the order of the words in the row. */
typedef enum proxy_on_error {
    PROXY_ON_ERROR_DEFAULT, /* a wrong setting warns, a bad free aborts */
    PROXY_ON_ERROR_WARN,
    PROXY_ON_ERROR_ABORT,
} proxy_on_error_t;

enum { PROXY_LOG_BYTES = 512 };

typedef struct proxy_report_settings {
    char log[PROXY_LOG_BYTES]; /* ready for log_configure; "" when not given */
    proxy_on_error_t on_error;
    bool help; /* print proxy_settings_help at start */
} proxy_report_settings_t;

extern const settings_section_t proxy_keys_report;

#endif /* UMF_CONFIG_KEYS_REPORT_H */
