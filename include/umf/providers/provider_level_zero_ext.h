/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_level_zero_ext.h
 * LEVEL_ZERO provider: an addition of this implementation.
 */
#ifndef UMF_PROVIDER_LEVEL_ZERO_EXT_H
#define UMF_PROVIDER_LEVEL_ZERO_EXT_H 1

#include <umf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What a driver's error number means, for the number that umfMemoryProviderGetLastNativeError()
 * stores.
 * @param error [in] a ze_result_t
 * @return name and meaning, e.g. "ZE_RESULT_ERROR_DEVICE_LOST - the device hung, was reset or
 *     removed"; a constant text, also for unknown numbers. Thread-safe.
 */
const char *umfLevelZeroErrorText(int32_t error);

#ifdef __cplusplus
}
#endif

#endif /* UMF_PROVIDER_LEVEL_ZERO_EXT_H */
