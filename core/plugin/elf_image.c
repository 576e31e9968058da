/* SPDX-License-Identifier: Apache-2.0
 *
 * The headers of an ELF file: is it a shared object of this machine, and all of it there?
 *
 * Every offset and length in the file is a claim. Each is compared with the file's size, by
 * subtraction and so without wrapping, before a byte is read.
 */
#include "plugin/elf_image.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linker lays this library's own ELF header here: it says what machine this is. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

enum { MAX_SEGMENTS = 4096 };

static const char *machine_name(unsigned machine) {
  switch (machine) {
  case EM_386:
    return "i386";
  case EM_X86_64:
    return "x86-64";
  case EM_ARM:
    return "32-bit ARM";
  case EM_AARCH64:
    return "AArch64";
  case EM_PPC64:
    return "POWER";
  case EM_RISCV:
    return "RISC-V";
  case EM_S390:
    return "s390";
  default:
    return NULL;
  }
}

static isc_status other_machine(const isc_elf_image *m) {
  unsigned there = m->header.e_machine, here = __ehdr_start.e_machine;
  const char *a = machine_name(there), *b = machine_name(here);
  char number[32];
  snprintf(number, sizeof number, "machine %u", there);
  return isc_fail(ISC_E_FORMAT, "%s: is built for %s, this machine is %s", m->path, a ? a : number,
                  b ? b : "another");
}

