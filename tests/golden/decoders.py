# SPDX-License-Identifier: Apache-2.0
#
# Tiny random models of each family and what the transformers library computes with them.
#
#   python decoders.py ../data/families ../../conf/conform [NAME …]
#
# Writes NAME/config.json, NAME/model*.safetensors and NAME/expected.safetensors for the cases below. Weights are rounded to
# bf16, so that they are the same numbers in every file type and at every precision. expected.safetensors holds the ids,
# every layer's activations in float64 (stored as f32) and the logits: the model itself runs in double, rotary tables too.
# With a third argument, a directory for each target plugin, the models that conformance is tried with are copied there with a
# golden.safetensors. Run by hand when a case is added; the files are committed, and users never need Python.
import copy
import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

COMMON = dict(vocab_size=61, num_hidden_layers=3, hidden_size=16, intermediate_size=24, num_attention_heads=4,
              num_key_value_heads=2, head_dim=6, max_position_embeddings=64, attn_implementation="eager",
              pad_token_id=0, bos_token_id=2, eos_token_id=1)


def case(model_type, store="BF16", shards=1, hub=None, length=13, **more):
    return dict(model_type=model_type, store=store, shards=shards, hub=hub or {}, length=length,
                options={**COMMON, **more} if model_type != "gpt2" else {**more, "attn_implementation": "eager"})


# `hub` replaces keys of config.json by their spelling in the directories that are on the hub.
CASES = {
    "llama": case("llama", num_key_value_heads=4, head_dim=4, hub=dict(rope_theta=10000.0, rope_parameters=None, head_dim=None)),
    "llama-gqa": case("llama", store="F32", tie_word_embeddings=True, attention_bias=True, mlp_bias=True,
                      rms_norm_eps=1e-5, hidden_act="gelu_pytorch_tanh",
                      rope_parameters=dict(rope_type="default", rope_theta=500.0)),
    "llama3": case("llama", store="F16", shards=3, num_key_value_heads=1, length=40,
                   rope_parameters=dict(rope_type="llama3", rope_theta=50.0, factor=8.0, low_freq_factor=1.0,
                                        high_freq_factor=4.0, original_max_position_embeddings=16),
                   hub=dict(rope_theta=50.0, rope_parameters=None,
                            rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                              original_max_position_embeddings=16))),
    "llama-linear": case("llama", rope_parameters=dict(rope_type="linear", rope_theta=100.0, factor=4.0),
                         hub=dict(rope_theta=100.0, rope_parameters=None, rope_scaling=dict(type="linear", factor=4.0))),
    "yarn": case("qwen2", length=40, head_dim=None, hidden_size=24, num_attention_heads=2, num_key_value_heads=1,
                 rope_parameters=dict(rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=16,
                                      beta_fast=2.0, beta_slow=0.5)),
    "yarn-other": case("llama", length=40, head_dim=12, rope_parameters=dict(
        rope_type="yarn", rope_theta=50.0, factor=8.0, beta_fast=3.0, beta_slow=1.0, truncate=False, mscale=1.5,
        mscale_all_dim=0.5),
        hub=dict(rope_theta=50.0, rope_parameters=None,
                 rope_scaling=dict(type="yarn", factor=8.0, beta_fast=3.0, beta_slow=1.0, truncate=False, mscale=1.5,
                                   mscale_all_dim=0.5))),
    "mistral": case("mistral", sliding_window=5, length=40),
    "mistral-full": case("mistral", sliding_window=None),
    "qwen2": case("qwen2", head_dim=None, hidden_size=24),
    "qwen3": case("qwen3"),
    "gemma2": case("gemma2", sliding_window=5, query_pre_attn_scalar=6, attn_logit_softcapping=3.0, length=40,
                   final_logit_softcapping=2.0, hidden_activation="gelu_pytorch_tanh",
                   hub=dict(rope_theta=10000.0, rope_parameters=None, layer_types=None)),
    "gemma2-plain": case("gemma2", store="F32", sliding_window=50, attn_logit_softcapping=None,
                         final_logit_softcapping=None, query_pre_attn_scalar=20),
    "gemma3": case("gemma3_text", sliding_window=5, length=40, num_hidden_layers=4, query_pre_attn_scalar=9,
                   layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
                   rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=100.0),
                                        full_attention=dict(rope_type="linear", rope_theta=1000.0, factor=8.0))),
    "gemma3-regular": case("gemma3_text", sliding_window=5, length=40, num_hidden_layers=7, query_pre_attn_scalar=6,
                           rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=10000.0),
                                                full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0)),
                           hub=dict(rope_theta=1e6, rope_local_base_freq=10000.0, sliding_window_pattern=6, layer_types=None,
                                    rope_parameters=None, rope_scaling=dict(rope_type="linear", factor=8.0))),
    "gpt2": case("gpt2", vocab_size=61, n_layer=3, n_embd=16, n_head=4, n_inner=24, n_positions=48),
    "gpt2-other": case("gpt2", store="F16", vocab_size=61, n_layer=3, n_embd=16, n_head=2, n_positions=48,
                       activation_function="relu", scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False),
}
SHIPPED = {"llama-gqa": "llama", "gemma2": "gemma2", "gemma3": "gemma3"}
STORE = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 0.3 if p.ndim == 1 else 0.35
            x = torch.randn(p.shape, generator=g) * scale
            if p.ndim == 1 and "norm" in name and "gemma" not in type(model).__name__.lower():
                x = x + 1
            if p.ndim == 1 and ".ln_" in name and name.endswith("weight"):
                x = x + 1
            p.copy_(x.to(torch.bfloat16).to(p.dtype))


