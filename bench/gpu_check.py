# SPDX-License-Identifier: Apache-2.0
"""Is what gpu_models.py computes what it is said to be? In float64, on small cases, on the processor.

The control layer is held against its definition (one head, one position, one number at a time), steps over a cache against
whole passes, and the models against Hugging Face's where transformers is there.
"""
import math
from types import SimpleNamespace
import torch, torch.nn as nn
import gpu_models as g

SMALL = dict(
    layers=4, heads=4, kv_heads=2, head_dim=8, width=24, mlp=40, vocab=19, context=14, window=3, tokens=7, len=6, prompts=3,
    control_heads=3, control_dim=5, score_scale=0.7, rows=2, samples=2, draws=5, sites=["resid_post.1", "head.2.*", "resid_post.3"],
)  # fmt: skip


def close(what, got, wanted, most=1e-10):
    worst = (got - wanted).abs().max().item()
    print("%-72s largest difference %.1e" % (what, worst))
    if not (got.shape == wanted.shape and worst <= most):
        raise SystemExit("gpu.py: %s: they differ" % what)


def scramble(module):
    for p in module.parameters():
        nn.init.normal_(p, std=0.5)
    return module.double()


def by_definition(layer, h, z):
    """Σ_m tanh(scale · ⟨Q_m ln(h_t) + q_m, K_m z + k_m⟩) (V_m z + v_m), with plain sums."""
    batch, positions, c = h.shape
    heads, dim = layer.heads, layer.dim
    dot = lambda a, b: sum(float(x) * float(y) for x, y in zip(a, b))
    linear = lambda m, rows, x: [dot(m.weight[r], x) + float(m.bias[r]) for r in rows]
    out = torch.zeros_like(h)
    for b in range(batch):
        for t in range(positions):
            x = [float(v) for v in h[b, t]]
            mean = sum(x) / c
            spread = math.sqrt(sum((v - mean) ** 2 for v in x) / c + layer.ln.eps)
            x = [(v - mean) / spread * float(w) + float(a) for v, w, a in zip(x, layer.ln.weight, layer.ln.bias)]
            for m in range(heads):
                rows = range(m * dim, (m + 1) * dim)
                score = math.tanh(layer.scale * dot(linear(layer.query, rows, x), linear(layer.key, rows, z[b])))
                if layer.output is None:
                    value = linear(layer.value, range(m * c, (m + 1) * c), z[b])
                else:
                    narrow = linear(layer.value, rows, z[b])
                    value = [dot(narrow, layer.output[m, :, i]) for i in range(c)]
                out[b, t] += score * torch.tensor(value, dtype=h.dtype)
    return out


def control_layers(s):
    for projected in (False, True):
        layer = scramble(g.ControlLayer(SimpleNamespace(**{**vars(s), "width": 6}), projected))
        h, z = torch.randn(2, 3, 6).double(), torch.randn(2, 6).double()
        got, wanted = layer.steer(h, *layer.condition(z)), by_definition(layer, h, z)
        close("control layer, %s values" % ("projected" if projected else "full"), got, wanted)


