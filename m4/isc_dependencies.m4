# SPDX-License-Identifier: Apache-2.0
# The libraries the project stands on; each miss is reported with the Debian package that has it,
# all at once rather than one a run.

AC_DEFUN([ISC_NEED], [PKG_CHECK_MODULES([$1], [$2], [isc_have_$1=yes], [isc_have_$1=no
  isc_missing="$isc_missing $3"])])

AC_DEFUN([ISC_DEPENDENCIES], [
  isc_missing=
  ISC_NEED([LIBCONFIG], [libconfig >= 1.5], [libconfig-dev])
  ISC_NEED([JANSSON], [jansson >= 2.10], [libjansson-dev])
  ISC_NEED([SQLITE], [sqlite3 >= 3.24], [libsqlite3-dev])
  ISC_NEED([PCRE2], [libpcre2-8 >= 10.30], [libpcre2-dev])
  ISC_NEED([XXHASH], [libxxhash >= 0.8.0], [libxxhash-dev])
  ISC_NEED([LIBZIP], [libzip >= 1.5], [libzip-dev])
  AC_ARG_WITH([dnnl], [AS_HELP_STRING([--with-dnnl=DIR], [prefix of oneDNN, when it is not in a standard place])])
  DNNL_CPPFLAGS= DNNL_LIBS=-ldnnl
  AS_CASE([$with_dnnl], [''|yes|no], [],
    [DNNL_CPPFLAGS="-I$with_dnnl/include" DNNL_LIBS="-L$with_dnnl/lib -Wl,-rpath,$with_dnnl/lib -ldnnl"])
  isc_save_CPPFLAGS=$CPPFLAGS isc_save_LIBS=$LIBS
  CPPFLAGS="$CPPFLAGS $DNNL_CPPFLAGS" LIBS="$DNNL_LIBS $LIBS"
  AC_MSG_CHECKING([for oneDNN])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <oneapi/dnnl/dnnl.h>]], [[return dnnl_version()->major < 2;]])],
    [isc_have_dnnl=yes], [isc_have_dnnl=no; isc_missing="$isc_missing libdnnl-dev"])
  AC_MSG_RESULT([$isc_have_dnnl])
  CPPFLAGS=$isc_save_CPPFLAGS LIBS=$isc_save_LIBS
  AC_SUBST([DNNL_CPPFLAGS])
  AC_SUBST([DNNL_LIBS])
  AS_IF([test -n "$isc_missing"],
    [AC_MSG_ERROR([missing libraries. On Debian or Ubuntu:  apt-get install$isc_missing])])
])

AC_DEFUN([ISC_CRITERION], [
  PKG_CHECK_MODULES([CRITERION], [criterion >= 2.3], [isc_have_criterion=yes], [isc_have_criterion=no])
  AM_CONDITIONAL([HAVE_CRITERION], [test "x$isc_have_criterion" = xyes])
])

AC_DEFUN([ISC_SUMMARY], [
  AS_IF([test "x$isc_have_criterion" = xyes], [isc_tests="Criterion (make check)"],
    [isc_tests="none: install libcriterion-dev for make check"])
  AC_MSG_NOTICE([

  $PACKAGE_NAME $PACKAGE_VERSION
    prefix          $prefix
    compiler        $CC
    flags           $CFLAGS
    sanitizers      $enable_sanitizers
    CPU backend     yes: oneDNN and its own thread pool
    CUDA backend    $isc_cuda
    MPI             no (not part of this version)
    tests           $isc_tests
])
])