def blocks(model):
    return model.transformer.h if hasattr(model, "transformer") else model.model.layers


def watch(model, family, seen):
    def keep(name, take):
        return lambda _, args, out: seen.__setitem__(name, take(args, out))

    def first(x):
        return x[0] if isinstance(x, tuple) else x

    for i, b in enumerate(blocks(model)):
        o = b.attn.c_proj if family == "gpt2" else b.self_attn.o_proj
        o.register_forward_hook(keep(f"heads.{i}", lambda a, _: a[0]))
        o.register_forward_hook(keep(f"attn_out.{i}", lambda _, out: out))
        b.mlp.register_forward_hook(keep(f"mlp_out.{i}", lambda _, out: out))
        b.register_forward_hook(keep(f"resid_pre.{i}", lambda a, _: a[0]))
        b.register_forward_hook(keep(f"resid_post.{i}", lambda _, out: first(out)))
    norm = model.transformer.ln_f if family == "gpt2" else model.model.norm
    norm.register_forward_hook(keep("hidden", lambda _, out: out))


# The library makes rotary tables in f32 whatever the model's type; so does the definition of these models.
def run(model, ids):
    with torch.no_grad():
        return model(ids, use_cache=False).logits


# How far the library itself is from these numbers with weights and activations in bf16: by what is stored, the worst place.
def error_in_bf16(model, family, ids, exact):
    half = copy.deepcopy(model).to(torch.bfloat16)
    for (_, a), (_, b) in zip(half.named_buffers(), model.named_buffers()):
        a.data = b.data.to(torch.float32)
    seen = {}
    watch(half, family, seen)
    seen["logits"] = run(half, ids)
    worst = 0.0
    for name, x in exact.items():
        y = seen[name].double()
        worst = max(worst, ((x - y).abs().max() / x.abs().max()).item())
    return worst


def ship(to, source, ids, seen, logits):
    os.makedirs(to, exist_ok=True)
    for f in ("config.json", "model.safetensors"):
        shutil.copyfile(os.path.join(source, f), os.path.join(to, f))
    tensors = {k: seen[k].to(torch.float32).contiguous().clone() for k in ("heads.1", "attn_out.2", "mlp_out.0", "hidden")}
    tensors.update(ids=ids.to(torch.int32), logits=logits.to(torch.float32).contiguous())
    save_file(tensors, os.path.join(to, "golden.safetensors"), metadata=dict(tolerance="1e-4"))


def write(dir, name, c):
    out = os.path.join(dir, name)
    os.makedirs(out, exist_ok=True)
    config = AutoConfig.for_model(c["model_type"], **{k: v for k, v in c["options"].items() if v is not None or k != "head_dim"})
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    randomise(model, 7)
    stored = copy.deepcopy(model).to(STORE[c["store"]])  # rounds the rotary frequencies too
    size = sum(p.numel() * p.element_size() for p in stored.parameters())
    stored.save_pretrained(out, max_shard_size=size // c["shards"] + 1500 if c["shards"] > 1 else "1GB")
    os.remove(os.path.join(out, "generation_config.json")) if os.path.exists(os.path.join(out, "generation_config.json")) else None
    path = os.path.join(out, "config.json")
    text = json.load(open(path))
    for k, v in c["hub"].items():
        text.pop(k, None) if v is None else text.__setitem__(k, v)
    json.dump(text, open(path, "w"), indent=1, sort_keys=True)
    plain = copy.deepcopy(model)
    model = model.double()
    seen = {}
    watch(model, c["model_type"], seen)
    g = torch.Generator().manual_seed(11)
    ids = torch.randint(0, 61, (2, c["length"]), generator=g)
    logits = run(model, ids)
    bf16 = error_in_bf16(plain, c["model_type"], ids, {**seen, "logits": logits})
    tensors = {k: v.to(torch.float32).contiguous().clone() for k, v in seen.items()}
    tensors["logits"] = logits[:, -4:].to(torch.float32).contiguous()
    tensors["ids"] = ids.to(torch.int32)
    if c["length"] > 20:  # what long prompts are for is seen at their end
        tensors = {k: (v[:, -6:].contiguous() if v.ndim == 3 and k != "logits" else v) for k, v in tensors.items()}
    save_file(tensors, os.path.join(out, "expected.safetensors"), metadata=dict(bf16=f"{bf16:.6f}"))
    if name in SHIPPED and len(sys.argv) > 2:
        ship(os.path.join(sys.argv[2], SHIPPED[name]), out, ids, seen, logits)
    print(name, "bf16", f"{bf16:.4f}", sum(os.path.getsize(os.path.join(out, f)) for f in os.listdir(out)), "bytes")


if __name__ == "__main__":
    for name, c in CASES.items():
        if len(sys.argv) < 4 or name in sys.argv[3:]:
            write(sys.argv[1], name, c)
