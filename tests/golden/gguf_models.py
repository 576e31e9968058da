# SPDX-License-Identifier: Apache-2.0
#
# The tiny models of decoders.py as GGUF files, converted by the rules that llama.cpp's converter follows.
#
#   python gguf_models.py ../data/families [NAME …]
#
# Writes NAME/NAME.gguf beside the model it was made from, so that expected.safetensors serves both. What the format does to a
# model: queries and keys of "llama" have the halves of each rotary pair side by side, Gemma's norms have their 1 added,
# GPT-2's linear maps are turned to [out, in], and the scaling of LLaMA 3's rotary positions becomes a tensor: what each frequency
# is divided by.
import glob
import math
import os
import sys

import gguf
import numpy as np
import torch
from transformers import AutoConfig
from safetensors.torch import load_file

MODELS = {"mistral-full": "llama", "llama3": "llama", "yarn": "qwen2", "qwen2": "qwen2", "qwen3": "qwen3", "gemma2": "gemma2", "gemma3-regular": "gemma3",
          "gpt2": "gpt2"}
LAYER = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
GEMMA = {**LAYER, "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
         "post_feedforward_layernorm": "post_ffw_norm"}
GPT2 = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
        "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
           "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm"}


def new_name(arch, name):
    stem, kind = name.rsplit(".", 1)
    if stem in OUTSIDE:
        return f"{OUTSIDE[stem]}.{kind}"
    parts = stem.split(".")
    names = GPT2 if arch == "gpt2" else GEMMA if arch.startswith("gemma") else LAYER
    layer, rest = (parts[2], ".".join(parts[3:]))
    return f"blk.{layer}.{names[rest]}.{kind}"


def pair_up(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def convert(arch, c, name, w):
    if arch == "llama" and ".q_proj." in name:
        w = pair_up(w, c.num_attention_heads)
    if arch == "llama" and ".k_proj." in name:
        w = pair_up(w, c.num_key_value_heads)
    if arch.startswith("gemma") and name.endswith("norm.weight"):
        w = w + 1
    if arch == "gpt2" and w.ndim == 2 and (".attn." in name or ".mlp." in name):
        w = w.T
    return np.ascontiguousarray(w)


def settings(g, arch, c):
    if arch == "gpt2":
        g.add_block_count(c.n_layer), g.add_head_count(c.n_head), g.add_embedding_length(c.n_embd)
        g.add_context_length(c.n_positions), g.add_feed_forward_length(c.n_inner), g.add_layer_norm_eps(c.layer_norm_epsilon)
        return
    g.add_block_count(c.num_hidden_layers), g.add_head_count(c.num_attention_heads)
    g.add_head_count_kv(c.num_key_value_heads), g.add_embedding_length(c.hidden_size)
    g.add_context_length(c.max_position_embeddings), g.add_feed_forward_length(c.intermediate_size)
    g.add_layer_norm_rms_eps(c.rms_norm_eps), g.add_key_length(c.hidden_size // c.num_attention_heads
                                                              if getattr(c, "head_dim", None) is None else c.head_dim)
    rope = c.rope_parameters
    if "full_attention" in rope:
        rope = rope["full_attention"]
    g.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        g.add_rope_scaling_type(gguf.RopeScalingType.LINEAR), g.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        g.add_rope_scaling_type(gguf.RopeScalingType.YARN), g.add_rope_scaling_factor(rope["factor"])
        g.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        g.add_rope_scaling_yarn_beta_fast(rope["beta_fast"]), g.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
    g.add_rope_dimension_count(c.head_dim if getattr(c, "head_dim", None) else c.hidden_size // c.num_attention_heads)
    if getattr(c, "sliding_window", None):
        g.add_sliding_window(c.sliding_window)
    if getattr(c, "attn_logit_softcapping", None):
        g.add_attn_logit_softcapping(c.attn_logit_softcapping), g.add_final_logit_softcapping(c.final_logit_softcapping)


# In float64, by wavelengths: short ones are kept, long ones stretched, and between them the frequency is a mixture.
def llama3_factors(rope, d):
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    factors = []
    for j in range(d // 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (2 * j / d)
        kept = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
            rope["high_freq_factor"] - rope["low_freq_factor"])
        mixed = 1 / ((1 - kept) / rope["factor"] + kept)
        factors.append(1 if wavelength < high else rope["factor"] if wavelength > low else mixed)
    return np.array(factors, dtype=np.float32)


def write(dir, name, arch):
    source = os.path.join(dir, name)
    c = AutoConfig.from_pretrained(source)
    g = gguf.GGUFWriter(os.path.join(source, name + ".gguf"), arch)
    settings(g, arch, c)
    g.add_vocab_size(c.vocab_size)
    if arch != "gpt2" and c.rope_parameters.get("rope_type") == "llama3":
        g.add_tensor("rope_freqs.weight", llama3_factors(c.rope_parameters, c.head_dim))
    weights = {k: w for file in sorted(glob.glob(os.path.join(source, "*model*.safetensors"))) for k, w in load_file(file).items()}
    for key, w in weights.items():
        if key == "lm_head.weight" and c.tie_word_embeddings:
            continue
        w = convert(arch, c, key, w.to(torch.float32).numpy())
        half = w.ndim == 2
        g.add_tensor(new_name(arch, key), w.astype(np.float16) if half else w)
    g.write_header_to_file(), g.write_kv_data_to_file(), g.write_tensors_to_file(), g.close()


if __name__ == "__main__":
    for name, arch in MODELS.items():
        if len(sys.argv) < 3 or name in sys.argv[2:]:
            write(sys.argv[1], name, arch)
