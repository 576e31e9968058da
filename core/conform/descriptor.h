/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for class descriptors beyond those without which the core does not load them (core/plugin/check.c).
 */
#ifndef ISC_CORE_CONFORM_DESCRIPTOR_H
#define ISC_CORE_CONFORM_DESCRIPTOR_H

#include <inversescope/plugin.h>

/* Names, versions, summary, licence, source. `plugin` is NULL for a class of the library. */
isc_status isc_descriptor_metadata(const isc_plugin *plugin, const isc_class *cls);
/* The option table. */
isc_status isc_descriptor_options(const isc_class *cls);

#endif
