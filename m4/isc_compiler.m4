# SPDX-License-Identifier: Apache-2.0
# The language level, warnings and sanitizers of the build.

AC_DEFUN([ISC_C17], [
  AC_CACHE_CHECK([for the C17 flag], [isc_cv_c17], [
    isc_save_CFLAGS=$CFLAGS
    isc_cv_c17=none
    for isc_flag in -std=gnu17 -std=gnu18; do
      CFLAGS="$isc_save_CFLAGS $isc_flag"
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[_Static_assert(__STDC_VERSION__ >= 201710L, "C17");]])],
        [isc_cv_c17=$isc_flag; break])
    done
    CFLAGS=$isc_save_CFLAGS])
  AS_IF([test "x$isc_cv_c17" = xnone], [AC_MSG_ERROR([a C17 compiler is needed (gcc 8, clang 7 or newer)])])
  ISC_CFLAGS="$isc_cv_c17 -fvisibility=hidden -ffp-contract=off"
  AC_SUBST([ISC_CFLAGS])
])

AC_DEFUN([ISC_WARNINGS], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [make compiler warnings errors (CI)])])
  ISC_WARNFLAGS="-Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings"
  AS_IF([test "x$enable_werror" = xyes], [ISC_WARNFLAGS="$ISC_WARNFLAGS -Werror"])
  AC_SUBST([ISC_WARNFLAGS])
])

AC_DEFUN([ISC_SANITIZERS], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers], [build with address and undefined-behaviour sanitizers])])
  AS_IF([test "x$enable_sanitizers" = xyes],
    [ISC_CFLAGS="$ISC_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"],
    [enable_sanitizers=no])
  AS_IF([test "x$enable_fuzzing" = xyes],
    [ISC_CFLAGS="$ISC_CFLAGS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"])
])

# A tree for fuzzing: the library static, with coverage and both sanitizers. Before LT_INIT.
AC_DEFUN([ISC_FUZZING], [
  AC_ARG_ENABLE([fuzzing], [AS_HELP_STRING([--enable-fuzzing], [build for the fuzz targets (make fuzz); needs CC=clang])])
  ISC_FUZZ_LDFLAGS=
  AS_IF([test "x$enable_fuzzing" = xyes], [
    enable_shared=no enable_static=yes
    ISC_FUZZ_LDFLAGS="-fsanitize=fuzzer,address,undefined"
    isc_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $ISC_FUZZ_LDFLAGS"
    AC_MSG_CHECKING([whether $CC links fuzz targets])
    AC_LINK_IFELSE([AC_LANG_SOURCE([[int LLVMFuzzerTestOneInput(const unsigned char *d, __SIZE_TYPE__ n);
int LLVMFuzzerTestOneInput(const unsigned char *d, __SIZE_TYPE__ n) { return n > 0 && d[0] > 255; }]])],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([--enable-fuzzing needs clang and its libFuzzer: on Debian or Ubuntu apt-get install clang libclang-rt-14-dev, and CC=clang])])
    CFLAGS=$isc_save_CFLAGS])
  AC_SUBST([ISC_FUZZ_LDFLAGS])
  AM_CONDITIONAL([ISC_FUZZING], [test "x$enable_fuzzing" = xyes])
])
