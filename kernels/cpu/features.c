/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor and the system can do.
 */
#include "cpu.h"

#if defined(__x86_64__)
bool cpu_has_avx2(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool cpu_has_avx512(void) {
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

#if defined(CPU_BF16)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Leaf 7 of cpuid: EAX of its subleaf 1, or EDX of its subleaf 0. */
static unsigned leaf7(unsigned subleaf) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, subleaf, &a, &b, &c, &d)) return 0;
  return subleaf ? a : d;
}

/* May a thread use the registers of tiles? They are so large that the system wants to be asked, once a process. */
static bool tiles_permitted(void) {
  enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM */
  return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

bool cpu_has_avx512bf16(void) {
  enum { AVX512_BF16 = 1 << 5 };
  return cpu_has_avx512() && leaf7(1) & AVX512_BF16;
}

bool cpu_has_amx(void) {
  enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
  return cpu_has_avx512bf16() && leaf7(0) & AMX_BF16 && leaf7(0) & AMX_TILE && tiles_permitted();
}

/* Intel's do half as much as its f32 does (measured on Sapphire Rapids), AMD's twice as much. */
bool cpu_avx512bf16_pays(void) {
  return cpu_has_avx512bf16() && __builtin_cpu_is("amd");
}
#endif
