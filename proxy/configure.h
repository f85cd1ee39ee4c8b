/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Reads the settings of this process and applies them; see configure.c. */
#ifndef UMF_PROXY_CONFIGURE_H
#define UMF_PROXY_CONFIGURE_H

/* Once, as soon as there is an environment; further calls do nothing. */
void configure_process(void);

#endif /* UMF_PROXY_CONFIGURE_H */
