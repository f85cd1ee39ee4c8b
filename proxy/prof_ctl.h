/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes of the profiler; see prof_ctl.c. */
#ifndef UMF_PROXY_PROF_CTL_H
#define UMF_PROXY_PROF_CTL_H

/* Adds umf.proxy.prof.*; some instructions, once, at start-up. */
void prof_ctl_register(void);

#endif /* UMF_PROXY_PROF_CTL_H */
