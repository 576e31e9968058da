/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets share: the bytes of an input as a file, since that is how readers meet them.
 */
#ifndef ISC_TESTS_FUZZ_H
#define ISC_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls; 0 = go on. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file that holds the bytes until the next call, in memory. Aborts when the system cannot. */
const char *isc_fuzz_file(const uint8_t *data, size_t size);
/* A directory of this process that holds them as the file `name` until the next call. Removed at exit. */
const char *isc_fuzz_dir(const char *name, const uint8_t *data, size_t size);

#endif
