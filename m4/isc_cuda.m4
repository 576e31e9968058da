# SPDX-License-Identifier: Apache-2.0
# The CUDA backend: nvcc for the device's kernels, and the architectures they are compiled for. The host's side needs
# neither CUDA's headers nor its libraries; those it wants are looked up when the program runs.

# ISC_CUDA_ARCH_FLAGS(LIST): -gencode flags of the architectures of LIST that nvcc knows; the last also as PTX, which
# newer devices compile for themselves.
AC_DEFUN([ISC_CUDA_ARCH_FLAGS], [
  isc_cuda_known=`"$NVCC" --list-gpu-code 2>/dev/null`
  NVCC_ARCH= isc_cuda_archs= isc_cuda_last=
  for isc_arch in $1; do
    AS_CASE(["
$isc_cuda_known
"], [*"
$isc_arch
"*], [
      isc_number=${isc_arch@%:@sm_}
      NVCC_ARCH="$NVCC_ARCH -gencode arch=compute_$isc_number,code=$isc_arch"
      isc_cuda_archs="$isc_cuda_archs $isc_arch" isc_cuda_last=$isc_number],
      [AS_IF([test "x$isc_cuda_chosen" = xyes],
        [AC_MSG_ERROR([$NVCC does not know $isc_arch; it knows: `echo $isc_cuda_known`])])])
  done
  AS_IF([test -n "$isc_cuda_last"],
    [NVCC_ARCH="$NVCC_ARCH -gencode arch=compute_$isc_cuda_last,code=compute_$isc_cuda_last"])
])

AC_DEFUN([ISC_CUDA], [
  AC_ARG_WITH([cuda], [AS_HELP_STRING([--with-cuda=DIR], [build the CUDA backend with the toolkit in DIR;
      yes: it must be there; no: not at all; auto: if nvcc is found (default)])], [], [with_cuda=auto])
  AC_ARG_WITH([cuda-arch], [AS_HELP_STRING([--with-cuda-arch=LIST],
    [devices to compile for, such as "sm_80 sm_90" (default: sm_80 sm_90 sm_100 as far as nvcc knows them)])],
    [isc_cuda_chosen=yes], [isc_cuda_chosen=no with_cuda_arch="sm_80 sm_90 sm_100"])
  isc_have_cuda=no isc_cuda="no (--with-cuda=no)"
  AS_CASE([$with_cuda], [no], [NVCC=],
    [yes|auto], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH:/usr/local/cuda/bin:/opt/cuda/bin])],
    [AC_PATH_PROG([NVCC], [nvcc], [], [$with_cuda/bin])])
  AS_IF([test -n "$NVCC"], [
    ISC_CUDA_ARCH_FLAGS([$with_cuda_arch])
    AC_MSG_CHECKING([whether $NVCC compiles])
    echo 'extern "C" __global__ void k(const __grid_constant__ int a) { (void)a; }' >conftest.cu
    AS_IF([test -n "$isc_cuda_last" &&
           "$NVCC" -std=c++17 $NVCC_ARCH -fatbin conftest.cu -o conftest.fatbin >&AS_MESSAGE_LOG_FD 2>&1],
      [isc_have_cuda=yes isc_cuda="yes:$isc_cuda_archs"], [isc_cuda="no ($NVCC does not compile; see config.log)"])
    rm -f conftest.cu conftest.fatbin
    AC_MSG_RESULT([$isc_have_cuda])],
    [test "x$with_cuda" = xno || isc_cuda="no (nvcc not found; --with-cuda=DIR says where)"])
  AS_IF([test "x$with_cuda" != xauto && test "x$with_cuda" != xno && test "x$isc_have_cuda" = xno],
    [AC_MSG_ERROR([--with-cuda=$with_cuda: $isc_cuda])])
  NVCC_FLAGS="-std=c++17 -O3 --fmad=false"
  AS_IF([test "x$enable_werror" = xyes], [NVCC_FLAGS="$NVCC_FLAGS -Werror all-warnings"])
  CUDA_CPPFLAGS=
  AS_IF([test -n "$NVCC"], [CUDA_CPPFLAGS="-isystem `dirname "$NVCC"`/../include"])
  AC_SUBST([CUDA_CPPFLAGS])
  AC_SUBST([NVCC_ARCH])
  AC_SUBST([NVCC_FLAGS])
  AM_CONDITIONAL([HAVE_CUDA], [test "x$isc_have_cuda" = xyes])
])

# Tests run the kernels on the host, which takes a C++ compiler of the same kind as the C one.
# ISC_PROG_CXX comes before libtool, ISC_EMULATION after the flags for C.
AC_DEFUN([ISC_PROG_CXX], [
  AS_IF([test -z "$CXX"], [CXX=`echo "$CC" | sed 's/clang/clang++/; s/gcc/g++/'`
    AS_CASE([$CXX], [*++*], [], [CXX=])])
  AC_PROG_CXX
])

AC_DEFUN([ISC_EMULATION], [
  AC_LANG_PUSH([C++])
  isc_save_CXXFLAGS=$CXXFLAGS
  CXXFLAGS="$CXXFLAGS -std=c++17"
  AC_MSG_CHECKING([whether $CXX compiles C++17])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cmath>
struct a { static constexpr int b = 1; };]], [[alignas(16) int x = a::b; return x - 1;]])],
    [isc_have_cxx=yes], [isc_have_cxx=no])
  AC_MSG_RESULT([$isc_have_cxx])
  CXXFLAGS=$isc_save_CXXFLAGS
  AC_LANG_POP([C++])
  ISC_CXXFLAGS=`echo "$ISC_CFLAGS" | sed 's/-std=@<:@^ @:>@*/-std=c++17/'`
  ISC_CXXWARNFLAGS="-Wall -Wextra -Wshadow"
  AS_IF([test "x$enable_werror" = xyes], [ISC_CXXWARNFLAGS="$ISC_CXXWARNFLAGS -Werror"])
  AC_SUBST([ISC_CXXFLAGS])
  AC_SUBST([ISC_CXXWARNFLAGS])
  AM_CONDITIONAL([HAVE_CXX], [test "x$isc_have_cxx" = xyes])
])
