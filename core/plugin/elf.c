/* SPDX-License-Identifier: Apache-2.0
 *
 * The dynamic tables of a shared object: its symbols, the libraries it needs, its constructors.
 *
 * They are found as the dynamic loader finds them, from PT_DYNAMIC, since sections may be stripped.
 * The number of symbols is stated nowhere else than in the hash tables.
 */
#include "plugin/elf.h"
#include "plugin/elf_image.h"
#include <string.h>

enum { MAX_SYMBOLS = 1 << 20, MAX_DYNAMIC = 1 << 16, MAX_STRINGS = 1 << 28 };

/* What PT_DYNAMIC says; addresses are those before relocation, 0 when absent. */
typedef struct dynamic {
  Elf64_Dyn *at; /* [n] */
  uint64_t n;
  uint64_t symbols, symbol_size, strings, string_bytes, hash, gnu_hash;
  uint64_t init_array_bytes, preinit_array_bytes;
  uint64_t flags;
  bool text_relocations;
} dynamic;

static void note(dynamic *d, const Elf64_Dyn *e) {
  switch (e->d_tag) {
  case DT_SYMTAB:
    d->symbols = e->d_un.d_ptr;
    break;
  case DT_SYMENT:
    d->symbol_size = e->d_un.d_val;
    break;
  case DT_STRTAB:
    d->strings = e->d_un.d_ptr;
    break;
  case DT_STRSZ:
    d->string_bytes = e->d_un.d_val;
    break;
  case DT_HASH:
    d->hash = e->d_un.d_ptr;
    break;
  case DT_GNU_HASH:
    d->gnu_hash = e->d_un.d_ptr;
    break;
  case DT_INIT_ARRAYSZ:
    d->init_array_bytes = e->d_un.d_val;
    break;
  case DT_PREINIT_ARRAYSZ:
    d->preinit_array_bytes = e->d_un.d_val;
    break;
  case DT_FLAGS:
    d->flags = e->d_un.d_val;
    break;
  case DT_TEXTREL:
    d->text_relocations = true;
    break;
  default:
    break;
  }
}

static isc_status read_dynamic(const isc_elf_image *m, isc_pool *pool, dynamic *d) {
  const Elf64_Phdr *s = NULL;
  void *p;
  for (int i = 0; i < m->header.e_phnum && !s; i++)
    if (m->segments[i].p_type == PT_DYNAMIC) s = &m->segments[i];
  if (!s) return isc_fail(ISC_E_FORMAT, "%s: is no shared object (no dynamic section)", m->path);
  d->n = s->p_filesz / sizeof(Elf64_Dyn);
  if (d->n > MAX_DYNAMIC)
    return isc_fail(ISC_E_FORMAT, "%s: its dynamic section is malformed", m->path);
  ISC_TRY(isc_pool_alloc(pool, (size_t)d->n + 1, sizeof *d->at, m->path, &p));
  ISC_TRY(isc_elf_read_at(m, s->p_offset, d->n * sizeof *d->at, "its dynamic section lies", p));
  d->at = p;
  for (uint64_t i = 0; i < d->n; i++) {
    if (d->at[i].d_tag == DT_NULL)
      d->n = i;
    else
      note(d, &d->at[i]);
  }
  if (!d->symbols || !d->strings || d->symbol_size != sizeof(Elf64_Sym) || !d->string_bytes)
    return isc_fail(ISC_E_FORMAT, "%s: its dynamic section is malformed", m->path);
  return ISC_OK;
}

static isc_status read_strings(const isc_elf_image *m, const dynamic *d, isc_pool *pool,
                               const char **out) {
  void *p;
  if (d->string_bytes > MAX_STRINGS || d->string_bytes > isc_elf_loaded_after(m, d->strings))
    return isc_fail(ISC_E_FORMAT, "%s: is damaged: its names lie outside its segments", m->path);
  ISC_TRY(isc_pool_alloc(pool, (size_t)d->string_bytes + 1, 1, m->path, &p));
  ISC_TRY(isc_elf_read_loaded(m, d->strings, d->string_bytes, "its names lie", p));
  *out = p;
  if ((*out)[d->string_bytes - 1] != '\0')
    return isc_fail(ISC_E_FORMAT, "%s: is damaged: its last name has no end", m->path);
  return ISC_OK;
}

