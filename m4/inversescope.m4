# SPDX-License-Identifier: Apache-2.0
#
# INVERSESCOPE_PLUGIN([MINIMUM-ABI])
#
# For the configure.ac of a package that builds InverseScope plugins: finds the library through pkg-config and
# checks that its plugin ABI has the wanted major version and at least the wanted minor one ("1.0"; by default
# any will do). Without them configure ends with a message. Sets and substitutes
#
#   INVERSESCOPE_CFLAGS, INVERSESCOPE_LIBS  to compile and to link
#   INVERSESCOPE_PLUGINDIR                  where plugins are installed, or what --with-plugindir says
#   INVERSESCOPE_CHECKER                    the command that checks a plugin.so
#   INVERSESCOPE_PLUGIN_LDFLAGS             libtool flags of a module that exports the descriptor alone

AC_DEFUN([INVERSESCOPE_PLUGIN], [
  AC_REQUIRE([PKG_PROG_PKG_CONFIG])
  AC_REQUIRE([AC_PROG_SED])
  PKG_CHECK_MODULES([INVERSESCOPE], [inversescope])

  AC_MSG_CHECKING([for the plugin ABI of InverseScope])
  inversescope_abi=`$PKG_CONFIG --variable=abi inversescope`
  AC_MSG_RESULT([$inversescope_abi])
  m4_ifval([$1], [
    inversescope_want=$1
    inversescope_major=${inversescope_abi%%.*} inversescope_minor=${inversescope_abi#*.}
    AS_IF([test "x$inversescope_major" != "x${inversescope_want%%.*}" ||
           test "$inversescope_minor" -lt "${inversescope_want#*.}"],
      [AC_MSG_ERROR([this package is written for InverseScope's plugin ABI $inversescope_want; the library speaks ABI $inversescope_abi])])
  ])

  AC_ARG_WITH([plugindir],
    [AS_HELP_STRING([--with-plugindir=DIR], [install plugins into DIR, not InverseScope's own plugin directory])],
    [INVERSESCOPE_PLUGINDIR=$withval],
    [INVERSESCOPE_PLUGINDIR=`$PKG_CONFIG --variable=plugindir inversescope`])
  INVERSESCOPE_CHECKER=`$PKG_CONFIG --variable=checker inversescope`
  INVERSESCOPE_PLUGIN_LDFLAGS="-module -avoid-version -shared -no-undefined -Wl,-z,defs -export-symbols-regex '^isc_plugin_v1\$\$'"
  AC_SUBST([INVERSESCOPE_PLUGINDIR])
  AC_SUBST([INVERSESCOPE_CHECKER])
  AC_SUBST([INVERSESCOPE_PLUGIN_LDFLAGS])
])
