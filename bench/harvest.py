#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Harvests of bench_stages and of PyTorch in turn, lap by lap, and how many times as fast ours is.

usage: bench/harvest.py BENCH_STAGES [--shape gpt2-small|llama-1b] [--precision f32|bf16] [--least N] [--laps N] [--threads N]
Without --shape and --precision, both of each. Random weights, the work of shapes.c: in gpt2-small 64 prompts of 24 tokens,
the factors of all 144 heads at the last; in llama-1b 16 prompts, the residual stream behind every fourth layer. Needs
PyTorch 2. Two ways to write it there:
  hooks   what one gets from a model as it is: every layer for every position, padded; the wanted rows are kept, a head's
          factor goes through its part of W_O. No logits.
  tuned   the same savings as ours: it ends with the last site, keeps factors, and takes only the last position through
          the rest of the last layer. Padded, as sequences of several lengths are there.
Ratios are of medians of laps, in processor seconds (which other work on the machine disturbs less) and in wall seconds.
"""
import argparse, os, subprocess, sys, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("--shape", choices=["gpt2-small", "llama-1b"])
parser.add_argument("--precision", choices=["f32", "bf16"])
parser.add_argument("--least", type=int, default=0)
parser.add_argument("--laps", type=int, default=7)
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting must not look like work
import torch, torch.nn.functional as F

torch.set_num_threads(args.threads)
torch.manual_seed(1)
SHAPES = {  # layers, heads, key heads, width, mlp, vocabulary, prompts, tokens
    "gpt2-small": (12, 12, 12, 768, 3072, 50257, 64, 24),
    "llama-1b": (16, 32, 8, 2048, 8192, 8192, 16, 24),
}


class Model:
    def __init__(self, shape, dtype):
        self.layers, self.heads, self.kv, self.width, self.mlp, vocab, self.prompts, self.tokens = SHAPES[shape]
        self.llama, self.d = shape == "llama-1b", self.width // self.heads
        some = (torch.randn(1 << 20) * 0.02).to(dtype)

        def weight(n, k):  # [out, in], the same numbers again and again: to draw a billion takes long
            w = torch.empty(n * k, dtype=dtype)
            for i in range(0, n * k, len(some)):
                w[i : i + len(some)] = some[: n * k - i]
            return w.view(n, k)

        def bias(n):
            return None if self.llama else torch.zeros(n, dtype=dtype)

        c, qkv = self.width, (self.heads + 2 * self.kv) * self.d
        norm = lambda: (torch.ones(c, dtype=dtype), bias(c))
        block = lambda: {
            "ln1": norm(),
            "ln2": norm(),
            "qkv": (weight(qkv, c), bias(qkv)),
            "o": (weight(c, c), bias(c)),
            "fc": (weight(self.mlp * (2 if self.llama else 1), c), bias(self.mlp)),
            "proj": (weight(c, self.mlp), bias(c)),
        }
        self.block = [block() for _ in range(self.layers)]
        self.wte, self.wpe = weight(vocab, c), weight(64, c)
        angle = torch.outer(torch.arange(64.0), 500000 ** (-torch.arange(0, self.d, 2) / self.d)).repeat(1, 2)
        self.cos, self.sin = angle.cos().to(dtype), angle.sin().to(dtype)

    def norm(self, x, p):
        return F.rms_norm(x, (self.width,), p[0], 1e-5) if self.llama else F.layer_norm(x, (self.width,), *p, 1e-5)

    def embed(self, ids):
        x = F.embedding(ids, self.wte)
        return x if self.llama else x + self.wpe[: ids.shape[1]]

    def rotate(self, x):
        n, (a, b) = x.shape[2], x.chunk(2, -1)
        return x * self.cos[:n] + torch.cat((-b, a), -1) * self.sin[:n]

    def attend(self, x, b, last=None):
        """Heads' outputs [batch, positions, width], of all positions or of `last` [batch] alone: then [batch, 1, width]."""
        n, t, h = *x.shape[:2], self.heads
        qkv = F.linear(self.norm(x, b["ln1"]), *b["qkv"]).view(n, t, -1, self.d).transpose(1, 2)
        q, k, v = qkv.split([h, self.kv, self.kv], 1)
        if self.llama:
            q, k = self.rotate(q), self.rotate(k)
        if last is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.llama)
        else:
            q = q[torch.arange(n), :, last].unsqueeze(2)
            seen = (torch.arange(t) <= last.unsqueeze(1)).view(n, 1, 1, t)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=self.llama)
        return y.transpose(1, 2).reshape(n, -1, self.width)

    def feed(self, x, b):
        h = F.linear(self.norm(x, b["ln2"]), *b["fc"])
        if self.llama:
            gate, up = h.chunk(2, -1)
            h = F.silu(gate) * up
        else:
            h = F.gelu(h, approximate="tanh")
        return F.linear(h, *b["proj"])

    def hooks(self, ids, last):
        x, rows, out = self.embed(ids), torch.arange(len(ids)), []
        for i, b in enumerate(self.block):
            y = self.attend(x, b)
            if not self.llama:
                z = y[rows, last].view(-1, self.heads, self.d)
                out.append(torch.einsum("bhd,chd->bhc", z, b["o"][0].view(-1, self.heads, self.d)).float())
            x = x + F.linear(y, *b["o"])
            x = x + self.feed(x, b)
            if self.llama and i % 4 == 3:
                out.append(x[rows, last].float())
        return out

    def tuned(self, ids, last):
        x, rows, out = self.embed(ids), torch.arange(len(ids)), []
        for i, b in enumerate(self.block):
            narrow = i + 1 == self.layers
            y = self.attend(x, b, last if narrow else None)
            if not self.llama:
                out.append((y[:, 0] if narrow else y[rows, last]).float())
                if narrow:
                    break
            x = (x[rows, last].unsqueeze(1) if narrow else x) + F.linear(y, *b["o"])
            x = x + self.feed(x, b)
            if self.llama and i % 4 == 3:
                out.append((x[:, 0] if narrow else x[rows, last]).float())
        return out