/* ---- how many symbols there are */

static isc_status highest_bucket(const isc_elf_image *m, uint64_t at, uint32_t n, uint32_t *out) {
  uint32_t part[1024];
  *out = 0;
  for (uint32_t i = 0; i < n;) {
    uint32_t k = n - i < 1024 ? n - i : 1024;
    ISC_TRY(
        isc_elf_read_loaded(m, at + (uint64_t)i * 4, (uint64_t)k * 4, "its hash table lies", part));
    for (uint32_t j = 0; j < k; j++)
      if (part[j] > *out) *out = part[j];
    i += k;
  }
  return ISC_OK;
}

/* The last chain ends with the last symbol: its hash value has the lowest bit set. */
static isc_status count_gnu(const isc_elf_image *m, uint64_t at, uint64_t *n) {
  uint32_t h[4], last, value = 0; /* buckets, first hashed symbol, words of the filter, shift */
  ISC_TRY(isc_elf_read_loaded(m, at, sizeof h, "its hash table lies", h));
  if (h[0] > MAX_SYMBOLS || h[1] > MAX_SYMBOLS || h[2] > MAX_SYMBOLS)
    return isc_fail(ISC_E_FORMAT, "%s: its symbol hash table is malformed", m->path);
  uint64_t buckets = at + sizeof h + (uint64_t)h[2] * 8, chains = buckets + (uint64_t)h[0] * 4;
  ISC_TRY(highest_bucket(m, buckets, h[0], &last));
  *n = h[1];
  if (last < h[1]) return ISC_OK; /* nothing is hashed, all are imports */
  for (*n = last; !(value & 1); ++*n) {
    if (*n > MAX_SYMBOLS) return isc_fail(ISC_E_FORMAT, "%s: has too many symbols", m->path);
    ISC_TRY(isc_elf_read_loaded(m, chains + (*n - h[1]) * 4, 4, "its hash table lies", &value));
  }
  return ISC_OK;
}

static isc_status count_symbols(const isc_elf_image *m, const dynamic *d, uint64_t *n) {
  uint32_t h[2];
  if (d->hash) {
    ISC_TRY(isc_elf_read_loaded(m, d->hash, sizeof h, "its hash table lies", h));
    *n = h[1];
  } else if (d->gnu_hash) {
    ISC_TRY(count_gnu(m, d->gnu_hash, n));
  } else {
    return isc_fail(ISC_E_FORMAT, "%s: has no symbol hash table", m->path);
  }
  if (*n > MAX_SYMBOLS) return isc_fail(ISC_E_FORMAT, "%s: has too many symbols", m->path);
  return ISC_OK;
}

/* ---- the tables */

static isc_status name_at(const isc_elf_image *m, const dynamic *d, const char *strings,
                          uint64_t offset, const char **out) {
  if (offset >= d->string_bytes)
    return isc_fail(ISC_E_FORMAT, "%s: is damaged: a name lies outside its table", m->path);
  *out = strings + offset;
  return ISC_OK;
}

