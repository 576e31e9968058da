# SPDX-License-Identifier: Apache-2.0
"""What gpu.py holds bench_stages against: the same work as a PyTorch user would write it.

A shape `s` is what `bench_stages --describe` says of it. Weights are random; those of GPT-2's kind never end a text, as those
of bench_stages. Each way to do a stage is a function that returns a step, sampling or harvest: a callable
without arguments.
"""
import math
import torch, torch.nn as nn, torch.nn.functional as F


class Work:
    """The shape, and where and how precisely it is computed."""

    def __init__(self, shape, device, precision):
        self.shape, self.device, self.half = shape, device, precision == "bf16"
        self.dtype = torch.bfloat16 if self.half else torch.float32
        self.cuda = device.startswith("cuda")

    def autocast(self):
        return torch.autocast("cuda" if self.cuda else "cpu", torch.bfloat16, enabled=self.half)


# ---- GPT-2


def attend(q, k, v, naive):
    """[batch, heads, positions, head_dim] each, causal."""
    if not naive:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    n = q.shape[2]
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
    future = torch.ones(n, n, dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(future, float("-inf")).softmax(3).to(v.dtype) @ v


class Block(nn.Module):
    def __init__(self, s, naive):
        super().__init__()
        c, self.heads, self.naive = s.width, s.heads, naive
        self.ln1, self.ln2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.qkv, self.proj = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.fc, self.fc2 = nn.Linear(c, s.mlp), nn.Linear(s.mlp, c)

    def split(self, x):
        return (t.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for t in self.qkv(self.ln1(x)).chunk(3, 2))

    def attention(self, x):
        y = attend(*self.split(x), self.naive)
        return self.proj(y.transpose(1, 2).reshape(x.shape))

    def cached(self, x, keys, values, at, seen):
        """x [batch, 1, width] at position `at` [1]; keys and values [batch, heads, draws, head_dim], of which `seen` count."""
        q, k, v = self.split(x)
        keys.index_copy_(2, at, k)
        values.index_copy_(2, at, v)
        y = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        return self.proj(y.transpose(1, 2).reshape(x.shape))

    def mlp(self, x):
        return self.fc2(F.gelu(self.fc(self.ln2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, s, naive=False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(s.vocab, s.width), nn.Embedding(s.context, s.width)
        self.blocks, self.ln = nn.ModuleList(Block(s, naive) for _ in range(s.layers)), nn.LayerNorm(s.width)
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, std=0.02)
            if isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)
        for b in self.blocks:
            nn.init.normal_(b.proj.weight, std=0.02 / math.sqrt(2 * s.layers))
            nn.init.normal_(b.fc2.weight, std=0.02 / math.sqrt(2 * s.layers))
        with torch.no_grad():  # the last word, the end of text, is never drawn
            self.wte.weight[-1, 0], self.ln.bias[0], self.ln.weight[0] = -1, 30, 0

    def logits(self, x):
        return F.linear(self.ln(x), self.wte.weight)

    def forward(self, ids, steer=None):
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for i, b in enumerate(self.blocks):
            x = x + b.attention(x)
            if steer is not None:
                x = x + steer(i, x)
            x = x + b.mlp(x)
        return self.logits(x)


def next_token_loss(logits, target):
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


class Texts:
    """Batches of (input, target) [batch, len]: the end of text, len − 1 words, and the end again."""

    def __init__(self, work, batch, many=2048):
        s = work.shape
        words = torch.randint(0, s.vocab - 1, (many, s.len + 1))
        words[:, 0] = words[:, -1] = s.vocab - 1
        self.words = words.pin_memory() if work.cuda else words
        self.batch, self.device = batch, work.device

    def take(self):
        ids = self.words[torch.randint(0, len(self.words), (self.batch,))].to(self.device, non_blocking=True)
        return ids[:, :-1], ids[:, 1:]


class Training:
    """A step of AdamW on loss(), whose first value is kept."""

    def __init__(self, work, parameters, loss):
        moved = [p for p in parameters if p.requires_grad]
        self.parameters, self.first, self.loss, self.work = sum(p.numel() for p in moved), None, loss, work
        self.optimiser = torch.optim.AdamW(moved, lr=1e-5, weight_decay=0.01, fused=True)

    def __call__(self):
        self.optimiser.zero_grad(set_to_none=True)
        with self.work.autocast():
            loss = self.loss()
        loss.backward()
        self.optimiser.step()
        self.first = loss.item() if self.first is None else self.first


def backbone(work, naive=False, compiled=False):
    model, texts = GPT2(work.shape, naive).to(work.device), Texts(work, work.shape.batch)
    step = lambda ids, target: next_token_loss(model(ids), target)
    step = torch.compile(step, dynamic=False) if compiled else step
    return Training(work, model.parameters(), lambda: step(*texts.take()))


# ---- control layers


class ControlLayer(nn.Module):
    """Added to h behind the attention: Σ_m tanh(scale · ⟨Q_m ln(h) + q_m, K_m z + k_m⟩) (V_m z + v_m)."""

    def __init__(self, s, projected):
        super().__init__()
        c, self.heads, self.dim, self.scale = s.width, s.control_heads, s.control_dim, s.score_scale
        n = self.heads * self.dim
        self.ln, self.query, self.key = nn.LayerNorm(c), nn.Linear(c, n), nn.Linear(c, n)
        self.value = nn.Linear(c, n if projected else self.heads * c)
        self.output = nn.Parameter(torch.randn(self.heads, self.dim, c) * math.sqrt(2 / n)) if projected else None
        nn.init.kaiming_normal_(self.query.weight)
        nn.init.kaiming_normal_(self.key.weight)
        for p in (self.value.weight, self.value.bias, self.query.bias, self.key.bias):
            nn.init.zeros_(p)

    def condition(self, z):
        """z [batch, width] → keys [batch, heads, dim] and values [batch, heads, width]."""
        key = self.key(z).view(len(z), self.heads, self.dim)
        value = self.value(z).view(len(z), self.heads, -1)
        return key, value if self.output is None else torch.einsum("bmd,mdc->bmc", value, self.output)

    def steer(self, h, key, value):
        """h [batch, positions, width] → what is added to it."""
        query = self.query(self.ln(h)).view(*h.shape[:2], self.heads, self.dim)
        scores = torch.tanh(self.scale * torch.einsum("btmd,bmd->btm", query, key))
        return torch.einsum("btm,bmc->btc", scores, value)


class Generator(nn.Module):
    """A frozen decoder, control layers, and a projection of each site."""

    def __init__(self, work, projected):
        super().__init__()
        s = work.shape
        self.decoder = GPT2(s).to(work.dtype).requires_grad_(False)
        self.sites = nn.ModuleList(nn.Linear(s.width, s.width) for _ in range(s.layers * s.heads))
        self.control = nn.ModuleList(ControlLayer(s, projected) for _ in range(s.layers))

    def project(self, z, site):
        """z [batch, width]; `site` of each is on the host, and sorted."""
        which, n = site.unique_consecutive(return_counts=True)
        return torch.cat([self.sites[i](rows) for i, rows in zip(which.tolist(), z.split(n.tolist()))])

    def forward(self, ids, z):
        cond = [c.condition(z) for c in self.control]
        return self.decoder(ids, lambda i, h: self.control[i].steer(h, *cond[i]))


def in_cosine_band(z, epsilon=0.1, band=0.1):
    """z turned by a cosine distance of `epsilon` in a random direction, its norm anywhere in the band."""
    g = torch.randn_like(z)
    g = g - (g * z).sum(1, True) / (z * z).sum(1, True) * z
    norm = z.norm(dim=1, keepdim=True)
    length = 1 + band * (2 * torch.rand(len(z), 1, device=z.device) - 1)
    side = math.sqrt(1 - (1 - epsilon) ** 2) * norm / g.norm(dim=1, keepdim=True)
    return length * ((1 - epsilon) * z + side * g)


def control(work, projected=False, compiled=False):
    s = work.shape
    sites, batch = s.layers * s.heads, s.control_batch
    model, texts = Generator(work, projected).to(work.device), Texts(work, batch)
    pool, rms = torch.randn(4096, s.width, device=work.device), torch.ones(sites, device=work.device)
    step = lambda ids, target, z: next_token_loss(model(ids, z), target)
    step = torch.compile(step, dynamic=False) if compiled else step

    def loss():
        site = torch.randint(0, sites, (batch,)).sort().values
        z = pool[torch.randint(0, len(pool), (batch,)).to(work.device)]
        z = in_cosine_band(z) / rms[site.to(work.device)].unsqueeze(1)
        return step(*texts.take(), model.project(z, site))

    return Training(work, model.parameters(), loss)


# ---- sampling


class StaticCache(nn.Module):
    """A token of every text a call; keys and values stay where they are, so that a step can be compiled and recorded."""

    def __init__(self, work, decoder, texts, control=None, cond=None):
        super().__init__()
        s, weight = work.shape, decoder.wte.weight
        self.decoder, self.control = decoder, control
        self.kept = nn.ModuleList(nn.Module() for _ in range(s.layers))
        for i, kept in enumerate(self.kept):
            for name in ("keys", "values"):
                shape = (texts, s.heads, s.draws, s.head_dim)
                kept.register_buffer(name, torch.zeros(shape, dtype=weight.dtype, device=weight.device))
            for name, x in zip(("control_key", "control_value"), cond[i] if cond else ()):
                kept.register_buffer(name, x)
        self.register_buffer("slot", torch.arange(s.draws, device=weight.device))

    def logits(self, ids, at):
        """ids [texts, 1], at [1] → [texts, vocab]"""
        d, seen = self.decoder, (self.slot <= at).view(1, 1, 1, -1)
        x = d.wte(ids) + d.wpe(at)
        for i, (b, kept) in enumerate(zip(d.blocks, self.kept)):
            x = x + b.cached(x, kept.keys, kept.values, at, seen)
            if self.control is not None:
                x = x + self.control[i].steer(x, kept.control_key, kept.control_value)
            x = x + b.mlp(x)
        return d.logits(x[:, 0])

    def forward(self, ids, at):
        p = self.logits(ids, at).float().softmax(1)
        return (p / torch.empty_like(p).exponential_()).argmax(1, keepdim=True)  # a draw from p


def conditions(work, control, project):
    """Keys and values of every text of every row."""
    s = work.shape
    site = torch.arange(s.rows) * (s.layers * s.heads) // s.rows
    z = project(torch.randn(s.rows, s.width, device=work.device, dtype=work.dtype), site)
    for c in control:
        nn.init.constant_(c.value.weight, 1e-4)
    return [tuple(t.repeat_interleave(s.samples, 0) for t in c.condition(z)) for c in control]


@torch.no_grad()
def sampling(work, steered=False, compiled=False):
    s = work.shape
    texts = s.rows * s.samples
    if steered:
        model = Generator(work, False).to(work.device, work.dtype)
        step = StaticCache(work, model.decoder, texts, model.control, conditions(work, model.control, model.project))
    else:
        step = StaticCache(work, GPT2(s).to(work.device, work.dtype), texts)
    graphs = {"mode": "reduce-overhead"} if work.cuda else {}
    call = torch.compile(step, dynamic=False, **graphs) if compiled else step
    first = torch.full((texts, 1), s.vocab - 1, device=work.device)

    @torch.no_grad()
    def lap():
        ids, drawn, at = first, [], torch.zeros(1, dtype=torch.long, device=work.device)
        for _ in range(s.draws):
            ids = call(ids, at).clone()
            drawn.append(ids)
            at += 1
        return torch.cat(drawn, 1).cpu()

    return lap


def generate(work):
    """Hugging Face's own, which compiles a static cache's step by itself where it can."""
    from transformers import GPT2Config, GPT2LMHeadModel

    s = work.shape
    config = GPT2Config(
        vocab_size=s.vocab, n_positions=s.context, n_embd=s.width, n_layer=s.layers, n_head=s.heads, n_inner=s.mlp,
        bos_token_id=s.vocab - 1, eos_token_id=None, pad_token_id=0, attn_implementation="sdpa",
    )  # fmt: skip
    model = GPT2LMHeadModel(config).to(work.device, work.dtype).eval()
    with torch.no_grad():
        t = model.transformer
        t.wte.weight[-1, 0], t.ln_f.bias[0], t.ln_f.weight[0] = -1, 30, 0
    first = torch.full((s.rows * s.samples, 1), s.vocab - 1, device=work.device)
    asked = dict(do_sample=True, top_k=0, top_p=1.0, max_new_tokens=s.draws, cache_implementation="static")

    @torch.no_grad()
    def lap():
        return model.generate(first, attention_mask=torch.ones_like(first), **asked)[:, 1:].cpu()

    return lap


def is_whole(work, ids):
    """Are they all texts in full length?"""
    s = work.shape
    return tuple(ids.shape) == (s.rows * s.samples, s.draws) and not (ids == s.vocab - 1).any()


# ---- harvest


class Gemma2(nn.Module):
    """Gemma 2 without logits; forward gives, at the last position, the heads' outputs and residual streams asked for."""

    def __init__(self, s, dtype, device):
        super().__init__()
        self.s = s
        c, qkv, o = s.width, (s.heads + 2 * s.kv_heads) * s.head_dim, s.heads * s.head_dim

        def weight(*shape):
            return nn.Parameter(torch.empty(*shape, dtype=dtype, device=device).normal_(0, 0.02), requires_grad=False)

        def norm():
            return nn.Parameter(torch.ones(c, dtype=dtype, device=device), requires_grad=False)

        parts = lambda: nn.ParameterDict({
            "ln1": norm(), "post1": norm(), "ln2": norm(), "post2": norm(),
            "qkv": weight(qkv, c), "o": weight(c, o), "fc": weight(2 * s.mlp, c), "proj": weight(c, s.mlp),
        })  # fmt: skip
        self.wte, self.blocks = weight(s.vocab, c), nn.ModuleList(parts() for _ in range(s.layers))
        n, d = s.context, s.head_dim
        angle = torch.outer(torch.arange(float(n)), 10000 ** (-torch.arange(0, d, 2) / d)).repeat(1, 2)
        apart = torch.arange(n).unsqueeze(1) - torch.arange(n)
        hidden = torch.stack([apart < 0, (apart < 0) | (apart >= s.window)])  # of layers without and with a window
        self.register_buffer("cos", angle.cos().to(device, dtype))
        self.register_buffer("sin", angle.sin().to(device, dtype))
        self.register_buffer("mask", torch.zeros(2, n, n).masked_fill(hidden, float("-inf")).to(device, dtype))
        places = [site.split(".") for site in s.sites]
        self.resid = {int(p[1]) for p in places if p[0] == "resid_post"}
        self.head = {int(p[1]) for p in places if p[0] == "head"}

    def norm(self, x, w):
        y = x.float() if x.dtype == torch.bfloat16 else x
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6) * w).to(x.dtype)

    def rotate(self, x):
        n, (a, b) = x.shape[2], x.chunk(2, -1)
        return x * self.cos[:n] + torch.cat((-b, a), -1) * self.sin[:n]

    def attention(self, x, b, layer):
        """Heads' outputs [batch, positions, heads · head_dim]. The soft cap rules SDPA out."""
        s, (n, t, _) = self.s, x.shape
        qkv = F.linear(x, b["qkv"]).view(n, t, -1, s.head_dim).transpose(1, 2)
        q, k, v = qkv.split([s.heads, s.kv_heads, s.kv_heads], 1)
        k, v = (y.repeat_interleave(s.heads // s.kv_heads, 1) for y in (self.rotate(k), v))
        scores = self.rotate(q) @ k.transpose(2, 3) / math.sqrt(s.head_dim)
        scores = 50 * torch.tanh(scores / 50) + self.mask[1 - layer % 2, :t, :t]
        weights = scores.softmax(-1, dtype=torch.float32 if x.dtype == torch.bfloat16 else None).to(v.dtype)
        return (weights @ v).transpose(1, 2).reshape(n, t, -1)

    def forward(self, ids):
        x, out = F.embedding(ids, self.wte) * torch.tensor(math.sqrt(self.s.width), dtype=self.wte.dtype), []
        for i, b in enumerate(self.blocks):
            y = self.attention(self.norm(x, b["ln1"]), b, i)
            if i in self.head:
                out.append(y[:, -1])
            x = x + self.norm(F.linear(y, b["o"]), b["post1"])
            gate, up = F.linear(self.norm(x, b["ln2"]), b["fc"]).chunk(2, -1)
            x = x + self.norm(F.linear(F.gelu(gate, approximate="tanh") * up, b["proj"]), b["post2"])
            if i in self.resid:
                out.append(x[:, -1])
        return out


def harvest(work, compiled=False):
    s = work.shape
    model = Gemma2(s, work.dtype, work.device)
    ids = torch.randint(0, s.vocab - 1, (s.prompts, s.tokens))
    call = torch.compile(model, dynamic=False) if compiled else model

    @torch.no_grad()
    def lap():
        return [y.float().cpu() for y in call(ids.to(work.device))]

    return lap


def is_complete(work, out):
    """A row of each prompt at each site."""
    s = work.shape
    wide = {"resid_post": s.width, "head": s.heads * s.head_dim}
    return [tuple(y.shape) for y in out] == [(s.prompts, wide[site.split(".")[0]]) for site in s.sites]
