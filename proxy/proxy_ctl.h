/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes of the malloc replacement; see proxy_ctl.c. */
#ifndef UMF_PROXY_PROXY_CTL_H
#define UMF_PROXY_PROXY_CTL_H

/* Adds umf.proxy.*; some instructions, once, at start-up. */
void proxy_ctl_register(void);

#endif /* UMF_PROXY_PROXY_CTL_H */
