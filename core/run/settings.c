/* SPDX-License-Identifier: Apache-2.0
 *
 * Option tables of the core's own groups of a run config.
 */
#include "run/settings.h"

const char *const isc_run_keys[] = {"run",      "backend", "target",      "prior",
                                    "kernel",   "method",  "baselines",   "features",
                                    "evaluate", "report",  "plugin_path", NULL};
const char *const isc_pretrain_keys[] = {"run",      "backend",     "prior",
                                         "pretrain", "plugin_path", NULL};

#define OPT(type_, struct_, field_)                                                                \
  .name = #field_, .type = type_, .offset = offsetof(struct_, field_)

const isc_option isc_run_options[] = {
    {OPT(ISC_OPT_STRING, isc_run_settings, name), .flags = ISC_OPT_RUNTIME,
     .doc = "Name of the study; the config file's name when absent."},
    {OPT(ISC_OPT_STRING, isc_run_settings, dir), .flags = ISC_OPT_RUNTIME,
     .doc =
         "Run directory, made when absent; runs/NAME below the working directory when not given."},
    {OPT(ISC_OPT_INT, isc_run_settings, seed), .preset = "1", .min = 0, .max = 9007199254740992.0,
     .doc = "Seed of every random choice of the run."},
    {OPT(ISC_OPT_STRING, isc_run_settings, device), .preset = "auto",
     .doc =
         "Compute backend: a backend plugin's name, or auto for the best that works here. Its own "
         "settings are those of the group backend at the top level, as describe backend/NAME "
         "lists them."},
    {OPT(ISC_OPT_INT, isc_run_settings, threads), .flags = ISC_OPT_RUNTIME, .preset = "0", .min = 0,
     .max = 4096, .unit = "threads", .doc = "Threads of the compute backend; 0 uses every core."},
    {OPT(ISC_OPT_FLOAT, isc_run_settings, checkpoint_seconds), .flags = ISC_OPT_RUNTIME,
     .preset = "30", .min = 0, .max = 86400, .unit = "seconds",
     .doc = "Time between checkpoints of a training stage."},
    ISC_OPTIONS_END};

const isc_option isc_target_options[] = {
    {OPT(ISC_OPT_STRING_LIST, isc_target_settings, sites), .preset = "[\"head.*.*\"]",
     .doc = "Sites to study: names, globs or ranges such as head.0-2.*, resid_post.3, L9H6."},
    {OPT(ISC_OPT_INT, isc_target_settings, position), .preset = "-1", .min = -65536, .max = 65536,
     .unit = "tokens", .doc = "Token position of the activations; negative counts from the end."},
    {OPT(ISC_OPT_INT, isc_target_settings, batch), .flags = ISC_OPT_RUNTIME, .preset = "128",
     .min = 1, .max = 1048576, .unit = "texts", .doc = "Texts in one forward pass of the target."},
    ISC_OPTIONS_END};

const isc_option isc_prior_options[] = {
    {OPT(ISC_OPT_INT, isc_prior_settings, train), .preset = "100000", .min = 1, .max = 1e12,
     .unit = "inputs", .doc = "Training inputs; fewer when the prior's training split has fewer."},
    {OPT(ISC_OPT_INT, isc_prior_settings, test), .preset = "5000", .min = 1, .max = 1e12,
     .unit = "inputs", .doc = "Held-out inputs; fewer when the prior's test split has fewer."},
    ISC_OPTIONS_END};

const isc_option isc_feature_options[] = {
    {OPT(ISC_OPT_STRING, isc_feature_settings, name),
     .doc = "Name of the feature in reports; the plugin's name when absent."},
    ISC_OPTIONS_END};

const char *const isc_budget_names[] = {"none", "steps", "tokens", "seconds", "flops", NULL};

const isc_option isc_baseline_options[] = {
    {OPT(ISC_OPT_STRING, isc_baseline_settings, name),
     .doc = "Name of the baseline in reports, and of its directory in the run's: at most 32 lower "
            "case letters, digits and -; the plugin's name when absent."},
    {OPT(ISC_OPT_ENUM, isc_baseline_settings, budget), .preset = "flops",
     .choices = isc_budget_names,
     .doc = "What the baseline's training may take at most: as many steps, training tokens, "
            "seconds or "
            "floating-point operations as the training of the study's own method took; none leaves "
            "it to "
            "its own options, whose number of steps is a limit in any case."},
    ISC_OPTIONS_END};

