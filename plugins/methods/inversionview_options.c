/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of the method inversionview. Defaults are the published ones, for IOI where tasks differ.
 */
#include "inversionview.h"

static const char *const variants[] = {"default", "cross_attention", NULL};
static const char *const positions[] = {"fixed", "any", NULL};
static const char *const noises[] = {"none", "std", "epsilon", "kernel", NULL};

#define AT(f) offsetof(iv_conf, f)

const isc_option iv_options[] = {
    {"variant", ISC_OPT_ENUM, 0, AT(variant), NULL, "default", 0, 0, variants,
     "How the decoder reads the activation: default is one more key/value slot in every layer's "
     "self-attention; cross_attention attends, after it, to the activation or to a learned slot "
     "that says nothing."},
    {"layers", ISC_OPT_INT, 0, AT(layers), NULL, "2", 1, 1000, NULL, "Blocks of the decoder."},
    {"heads", ISC_OPT_INT, 0, AT(heads), NULL, "4", 1, 1000, NULL,
     "Its attention heads; they divide the width."},
    {"width", ISC_OPT_INT, 0, AT(width), NULL, "256", 1, 65536, NULL,
     "Width of its residual stream."},
    {"mlp", ISC_OPT_INT, 0, AT(mlp), NULL, "0", 0, 1e6, NULL,
     "Inner width of its MLPs; 0 = four times the width."},
    {"context", ISC_OPT_INT, 0, AT(context), "tokens", "0", 0, 1e6, NULL,
     "Its positions; 0 = the longest training text and a quarter more."},
    {"init_std", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, AT(init_std), NULL, "0.02", 0, 10, NULL,
     "Standard deviation of the decoder's weights at first; small ones learn faster from 0.1."},
    {"blocks", ISC_OPT_INT, 0, AT(blocks), NULL, "6", 0, 1000, NULL,
     "Residual blocks that the activation and its site's embedding go through first."},
    {"dropout", ISC_OPT_FLOAT, ISC_OPT_OPEN_MAX, AT(dropout), NULL, "0.1", 0, 1, NULL,
     "Share of coordinates zeroed in training, of the decoder's embedding sum and residual "
     "outputs."},
    {"attention_dropout", ISC_OPT_FLOAT, ISC_OPT_OPEN_MAX, AT(attention_dropout), NULL, "0.0", 0, 1,
     NULL, "Share of the positions that each head may not see in training."},
    {"position", ISC_OPT_ENUM, 0, AT(position), NULL, "fixed", 0, 0, positions,
     "Which token's activations are trained on: fixed is the run's own position, whose activations "
     "are stored; any is a token drawn anew for each example, run through the target then."},
    {"bos_share", ISC_OPT_FLOAT, 0, AT(bos_share), NULL, "0.01", 0, 1, NULL,
     "With position = \"any\": share of the examples that take the BOS, where the target reads "
     "one."},
    {"batch_sites", ISC_OPT_INT, 0, AT(batch_sites), NULL, "1", 1, 1e6, NULL,
     "Times that a site is drawn for a batch, each for an equal part of it."},
    {"reweight", ISC_OPT_FLOAT, 0, AT(reweight), NULL, "0.0", 0, 100, NULL,
     "Sites are drawn in proportion to this power of their recent loss: 0 = all alike, 1 = a site "
     "twice as hard twice as often."},
    {"noise", ISC_OPT_ENUM, 0, AT(noise), NULL, "none", 0, 0, noises,
     "Noise on an activation when it is inverted, one for all its samples. std: Gaussian, "
     "noise_scale times each coordinate's deviation in training. epsilon: Gaussian, of "
     "root-mean-square norm ε, or ε times its own where d is relative or an angle. "
     "kernel: of the kernel's own law, that of P(x; z)."},
    {"noise_scale", ISC_OPT_FLOAT, 0, AT(noise_scale), NULL, "0.1", 0, 1e6, NULL,
     "See noise = \"std\"."},
    {"sampling.precision", ISC_OPT_ENUM, 0, AT(sampling_precision), NULL, "f32", 0, 0,
     isc_precision_names, "What matrix products round their operands to when texts are sampled."},
    ISC_RECIPE_OPTIONS("", iv_conf, recipe, "156250", 1, "128", "1e-4", "0", "constant"),
    ISC_OPTIONS_END};

const char *const iv_training_options[] = {
    "variant",  "layers",    "heads",       "width",    "mlp",
    "context",  "init_std",  "blocks",      "dropout",  "attention_dropout",
    "position", "bos_share", "batch_sites", "reweight", ISC_RECIPE_NAMES(""),
    NULL};
