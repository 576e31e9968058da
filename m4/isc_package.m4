# SPDX-License-Identifier: Apache-2.0
# What other packages are told about this one: inversescope.pc, and the plugin ABI in it.

AC_DEFUN([ISC_PACKAGE], [
  # The header is the one place that says which ABI this is.
  isc_abi_header="$srcdir/api/inversescope/plugin.h"
  isc_abi_major=`sed -n 's/^#define ISC_ABI_MAJOR //p' "$isc_abi_header"`
  isc_abi_minor=`sed -n 's/^#define ISC_ABI_MINOR //p' "$isc_abi_header"`
  AS_IF([test -z "$isc_abi_major" || test -z "$isc_abi_minor"],
    [AC_MSG_ERROR([$isc_abi_header does not say ISC_ABI_MAJOR and ISC_ABI_MINOR])])
  AC_SUBST([ISC_ABI], [$isc_abi_major.$isc_abi_minor])
  AC_SUBST([CONFIG_STATUS_DEPENDENCIES], ['$(top_srcdir)/api/inversescope/plugin.h'])
  PKG_INSTALLDIR
  AC_CONFIG_FILES([inversescope.pc])
])
