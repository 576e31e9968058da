# SPDX-License-Identifier: Apache-2.0
#
# What test_smollm2.c expects of SmolLM2-135M-Instruct as a GGUF file: run by hand, its numbers go into the test.
#
#   python smollm2.py SmolLM2-135M-Instruct.Q4_1.gguf
#
# Weights are dequantised by the gguf package and run by transformers' LLaMA in float64, text is cut by the tokenizer that
# transformers makes of the file's arrays. The file has the halves of each rotary pair of queries and keys side by side; here
# they go back.
import os
import sys

import gguf
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

PROMPT = "Water boils at 100 degrees Celsius because"
PARAGRAPH = ("The river rises in the hills above the town and runs for eighty miles to the sea. In winter it floods the low "
             "fields, and the farmers move their sheep to higher ground; by June it is shallow enough to wade. There were 12 "
             "mills on its banks in 1850, and today there are none.")
LAYER = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def name_of(name):
    stem = name.rsplit(".", 1)[0]
    if stem in OUTSIDE:
        return OUTSIDE[stem] + ".weight"
    _, layer, rest = stem.split(".")
    return f"model.layers.{layer}.{LAYER[rest]}.weight"


def halves(w, heads):
    return w.reshape(heads, w.shape[0] // heads // 2, 2, w.shape[1]).transpose(1, 2).reshape(w.shape)


def load(path):
    reader = gguf.GGUFReader(path)

    def field(name):
        return reader.get_field("llama." + name).contents()

    config = LlamaConfig(
        num_hidden_layers=field("block_count"), num_attention_heads=field("attention.head_count"),
        num_key_value_heads=field("attention.head_count_kv"), hidden_size=field("embedding_length"),
        intermediate_size=field("feed_forward_length"), max_position_embeddings=field("context_length"),
        rms_norm_eps=field("attention.layer_norm_rms_epsilon"), vocab_size=field("vocab_size"),
        rope_theta=field("rope.freq_base"), tie_word_embeddings="output.weight" not in {t.name for t in reader.tensors})
    weights = {}
    for t in reader.tensors:
        w = torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy()).double()
        name = name_of(t.name)
        if "q_proj" in name:
            w = halves(w, config.num_attention_heads)
        if "k_proj" in name:
            w = halves(w, config.num_key_value_heads)
        weights[name] = w
    model = LlamaForCausalLM(config).double().eval()
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def main(path):
    where, name = os.path.split(os.path.abspath(path))
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    model = load(path)
    ids = tokenizer(PROMPT, add_special_tokens=False).input_ids
    new, margins = [], []
    with torch.no_grad():
        for _ in range(20):
            best = torch.topk(model(torch.tensor([ids + new])).logits[0, -1], 2)
            margins.append(float(best.values[0] - best.values[1]))
            new.append(int(best.indices[0]))
        text = tokenizer(PARAGRAPH, add_special_tokens=False).input_ids
        logp = torch.log_softmax(model(torch.tensor([text])).logits[0, :-1], -1)
    each = logp[torch.arange(len(text) - 1), torch.tensor(text[1:])]
    print("prompt", ids)
    print("greedy", new, repr(tokenizer.decode(new)))
    print(f"least margin of a greedy token {min(margins):.4f}")
    print(f"paragraph of {len(text)} tokens: log P {each.sum():.6f}, perplexity {torch.exp(-each.mean()):.6f}")


main(sys.argv[1])