/* Only these take part in linking: local and hidden ones are the file's own affair. */
static bool is_visible(const Elf64_Sym *s) {
  unsigned bind = ELF64_ST_BIND(s->st_info), see = ELF64_ST_VISIBILITY(s->st_other);
  return (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
         (see == STV_DEFAULT || see == STV_PROTECTED);
}

static isc_status read_symbols(const isc_elf_image *m, const dynamic *d, const char *strings,
                               isc_elf *out) {
  uint64_t n = 0;
  void *raw, *kept;
  ISC_TRY(count_symbols(m, d, &n));
  if (n > isc_elf_loaded_after(m, d->symbols) / sizeof(Elf64_Sym))
    return isc_fail(ISC_E_FORMAT, "%s: is damaged: its symbols lie outside its segments", m->path);
  ISC_TRY(isc_pool_alloc(&out->pool, (size_t)n + 1, sizeof(Elf64_Sym), m->path, &raw));
  ISC_TRY(isc_pool_alloc(&out->pool, (size_t)n + 1, sizeof *out->symbols, m->path, &kept));
  ISC_TRY(isc_elf_read_loaded(m, d->symbols, n * sizeof(Elf64_Sym), "its symbols lie", raw));
  const Elf64_Sym *s = raw;
  isc_elf_symbol *to = kept;
  out->symbols = to;
  for (uint64_t i = 1; i < n; i++) { /* the first is the null symbol */
    const char *name = "";
    if (!is_visible(&s[i])) continue;
    ISC_TRY(name_at(m, d, strings, s[i].st_name, &name));
    unsigned type = ELF64_ST_TYPE(s[i].st_info);
    to[out->n_symbols++] = (isc_elf_symbol){
        .name = name,
        .size = s[i].st_size,
        .defined = s[i].st_shndx != SHN_UNDEF,
        .weak = ELF64_ST_BIND(s[i].st_info) == STB_WEAK,
        .function = type == STT_FUNC || type == STT_GNU_IFUNC,
    };
  }
  return ISC_OK;
}

static isc_status read_needed(const isc_elf_image *m, const dynamic *d, const char *strings,
                              isc_elf *out) {
  void *p;
  ISC_TRY(isc_pool_alloc(&out->pool, (size_t)d->n + 1, sizeof *out->needed, m->path, &p));
  const char **list = p;
  out->needed = list;
  for (uint64_t i = 0; i < d->n; i++)
    if (d->at[i].d_tag == DT_NEEDED)
      ISC_TRY(name_at(m, d, strings, d->at[i].d_un.d_val, &list[out->n_needed++]));
  return ISC_OK;
}

/* A missing PT_GNU_STACK also asks for an executable stack. */
static bool wants_executable_stack(const isc_elf_image *m) {
  for (int i = 0; i < m->header.e_phnum; i++)
    if (m->segments[i].p_type == PT_GNU_STACK) return m->segments[i].p_flags & PF_X;
  return true;
}

isc_status isc_elf_open(const char *path, isc_elf *out) {
  isc_elf_image m;
  dynamic d = {0};
  const char *strings = NULL;
  *out = (isc_elf){0};
  isc_status st = isc_elf_image_open(path, &out->pool, &m);
  if (st != ISC_OK) goto done;
  ISC_GO(read_dynamic(&m, &out->pool, &d));
  ISC_GO(read_strings(&m, &d, &out->pool, &strings));
  ISC_GO(read_symbols(&m, &d, strings, out));
  ISC_GO(read_needed(&m, &d, strings, out));
  /* The compiler's start files put one entry, frame_dummy, into every library. */
  uint64_t n = d.init_array_bytes / 8 + d.preinit_array_bytes / 8;
  out->n_constructors = n > 1 ? (int64_t)(n - 1) : 0;
  out->text_relocations = d.text_relocations || d.flags & DF_TEXTREL;
  out->executable_stack = wants_executable_stack(&m);
done:
  isc_elf_image_close(&m);
  return st;
}

void isc_elf_close(isc_elf *e) {
  isc_pool_free(&e->pool);
  *e = (isc_elf){0};
}

const isc_elf_symbol *isc_elf_find(const isc_elf *e, const char *name) {
  for (int64_t i = 0; i < e->n_symbols; i++)
    if (e->symbols[i].defined && strcmp(e->symbols[i].name, name) == 0) return &e->symbols[i];
  return NULL;
}
