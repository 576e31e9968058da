#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lines of bench_ops in PyTorch, for a comparison on one machine.

usage: bench/ops_pytorch.py [--device cuda] [RESULTS]
RESULTS is what `bench_ops` printed there; with it a line ends in its speed over PyTorch's. Each line is what a PyTorch user would
write for the operation; f32 products are f32 (no TF32). Needs PyTorch 2.
"""
import sys, time
import torch, torch.nn.functional as F

args = [a for a in sys.argv[1:] if not a.startswith("--device")]
if "--device" in sys.argv:
    args.remove(sys.argv[sys.argv.index("--device") + 1])
dev = sys.argv[sys.argv.index("--device") + 1] if "--device" in sys.argv else "cuda" if torch.cuda.is_available() else "cpu"
ours = {}
for path in args:
    for line in open(path):
        if line[:1] not in "#\n":
            ours[line[:36].strip()] = float(line[36:].split()[0])
torch.backends.cuda.matmul.allow_tf32 = False
torch.manual_seed(1)
sync = torch.cuda.synchronize if dev.startswith("cuda") else lambda: None
normal = lambda *s, **k: torch.randn(*s, device=dev, **k)


def report(name, call, work, unit):
    def run(n):
        start = time.perf_counter()
        for _ in range(n):
            call()
        sync()
        return (time.perf_counter() - start) / n

    run(2)
    calls = max(1, int(0.01 / run(1)))
    laps, end = [], time.perf_counter() + 0.3
    while len(laps) < 3 or time.perf_counter() < end:
        laps.append(run(calls))
    t = sorted(laps)[len(laps) // 2]
    ratio = f"   ours is {t * 1e6 / ours[name]:5.2f} times as fast" if name in ours else ""
    print(f"{name:36s} {t * 1e6:12.2f} us {work / t * 1e-9:10.1f} {unit}{ratio}", flush=True)


def products():
    for name, m, n, k, kind, half in [
        ("gemm f32 forward, bias, gelu", 1536, 3072, 768, "act", False),
        ("gemm f32 gradient of input", 1536, 768, 3072, "nn", False),
        ("gemm f32 gradient of weight", 768, 3072, 1536, "tn", False),
        ("gemm f32 4096", 4096, 4096, 4096, "nt", False),
        ("gemm f32 decoding 64 rows", 64, 3072, 768, "nt", False),
        ("gemm bf16 forward", 1536, 3072, 768, "nt", True),
        ("gemm bf16 4096", 4096, 4096, 4096, "nt", True),
    ]:
        x, w, b = normal(m, k), normal(n, k), normal(n)
        if kind == "act":
            call = lambda: F.gelu(F.linear(x, w, b), approximate="tanh")
        elif kind == "nn":
            w = normal(k, n)
            call = lambda: x @ w
        elif kind == "tn":
            x, w = normal(k, m), normal(k, n)
            call = lambda: x.t() @ w
        elif half:  # operands are f32 and rounded in the call, as the operation has it
            call = lambda: (x.bfloat16() @ w.bfloat16().t()).float()
        else:
            call = lambda: x @ w.t()
        report(name, call, 2.0 * m * n * k, "GFLOP/s")


def attention():
    H, D = 12, 64
    for batch, length, label in [(64, 24, "64 x 24"), (4, 1024, "4 x 1024")]:
        q, k, v = (normal(batch, H, length, D).requires_grad_() for _ in range(3))
        pairs = 2.0 * batch * H * D * length * (length + 1) / 2
        with torch.no_grad():
            report(f"attention {label}", lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), 2 * pairs, "GFLOP/s")
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        dout = normal(*out.shape)
        back = lambda: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)
        report(f"attention gradient {label}", back, 5 * pairs, "GFLOP/s")
    q, k, v = normal(64, H, 1, D), normal(64, H, 512, D), normal(64, H, 512, D)
    report("attention decoding 64 x 512", lambda: F.scaled_dot_product_attention(q, k, v), 4.0 * 64 * H * D * 512, "GFLOP/s")


def rows():
    x, dy = normal(12288, 768).requires_grad_(), normal(12288, 768)
    g, b = normal(768).requires_grad_(), normal(768).requires_grad_()
    with torch.no_grad():
        report("layer norm", lambda: F.layer_norm(x, (768,), g, b), 8.0 * x.numel(), "GB/s")
    y = F.layer_norm(x, (768,), g, b)
    report("layer norm gradient", lambda: torch.autograd.grad(y, (x, g, b), dy, retain_graph=True), 16.0 * x.numel(), "GB/s")
    ids, pos = torch.randint(50257, (1536,), device=dev), torch.arange(1536, device=dev) % 24
    dwte, dwpe, dout = normal(50257, 768), normal(24, 768), normal(1536, 768)

    def embed_grad():
        dwte.index_add_(0, ids, dout)
        dwpe.index_add_(0, pos, dout)

    report("embedding gradient", embed_grad, 16.0 * dout.numel(), "GB/s")
    a, c = normal(12288, 3072), normal(12288, 3072)
    report("add", lambda: a + c, 12.0 * a.numel(), "GB/s")
    report("gelu", lambda: F.gelu(a, approximate="tanh"), 8.0 * a.numel(), "GB/s")
    report("column sums", lambda: a.sum(0), 4.0 * a.numel(), "GB/s")


def training():
    h, w = normal(1536, 768).requires_grad_(), normal(50257, 768).requires_grad_()
    target = torch.randint(50257, (1536,), device=dev)
    for name, half in [("cross-entropy f32", False), ("cross-entropy bf16", True)]:

        def loss():
            logits = (h.bfloat16() @ w.bfloat16().t()).float() if half else h @ w.t()
            torch.autograd.grad(F.cross_entropy(logits, target, reduction="sum"), (h, w))

        report(name, loss, 6.0 * 1536 * 768 * 50257, "GFLOP/s")
    x, hn = normal(64, 24, 768), normal(64, 24, 768).requires_grad_()
    u, v = normal(64, 32, 768).requires_grad_(), normal(64, 32, 768).requires_grad_()
    c, dout = normal(64, 1, 32).requires_grad_(), normal(64, 24, 768)
    layer = lambda: torch.baddbmm(x, torch.tanh(0.01 * (torch.bmm(hn, u.transpose(1, 2)) + c)), v)
    flops = 2.0 * hn.numel() * 32
    with torch.no_grad():
        report("control", layer, 2 * flops, "GFLOP/s")
    out = layer()
    report("control gradient", lambda: torch.autograd.grad(out, (hn, u, v, c), dout, retain_graph=True), 4 * flops, "GFLOP/s")
    p = torch.nn.Parameter(normal(124000000))
    p.grad = normal(124000000)
    step = torch.optim.AdamW([p], lr=1e-5, weight_decay=0.01, fused=dev.startswith("cuda"))
    report("AdamW 124M", step.step, 28.0 * p.numel(), "GB/s")


def draws():
    logits, z = normal(1024, 50257), normal(1024, 768)

    def sample():
        p = torch.softmax(logits.double(), 1)
        i = torch.multinomial(p, 1)
        return i.cpu(), p.gather(1, i).log().cpu()

    report("sample 1024", sample, 8.0 * logits.numel(), "GB/s")

    def noise():
        g = torch.randn_like(z)
        return z + 0.5 * g / g.norm(dim=1, keepdim=True)

    report("noise 1024", noise, 8.0 * z.numel(), "GB/s")


print(f"# PyTorch {torch.__version__}: {torch.cuda.get_device_name() if dev.startswith('cuda') else dev}")
for part in (products, attention, rows, training, draws):
    part()