const isc_option isc_evaluate_options[] = {
    {OPT(ISC_OPT_INT, isc_evaluate_settings, conditions), .preset = "200", .min = 2,
     .max = 16777216, .unit = "inputs",
     .doc = "Held-out inputs whose activations are inverted, at every site."},
    {OPT(ISC_OPT_INT, isc_evaluate_settings, samples), .preset = "16", .min = 1, .max = 1e6,
     .unit = "samples", .doc = "Samples drawn for each activation."},
    {OPT(ISC_OPT_FLOAT, isc_evaluate_settings, temperature), .preset = "1.0", .min = 0, .max = 100,
     .doc = "Sampling temperature; 1 samples the generator's own distribution."},
    {OPT(ISC_OPT_INT, isc_evaluate_settings, batch), .flags = ISC_OPT_RUNTIME, .preset = "1024",
     .min = 1, .max = 1e6, .unit = "sequences", .doc = "Sequences decoded together."},
    {OPT(ISC_OPT_INT, isc_evaluate_settings, unconditional), .preset = "2000", .min = 0, .max = 1e7,
     .unit = "samples", .doc = "Unconditional samples by which the backbone's validity is judged."},
    {OPT(ISC_OPT_INT, isc_evaluate_settings, max_support), .preset = "200000", .min = 0, .max = 1e8,
     .unit = "inputs",
     .doc = "Largest prior support that is enumerated for the exact FCR; 0 never enumerates."},
    {OPT(ISC_OPT_INT, isc_evaluate_settings, bootstrap), .preset = "1000", .min = 10, .max = 1e6,
     .unit = "resamples", .doc = "Bootstrap resamples of the conditions behind each interval."},
    {OPT(ISC_OPT_BOOL, isc_evaluate_settings, any_position), .preset = "false",
     .doc =
         "Also tell the refusal where the nearest of all token positions of a sample counts, as "
         "InversionView "
         "does, and not the target's one alone; the samples go through the target a second time."},
    {OPT(ISC_OPT_BOOL, isc_evaluate_settings, insight), .preset = "true",
     .doc = "Rank every slot of the prior, and every equality of two, by its FCR's lift over "
            "chance at each site, and list "
            "the words that come back in the samples."},
    {OPT(ISC_OPT_FLOAT_LIST, isc_evaluate_settings, scatter_noise), .preset = "[]", .min = 0,
     .max = 10, .flags = ISC_OPT_OPEN_MIN,
     .doc = "Further samples for the figure of consistency against distance, drawn from ẑ with "
            "Gaussian noise of these "
            "lengths, relative to that of ẑ. They do not follow P(x; ẑ) and count nowhere else."},
    {OPT(ISC_OPT_INT, isc_evaluate_settings, scatter_conditions), .preset = "32", .min = 1,
     .max = 1048576, .unit = "inputs",
     .doc = "Held-out inputs that get such samples, as many of each noise as of the others."},
    {OPT(ISC_OPT_FLOAT_LIST, isc_evaluate_settings, epsilons), .preset = "[]", .min = 0,
     .max = 1000, .flags = ISC_OPT_OPEN_MIN,
     .doc = "Other bandwidths of the kernel at which the same samples are evaluated again, such as "
            "[0.05, 0.1, 0.15]."},
    ISC_OPTIONS_END};

const isc_option isc_report_options[] = {
    {OPT(ISC_OPT_STRING, isc_report_settings, title),
     .doc = "Title of the report; the run's name when absent."},
    {OPT(ISC_OPT_INT, isc_report_settings, table_sites), .preset = "3", .min = 0, .max = 1000,
     .unit = "sites",
     .doc = "Sites shown with samples at each end of the consistency ranking, per feature."},
    {OPT(ISC_OPT_INT, isc_report_settings, table_samples), .preset = "12", .min = 1, .max = 1000,
     .unit = "samples", .doc = "Samples shown in each sample table."},
    ISC_OPTIONS_END};

const isc_option isc_path_options[] = {
    {OPT(ISC_OPT_PATH_LIST, isc_path_settings, plugin_path), .flags = ISC_OPT_RUNTIME,
     .doc = "Directories to look for plugins in, before the installed ones."},
    ISC_OPTIONS_END};

const isc_option isc_output_options[] = {{OPT(ISC_OPT_PATH, isc_output_settings, output),
                                          .flags = ISC_OPT_REQUIRED | ISC_OPT_RUNTIME,
                                          .doc = "Directory of the model, made when absent."},
                                         ISC_OPTIONS_END};