def decoders(s, work):
    heads = SimpleNamespace(**{**vars(s), "head_dim": s.width // s.heads})
    work.shape, ids = heads, torch.randint(0, s.vocab, (4, s.draws))
    model = scramble(g.Generator(work, False))
    z = torch.randn(4, s.width).double()
    naive = g.GPT2(heads, True).double()
    naive.load_state_dict(model.decoder.state_dict())
    close("attention written out, and SDPA", naive(ids), model.decoder(ids))
    cond = [c.condition(z) for c in model.control]
    for steer, whole in ((None, model.decoder(ids)), (model.control, model(ids, z))):
        cache = g.StaticCache(work, model.decoder, 4, steer, cond)
        parts = [cache.logits(ids[:, t : t + 1], torch.tensor([t])) for t in range(s.draws)]
        close("steps over a static cache, %s" % ("steered" if steer else "unsteered"), torch.stack(parts, 1), whole)
    same = g.Generator.project(model, z, torch.tensor([0, 0, 1, 5]))
    close("site projections", same, torch.stack([model.sites[i](x) for i, x in zip((0, 0, 1, 5), z)]))
    return model.decoder


def noise():
    z = torch.randn(2000, 24).double()
    y = g.in_cosine_band(z, 0.1, 0.1)
    close("noise: cosine distance", 1 - torch.cosine_similarity(z, y), torch.full((2000,), 0.1, dtype=z.dtype))
    ratio = y.norm(dim=1) / z.norm(dim=1)
    if not (0.9 <= ratio.min() < 0.905 and 1.095 < ratio.max() <= 1.1):
        raise SystemExit("gpu.py: noise: norms of %.3f to %.3f" % (ratio.min(), ratio.max()))


def against_hugging_face(s, gpt2):
    from transformers import Gemma2Config, Gemma2Model, GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=s.vocab, n_positions=s.context, n_embd=s.width, n_layer=s.layers, n_head=s.heads, n_inner=s.mlp,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).double().eval()
    with torch.no_grad():
        t = theirs.transformer
        t.wte.weight.copy_(gpt2.wte.weight), t.wpe.weight.copy_(gpt2.wpe.weight)
        pairs = [(t.ln_f, gpt2.ln)]
        for a, b in zip(t.h, gpt2.blocks):
            pairs += [(a.ln_1, b.ln1), (a.ln_2, b.ln2)]
            pairs += [(a.attn.c_attn, b.qkv), (a.attn.c_proj, b.proj), (a.mlp.c_fc, b.fc), (a.mlp.c_proj, b.fc2)]
        for a, b in pairs:
            a.weight.copy_(b.weight if b.weight.dim() == 1 else b.weight.t()), a.bias.copy_(b.bias)
    ids = torch.randint(0, s.vocab, (3, s.tokens))
    close("GPT-2, and Hugging Face's", gpt2(ids), theirs(ids).logits)

    ours = scramble(g.Gemma2(s, torch.float64, "cpu"))
    config = Gemma2Config(
        vocab_size=s.vocab, hidden_size=s.width, intermediate_size=s.mlp, num_hidden_layers=s.layers, num_attention_heads=s.heads,
        num_key_value_heads=s.kv_heads, head_dim=s.head_dim, query_pre_attn_scalar=s.head_dim, sliding_window=s.window,
        attn_logit_softcapping=50.0, rms_norm_eps=1e-6, attn_implementation="eager", pad_token_id=0,
    )  # fmt: skip
    theirs, heads = Gemma2Model(config).double().eval(), {}
    with torch.no_grad():
        theirs.embed_tokens.weight.copy_(ours.wte)
        for i, (a, b) in enumerate(zip(theirs.layers, ours.blocks)):
            q, k, v = b["qkv"].split([s.heads * s.head_dim, s.kv_heads * s.head_dim, s.kv_heads * s.head_dim])
            gate, up = b["fc"].chunk(2)
            for p, w in (
                (a.self_attn.q_proj, q), (a.self_attn.k_proj, k), (a.self_attn.v_proj, v), (a.self_attn.o_proj, b["o"]),
                (a.mlp.gate_proj, gate), (a.mlp.up_proj, up), (a.mlp.down_proj, b["proj"]),
                (a.input_layernorm, b["ln1"] - 1), (a.post_attention_layernorm, b["post1"] - 1),
                (a.pre_feedforward_layernorm, b["ln2"] - 1), (a.post_feedforward_layernorm, b["post2"] - 1),
            ):  # fmt: skip
                p.weight.copy_(w)
            a.self_attn.o_proj.register_forward_pre_hook(lambda m, x, i=i: heads.__setitem__(i, x[0]))
    streams = theirs(ids, output_hidden_states=True).hidden_states
    got = ours(ids)
    # Theirs computes norms and angles in f32.
    close("Gemma 2, residual stream behind layer 1, and Hugging Face's", got[0], streams[2][:, -1], 1e-4)
    close("Gemma 2, heads of layer 2", got[1], heads[2][:, -1], 1e-4)


@torch.no_grad()
def run():
    torch.manual_seed(1)
    s, work = SimpleNamespace(**SMALL), g.Work(None, "cpu", "f32")
    control_layers(s)
    noise()
    gpt2 = decoders(s, work)
    try:
        import transformers
    except ImportError:
        print("transformers is not here: the models themselves were not checked")
    else:
        against_hugging_face(s, gpt2)
