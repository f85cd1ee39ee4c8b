/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Definition of the core's state and of the address map's root; see state.h. */
#include "core/state.h"

enum { CORE_LAYOUT = 1 };

/* No static initialiser may be needed besides these three: zero means "nothing yet" everywhere
 * else. */
UMF_EXPORT umf_core_state_t umf_core_state = {
    .magic = UMF_CORE_MAGIC,
    .size = sizeof(umf_core_state_t),
    .layout = CORE_LAYOUT,
};

UMF_EXPORT map_root_t umf_core_map_root;

bool core_state_compatible(void) {
    return umf_core_state.magic == UMF_CORE_MAGIC &&
           umf_core_state.size == sizeof(umf_core_state_t) && umf_core_state.layout == CORE_LAYOUT;
}