/* Without O_NONBLOCK opening a FIFO would wait for a writer. */
static isc_status open_regular(const char *path, isc_elf_image *m) {
  struct stat s;
  m->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (m->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return isc_fail(ISC_E_MISSING, "%s: no such file", path);
  if (m->fd < 0) return isc_fail(ISC_E_IO, "%s: cannot be read: %s", path, strerror(errno));
  if (fstat(m->fd, &s) != 0)
    return isc_fail(ISC_E_IO, "%s: cannot be read: %s", path, strerror(errno));
  if (!S_ISREG(s.st_mode)) return isc_fail(ISC_E_FORMAT, "%s: is no regular file", path);
  if (s.st_size <= 0) return isc_fail(ISC_E_FORMAT, "%s: is empty", path);
  m->size = (uint64_t)s.st_size;
  return ISC_OK;
}

static isc_status truncated(const isc_elf_image *m, const char *what) {
  return isc_fail(ISC_E_FORMAT,
                  "%s: is truncated or damaged: %s outside the file, which has %llu bytes; "
                  "copy or build it again",
                  m->path, what, (unsigned long long)m->size);
}

isc_status isc_elf_read_at(const isc_elf_image *m, uint64_t offset, uint64_t len, const char *what,
                           void *to) {
  if (offset > m->size || len > m->size - offset) return truncated(m, what);
  for (uint64_t done = 0; done < len;) {
    ssize_t n = pread(m->fd, (char *)to + done, (size_t)(len - done), (off_t)(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return isc_fail(ISC_E_IO, "%s: cannot be read: %s", m->path, strerror(errno));
    if (n == 0) return isc_fail(ISC_E_FORMAT, "%s: was cut while it was read", m->path);
    done += (uint64_t)n;
  }
  return ISC_OK;
}

static isc_status check_kind(const isc_elf_image *m) {
  const Elf64_Ehdr *h = &m->header;
  if (h->e_ident[EI_CLASS] != ELFCLASS64)
    return isc_fail(ISC_E_FORMAT, "%s: is no 64-bit ELF file", m->path);
  if (h->e_ident[EI_DATA] != ELFDATA2LSB)
    return isc_fail(ISC_E_FORMAT, "%s: is no little-endian ELF file", m->path);
  if (h->e_machine != __ehdr_start.e_machine) return other_machine(m);
  if (h->e_type != ET_DYN)
    return isc_fail(ISC_E_FORMAT, "%s: is an ELF file, but no shared object", m->path);
  if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT ||
      h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > MAX_SEGMENTS)
    return isc_fail(ISC_E_FORMAT, "%s: its ELF header is malformed", m->path);
  return ISC_OK;
}

static isc_status read_header(isc_elf_image *m) {
  char magic[SELFMAG];
  if (m->size < SELFMAG) return isc_fail(ISC_E_FORMAT, "%s: is no ELF file", m->path);
  ISC_TRY(isc_elf_read_at(m, 0, sizeof magic, "its first bytes lie", magic));
  if (memcmp(magic, ELFMAG, SELFMAG) != 0)
    return isc_fail(ISC_E_FORMAT, "%s: is no ELF file", m->path);
  ISC_TRY(isc_elf_read_at(m, 0, sizeof m->header, "its header lies", &m->header));
  return check_kind(m);
}

/* The loader does not look at sections. But they come last in a file, so they tell of a cut that spared
 * the segments. */
static isc_status check_sections(const isc_elf_image *m) {
  const Elf64_Ehdr *h = &m->header;
  uint64_t len = (uint64_t)h->e_shnum * h->e_shentsize;
  if (h->e_shoff == 0) return ISC_OK;
  if (h->e_shoff > m->size || len > m->size - h->e_shoff)
    return truncated(m, "its section headers lie");
  return ISC_OK;
}

static isc_status check_segments(const isc_elf_image *m) {
  bool loads = false;
  for (int i = 0; i < m->header.e_phnum; i++) {
    const Elf64_Phdr *s = &m->segments[i];
    if (s->p_type != PT_LOAD && s->p_type != PT_DYNAMIC) continue;
    if (s->p_offset > m->size || s->p_filesz > m->size - s->p_offset)
      return truncated(m, "one of its segments lies");
    if (s->p_vaddr > UINT64_MAX / 2 || s->p_memsz > UINT64_MAX / 2 || s->p_filesz > s->p_memsz)
      return isc_fail(ISC_E_FORMAT, "%s: its segments' addresses are malformed", m->path);
    loads |= s->p_type == PT_LOAD;
  }
  if (!loads) return isc_fail(ISC_E_FORMAT, "%s: has no segment to load", m->path);
  return ISC_OK;
}

isc_status isc_elf_image_open(const char *path, isc_pool *pool, isc_elf_image *out) {
  *out = (isc_elf_image){.path = path, .fd = -1};
  void *p;
  ISC_TRY(open_regular(path, out));
  ISC_TRY(read_header(out));
  ISC_TRY(isc_pool_alloc(pool, out->header.e_phnum, sizeof *out->segments, path, &p));
  ISC_TRY(isc_elf_read_at(out, out->header.e_phoff,
                          (uint64_t)out->header.e_phnum * sizeof *out->segments,
                          "its program headers lie", p));
  out->segments = p;
  ISC_TRY(check_segments(out));
  return check_sections(out);
}

void isc_elf_image_close(isc_elf_image *m) {
  if (m->fd >= 0) close(m->fd);
  m->fd = -1;
}

/* The segment whose file part holds address `at`. */
static const Elf64_Phdr *segment_of(const isc_elf_image *m, uint64_t at) {
  for (int i = 0; i < m->header.e_phnum; i++) {
    const Elf64_Phdr *s = &m->segments[i];
    if (s->p_type == PT_LOAD && at >= s->p_vaddr && at - s->p_vaddr < s->p_filesz) return s;
  }
  return NULL;
}

uint64_t isc_elf_loaded_after(const isc_elf_image *m, uint64_t at) {
  const Elf64_Phdr *s = segment_of(m, at);
  return s ? s->p_filesz - (at - s->p_vaddr) : 0;
}

isc_status isc_elf_read_loaded(const isc_elf_image *m, uint64_t at, uint64_t len, const char *what,
                               void *to) {
  const Elf64_Phdr *s = segment_of(m, at);
  if (len == 0) return ISC_OK;
  if (!s || len > s->p_filesz - (at - s->p_vaddr))
    return isc_fail(ISC_E_FORMAT, "%s: is damaged: %s outside its segments", m->path, what);
  return isc_elf_read_at(m, s->p_offset + (at - s->p_vaddr), len, what, to);
}
