/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the ELF reader: an open file whose headers were checked, and bounded reads from it.
 *
 * Apart from the tables (elf.c) so that each half is small enough to see whole.
 */
#ifndef ISC_CORE_ELF_IMAGE_H
#define ISC_CORE_ELF_IMAGE_H

#include "base/base.h"
#include <elf.h>

typedef struct isc_elf_image {
  const char *path;
  int fd;
  uint64_t size; /* bytes of the file                      */
  Elf64_Ehdr header;
  Elf64_Phdr *segments; /* [header.e_phnum] in the caller's pool */
} isc_elf_image;

/* Open `path` and check its headers. Close it also on failure. */
isc_status isc_elf_image_open(const char *path, isc_pool *pool, isc_elf_image *out);
void isc_elf_image_close(isc_elf_image *m);

/* Copy file bytes [offset, offset + len) to `to`; `what` names them when they lie outside. */
isc_status isc_elf_read_at(const isc_elf_image *m, uint64_t offset, uint64_t len, const char *what,
                           void *to);
/* Copy `len` bytes that will be loaded at address `at`. */
isc_status isc_elf_read_loaded(const isc_elf_image *m, uint64_t at, uint64_t len, const char *what,
                               void *to);
/* Bytes that the file holds from address `at` to the end of its segment; 0 when it holds none. */
uint64_t isc_elf_loaded_after(const isc_elf_image *m, uint64_t at);

#endif
