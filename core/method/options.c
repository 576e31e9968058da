/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of the method `inversescope`: the table, and which stage reads which.
 *
 * Defaults are the paper's where it has one (appendix C); the rest serve a GPT-2-small backbone.
 */
#include "method/inversescope.h"

static const char *const tokenizers[] = {"target", "words", "chars", NULL};
static const char *const values[] = {"full", "projected", NULL};
static const char *const norms[] = {"none", "rms", "layernorm", NULL};
static const char *const backbones[] = {"frozen", "tuned", NULL};
static const char *const noises[] = {"kernel", "neighbours", "mixed", NULL};

typedef isc_inversescope_conf conf;
#define AT(f) offsetof(conf, f)

const isc_option isc_inversescope_options[] = {
    {"backbone.path", ISC_OPT_PATH, ISC_OPT_MUST_EXIST, AT(backbone.path), NULL, NULL, 0, 0, NULL,
     "A Hugging Face GPT-2 directory to fine-tune; absent = train from scratch in the shape "
     "below."},
    {"backbone.tokenizer", ISC_OPT_ENUM, 0, AT(backbone.tokenizer), NULL, "target", 0, 0,
     tokenizers,
     "Tokenizer of a backbone from scratch: the target's, or the words or characters of the "
     "training texts."},
    {"backbone.layers", ISC_OPT_INT, 0, AT(backbone.layers), NULL, "12", 1, 1000, NULL,
     "Blocks of a backbone from scratch."},
    {"backbone.heads", ISC_OPT_INT, 0, AT(backbone.heads), NULL, "12", 1, 1000, NULL,
     "Attention heads of a backbone from scratch; they divide the width."},
    {"backbone.width", ISC_OPT_INT, 0, AT(backbone.width), NULL, "768", 1, 65536, NULL,
     "Width of the residual stream of a backbone from scratch."},
    {"backbone.mlp", ISC_OPT_INT, 0, AT(backbone.mlp), NULL, "0", 0, 1e6, NULL,
     "Inner width of its MLPs; 0 = four times the width."},
    {"backbone.context", ISC_OPT_INT, 0, AT(backbone.context), "tokens", "0", 0, 1e6, NULL,
     "Positions of a backbone from scratch; 0 = the longest training text and a quarter more."},
    {"backbone.init_std", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, AT(backbone.init_std), NULL, "0.02", 0,
     10, NULL, "Standard deviation of a new backbone's weights; small ones learn faster from 0.1."},
    {"backbone.looks", ISC_OPT_INT, ISC_OPT_RUNTIME, AT(backbone.looks), NULL, "10", 0, 1e6, NULL,
     "Times during training that some samples are checked against the prior, if it can tell its "
     "texts: the metric "
     "\"valid\". 0 = never."},
    ISC_RECIPE_OPTIONS("backbone.", conf, backbone.recipe, "10000", 0, "64", "1e-5", "0",
                       "constant"),

    {"control.heads", ISC_OPT_INT, 0, AT(control.heads), NULL, "32", 1, 4096, NULL,
     "Heads of a control layer."},
    {"control.head_dim", ISC_OPT_INT, 0, AT(control.head_dim), NULL, "64", 1, 65536, NULL,
     "Width of a control head's queries and keys."},
    {"control.value", ISC_OPT_ENUM, 0, AT(control.value), NULL, "full", 0, 0, values,
     "full: each head's values are as wide as the backbone (the paper); projected: head_dim wide, "
     "then an output matrix."},
    {"control.score_scale", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, AT(control.score_scale), NULL, "1.0",
     0, 1e6, NULL,
     "Factor on the scores inside tanh (1 = the paper); lower it when the share of saturated "
     "scores is high."},
    {"control.normalise", ISC_OPT_ENUM, 0, AT(control.normalise), NULL, "rms", 0, 0, norms,
     "What is done to an activation before its site's projection: nothing (the paper), division by "
     "the site's root mean "
     "square, or layer norm (which forgets the norm)."},
    {"control.blocks", ISC_OPT_INT, 0, AT(control.blocks), NULL, "0", 0, 64, NULL,
     "Residual blocks that an activation goes through behind its site's projection, so that it "
     "need not be read "
     "linearly; 0 = none (the paper). They cost little: they run once for an activation, not for "
     "every token."},
    {"control.noise", ISC_OPT_ENUM, 0, AT(control.noise), NULL, "kernel", 0, 0, noises,
     "kernel: condition = the text's own activation plus noise from the kernel's law (the paper); "
     "neighbours: a clean "
     "activation with a text drawn from P(x; z) among the training inputs; mixed: some of each."},
    {"control.neighbour_share", ISC_OPT_FLOAT, 0, AT(control.neighbour_share), NULL, "0.5", 0, 1,
     NULL, "Share of neighbours among mixed examples."},
    {"control.candidates", ISC_OPT_INT, 0, AT(control.candidates), "inputs", "32768", 0, 1e9, NULL,
     "Training inputs that neighbours are drawn among; 0 = all."},
    {"control.backbone", ISC_OPT_ENUM, 0, AT(control.backbone), NULL, "frozen", 0, 0, backbones,
     "frozen: the backbone's weights stay as its stage left them (the paper); tuned: a copy of "
     "them is trained with the control layers, so that attention can carry to later tokens what an "
     "activation asks of earlier ones. Texts without a condition are the backbone's own either "
     "way."},
    {"control.backbone_lr", ISC_OPT_FLOAT, 0, AT(control.backbone_lr), NULL, "1.0", 0, 1e4, NULL,
     "Rate of a tuned backbone as a multiple of control.lr."},
    {"control.memory", ISC_OPT_INT, ISC_OPT_RUNTIME, AT(control.memory), "MiB", "4096", 0, 1e7,
     NULL, "Activations kept in memory during training; what does not fit is read as needed."},
    {"control.site_lr", ISC_OPT_FLOAT, 0, AT(control.site_lr), NULL, "1.0", 0, 1e4, NULL,
     "Rate of the site projections as a multiple of control.lr."},
    {"control.looks", ISC_OPT_INT, ISC_OPT_RUNTIME, AT(control.looks), NULL, "10", 0, 1e6, NULL,
     "Times during training that some samples are checked against the prior, if it can tell its "
     "texts: the metric "
     "\"valid\". 0 = never."},
    ISC_RECIPE_OPTIONS("control.", conf, control.recipe, "100000", 1, "64", "1e-5", "1000",
                       "constant"),
    {"sampling.precision", ISC_OPT_ENUM, 0, AT(sampling_precision), NULL, "f32", 0, 0,
     isc_precision_names,
     "What matrix products round their operands to when texts are sampled; bf16 is faster on a "
     "GPU, "
     "and log q is then that of the rounded model."},
    ISC_OPTIONS_END};

const char *const isc_inversescope_backbone_options[] = {"backbone.path",
                                                         "backbone.tokenizer",
                                                         "backbone.layers",
                                                         "backbone.heads",
                                                         "backbone.width",
                                                         "backbone.mlp",
                                                         "backbone.context",
                                                         "backbone.init_std",
                                                         ISC_RECIPE_NAMES("backbone."),
                                                         NULL};

const char *const isc_inversescope_control_options[] = {"control.heads",
                                                        "control.head_dim",
                                                        "control.value",
                                                        "control.score_scale",
                                                        "control.normalise",
                                                        "control.noise",
                                                        "control.neighbour_share",
                                                        "control.blocks",
                                                        "control.candidates",
                                                        "control.site_lr",
                                                        "control.backbone",
                                                        "control.backbone_lr",
                                                        ISC_RECIPE_NAMES("control."),
                                                        NULL};
