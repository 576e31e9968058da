# SPDX-License-Identifier: Apache-2.0
#
# The headers of a library of the future: every struct that begins with its size has one more member at its end.
/^typedef struct isc_[a-z_]+ \{/ { sized = 0; first = 1; print; next }
/^typedef enum/ { sized = 0 }
first && NF { sized = ($1 == "size_t" && $2 ~ /^size;/); first = 0 }
/^\} isc_[a-z_]+;/ && (sized || /isc_option;/) { print "  void *grown;" }
{ print }
