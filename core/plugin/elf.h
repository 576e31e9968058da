/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded reader of ELF shared objects: what a plugin file exports and imports, without loading it.
 *
 * A plugin file is somebody else's: it is read with pread into checked buffers, so that neither a
 * hostile header nor a file cut while it is read does harm.
 */
#ifndef ISC_CORE_ELF_H
#define ISC_CORE_ELF_H

#include "base/base.h"

typedef struct isc_elf_symbol {
  const char *name;
  uint64_t size; /* bytes of the datum or function, as the file claims */
  bool defined;  /* here; else it is wanted from another library       */
  bool weak;
  bool function;
} isc_elf_symbol;

typedef struct isc_elf {
  const isc_elf_symbol *symbols; /* [n_symbols] the dynamic ones others can see or must provide */
  int64_t n_symbols;
  const char *const *needed; /* [n_needed] names of the libraries it is linked with */
  int64_t n_needed;
  int64_t n_constructors; /* functions that run at load, without the compiler's own one */
  bool text_relocations;  /* its code is patched while it is loaded                     */
  bool executable_stack;  /* loading it makes every thread's stack executable           */
  isc_pool pool;
} isc_elf;

/* Read the shared object at `path`: 64-bit, little-endian, for the machine that this library was built
 * for, with everything that its headers promise inside the file. Anything else is ISC_E_FORMAT with
 * the reason. isc_elf_close afterwards, also on failure. Any thread. */
ISC_API isc_status isc_elf_open(const char *path, isc_elf *out);
ISC_API void isc_elf_close(isc_elf *e);

/* The symbol `name` that the file defines, or NULL. */
ISC_API const isc_elf_symbol *isc_elf_find(const isc_elf *e, const char *name);

#endif
