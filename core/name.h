/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Names of pools and providers: which ones can be used as keys of settings. */
#ifndef UMF_CORE_NAME_H
#define UMF_CORE_NAME_H

#include "core/utils.h"

enum { NAME_MAX_LENGTH = 64 }; /* characters, without the final zero */

/* True for 1 to NAME_MAX_LENGTH characters out of A-Z a-z 0-9 - _; locale plays no part. NULL is
 * allowed. */
UMF_INLINE bool name_is_regular(const char *name) {
    size_t length = 0;
    for (; name != NULL && name[length] != '\0'; length++) {
        char c = name[length];
        bool regular = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
        if (!regular || length == NAME_MAX_LENGTH) {
            return false;
        }
    }
    return length > 0;
}

#endif /* UMF_CORE_NAME_H */
