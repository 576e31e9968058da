#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stages of bench_stages at the shape of GPT-2 small, in PyTorch, for a comparison on one machine.

usage: OMP_NUM_THREADS=2 python3 bench/pytorch.py [RESULTS] [STAGE ...]
RESULTS is what `bench_stages --shape gpt2-small --json` printed; with it the last two columns are its rate over PyTorch's
and the same of what each gets out of a processor second. Needs PyTorch 2. Every saving that changes no number is taken here too: scores collapsed to one product per head and
position, head factors instead of head outputs, an early end of the harvest, keys and values cached.
"""
import json, os, sys, time
import torch, torch.nn as nn, torch.nn.functional as F

V, C, L, H, CH, CD = 50257, 768, 12, 12, 32, 64  # vocabulary, width, blocks, heads, control heads and their width
BATCH, LEN, DRAWS, SITES = 64, 24, 20, L * H
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
torch.manual_seed(1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.fc, self.fc2 = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def split(self, x):
        return (t.view(*x.shape[:2], H, C // H).transpose(1, 2) for t in self.qkv(self.ln1(x)).split(C, 2))

    def heads(self, x):
        y = F.scaled_dot_product_attention(*self.split(x), is_causal=True)
        return y.transpose(1, 2).reshape(x.shape)

    def cached(self, x, k_cache, v_cache, t):
        q, k_cache[:, :, t : t + 1], v_cache[:, :, t : t + 1] = self.split(x)
        y = F.scaled_dot_product_attention(q, k_cache[:, :, : t + 1], v_cache[:, :, : t + 1])
        return y.transpose(1, 2).reshape(x.shape)

    def mlp(self, x):
        return self.fc2(F.gelu(self.fc(self.ln2(x)), approximate="tanh"))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(64, C)
        self.blocks, self.ln = nn.ModuleList(Block() for _ in range(L)), nn.LayerNorm(C)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def logits(self, x):
        return F.linear(self.ln(x), self.wte.weight)

    def forward(self, ids, control=None):
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for i, b in enumerate(self.blocks):
            x = x + b.proj(b.heads(x))
            if control:
                x = x + control[i](x)
            x = x + b.mlp(x)
        return self.logits(x)

    def harvest(self, ids):
        x, out = self.wte(ids) + self.wpe.weight[: ids.shape[1]], []
        for i, b in enumerate(self.blocks):
            y = b.heads(x)
            out.append(y[:, -1].view(-1, H, C // H))
            if i + 1 < L:
                x = x + b.proj(y)
                x = x + b.mlp(x)
        return out


class Control(nn.Module):
    def __init__(self, projected):
        super().__init__()
        n = CH * CD
        self.ln, self.q, self.k = nn.LayerNorm(C), nn.Linear(C, n), nn.Linear(C, n)
        self.v = nn.Linear(C, n if projected else CH * C)
        self.o = nn.Parameter(torch.randn(CH, CD, C) / 30) if projected else None
        nn.init.normal_(self.v.weight, std=1e-3)

    def condition(self, z):
        k, v = self.k(z).view(-1, CH, CD), self.v(z).view(z.shape[0], CH, -1)
        u = torch.einsum("bhd,hdc->bhc", k, self.q.weight.view(CH, CD, C))
        c = torch.einsum("bhd,hd->bh", k, self.q.bias.view(CH, CD))
        v = v if self.o is None else torch.einsum("bhd,hdc->bhc", v, self.o)
        return lambda x: torch.bmm(torch.tanh(torch.baddbmm(c.unsqueeze(1), self.ln(x), u.transpose(1, 2))), v)


class Generator(nn.Module):
    def __init__(self, projected=False):
        super().__init__()
        self.decoder = Decoder().requires_grad_(False)
        self.sites = nn.ModuleList(nn.Linear(C, C) for _ in range(SITES))
        self.control = nn.ModuleList(Control(projected) for _ in range(L))

    def conditions(self, z, site):  # sorted by site
        sites, n = site.unique_consecutive(return_counts=True)
        z = torch.cat([self.sites[s](p) for s, p in zip(sites.tolist(), z.split(n.tolist()))])
        return [c.condition(z) for c in self.control]

    @torch.no_grad()
    def sample(self, z, site, each):
        d, n, control = self.decoder, z.shape[0] * each, self.conditions(z, site)
        caches = [torch.empty(2, n, H, DRAWS, C // H) for _ in range(L)]
        ids = torch.full((n, 1), V - 1)
        for t in range(DRAWS):
            x = d.wte(ids) + d.wpe.weight[t]
            for i, b in enumerate(d.blocks):
                x = x + b.proj(b.cached(x, *caches[i], t))
                x = x + control[i](x.view(-1, each, C)).view(x.shape)
                x = x + b.mlp(x)
            ids = torch.multinomial(F.softmax(d.logits(x[:, 0]), -1), 1)


def trainer(parameters, loss):
    opt = torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=1e-5)

    def step():
        opt.zero_grad(set_to_none=True)
        loss().backward()
        opt.step()

    return step


def language_loss(model, *more):
    ids = torch.randint(0, V, (BATCH, LEN + 1))
    return lambda: F.cross_entropy(model(ids[:, :-1], *(m() for m in more)).flatten(0, 1), ids[:, 1:].flatten())


def backbone():
    d = Decoder()
    return trainer(d.parameters(), language_loss(d))


def control(projected):
    g, site = Generator(projected), torch.randperm(SITES)[:BATCH].sort().values
    z = torch.randn(BATCH, C)
    return trainer(g.parameters(), language_loss(g.decoder, lambda: g.conditions(z, site)))


def harvest():
    d, ids = Decoder(), torch.randint(0, V, (BATCH, LEN))
    return torch.no_grad()(lambda: d.harvest(ids))


def sample(rows, each):
    g, z, site = Generator(), torch.randn(rows, C), torch.arange(rows) * SITES // rows
    return lambda: g.sample(z, site, each)


def gemm():
    a, b, c = torch.randn(1536, 768), torch.randn(768, 3072), torch.empty(1536, 3072)
    return lambda: torch.mm(a, b, out=c)


STAGES = {  # how to make a lap, units in a lap
    "gemm": (gemm, 1, "products/s"),
    "harvest": (harvest, BATCH, "prompts/s"),
    "backbone": (backbone, BATCH * LEN, "tokens/s"),
    "control": (lambda: control(False), BATCH, "examples/s"),
    "control-projected": (lambda: control(True), BATCH, "examples/s"),
    "sample": (lambda: sample(16, 16), 256, "texts/s"),
    "sample-apart": (lambda: sample(256, 1), 256, "texts/s"),
}


def lap_seconds(lap, seconds=5):
    laps = []
    lap(), lap()
    while len(laps) < 2 or (sum(w for w, _ in laps) < seconds and len(laps) < 200):
        wall, core = time.perf_counter(), time.process_time()
        lap()
        laps.append((time.perf_counter() - wall, time.process_time() - core))
    return [sorted(t)[len(laps) // 2] for t in zip(*laps)]


def main(arguments):
    files = [a for a in arguments if a not in STAGES]
    ours = {s["stage"]: s for f in files for s in json.load(open(f))["stages"]}
    for name in [a for a in arguments if a in STAGES] or STAGES:
        make, units, unit = STAGES[name]
        wall, core = lap_seconds(make())
        beside = ""
        if name in ours:
            o = ours[name]
            beside = "%6.2f x %6.2f x" % (o["rate"] / (units / wall), o["units"] / o["core_seconds"] / (units / core))
        print("%-18s %10.1f %-10s %s" % (name, units / wall, unit, beside), flush=True)


main(sys.argv[1:])
