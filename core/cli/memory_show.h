/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory plans as tables and as JSON, for `inspect` and `run --dry-run`.
 */
#ifndef ISC_CORE_CLI_MEMORY_SHOW_H
#define ISC_CORE_CLI_MEMORY_SHOW_H

#include "run/plan.h"

/* "30 layers, d_model 576, …" */
void isc_show_shape(const isc_memory_plan *p);
/* Weights by precision, all of them and streamed; a layer; keys and values. */
void isc_show_memory(const isc_memory_plan *p);
void isc_show_harvest(const isc_memory_plan *p, const isc_harvest_plan *h);
/* Members ", "name": value …" of an object that is open. */
void isc_add_memory_json(isc_sb *b, const isc_memory_plan *p);
void isc_add_harvest_json(isc_sb *b, const isc_harvest_plan *h);

#endif