def lap(call):
    wall, core = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - core


def median(x):
    return (sorted(x)[(len(x) - 1) // 2] + sorted(x)[len(x) // 2]) / 2


def compare(shape, precision):
    command = [args.program, "--shape", shape, "--precision", precision, "--stage", "harvest", "--paced"]
    command += ["--threads", str(args.threads), "--repeat", str(args.laps + 1)]
    if args.least:
        command += ["--least", str(args.least)]
    ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def our_lap():
        ours.stdin.write("\n")
        while line := ours.stdout.readline():
            words = line.split()
            if len(words) == 2 and words[0][0].isdigit():
                return tuple(map(float, words))
        sys.exit("bench_stages ended early")

    m = Model(shape, {"f32": torch.float32, "bf16": torch.bfloat16}[precision])
    lens = [args.least + i % (m.tokens - args.least + 1) if args.least else m.tokens for i in range(m.prompts)]
    ids, last = torch.randint(0, len(m.wte), (m.prompts, m.tokens)), torch.tensor(lens) - 1
    laps = {"ours": [], "hooks": [], "tuned": []}
    with torch.inference_mode():
        a, b = m.hooks(ids, last), m.tuned(ids, last)  # warm, and the same result
        assert not m.llama or all(torch.allclose(p, q, rtol=0.05, atol=0.05 * p.abs().max()) for p, q in zip(a, b))
        for _ in range(args.laps):
            laps["ours"].append(our_lap())
            laps["tuned"].append(lap(lambda: m.tuned(ids, last)))
            laps["hooks"].append(lap(lambda: m.hooks(ids, last)))
    ours.communicate()
    of = {k: [median(t) for t in zip(*v)] for k, v in laps.items()}
    for name in ("hooks", "tuned"):
        print(
            "%-10s %-4s %-7s %6.1f prompts/s, %6.1f a processor second; ours %6.1f, %6.1f: %5.2f x, %5.2f x"
            % (shape, precision, name, *(m.prompts / t for t in of[name]), *(m.prompts / t for t in of["ours"]),
               of[name][0] / of["ours"][0], of[name][1] / of["ours"][1]),
            flush=True,
        )  # fmt: skip


print("PyTorch %s, %d threads, %s, load %.1f" % (torch.__version__, args.threads,
      "texts of %d tokens and more" % args.least if args.least else "texts of one length", os.getloadavg()[0]))  # fmt: skip
for shape in [args.shape] if args.shape else SHAPES:
    for precision in [args.precision] if args.precision else ["f32", "bf16"]:
        compare(shape, precision)
