/* SPDX-License-Identifier: Apache-2.0
 *
 * A model's config.json: GPT-2's, and the settings that other families share.
 */
#include "fuzz.h"
#include <inversescope/decoder_family.h>
#include <stdio.h>
#include <string.h>

static void read_shared(const char *dir) {
  char path[512];
  isc_json *j;
  int64_t n;
  isc_act act;
  isc_decoder_spec spec = {.size = sizeof spec, .n_layer = 4};
  snprintf(path, sizeof path, "%s/config.json", dir);
  if (isc_json_open(path, &j) != ISC_OK) return;
  (void)isc_config_size(j, "num_hidden_layers", 0, &n);
  (void)isc_config_act(j, "hidden_act", "silu", &act);
  (void)isc_config_rope(j, &spec);
  (void)isc_config_windows(j, 0, &spec);
  (void)isc_config_windows(j, 6, &spec);
  isc_json_close(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  isc_decoder_spec spec = {.size = sizeof spec};
  const char *dir = isc_fuzz_dir("config.json", data, size);
  (void)isc_decoder_spec_read(dir, &spec);
  read_shared(dir);
  return 0;
}
