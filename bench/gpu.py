#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stages of bench_stages and of PyTorch in turn, in one run, and how many times as fast ours is: one table.

usage: bench/gpu.py BENCH_STAGES [--only STAGE,…] [--device cuda|cpu] [--small] …, or bench/gpu.py --check
       (--help lists all options). Needs PyTorch 2; Hugging Face's transformers where it is there.
Every turn is a few laps of ours, then as many of each way to write it in PyTorch, so that all meet the same clocks; the first lap of a
turn does not count. A lap is a few steps, samplings or harvests in a row, and ends when the device has finished. Rates are of median
laps, with half the quartiles' distance behind them. MFU is the operations that the mathematics needs (shapes.c, the same for both) over
the time and the device's dense peak in bf16. Memory is the most that a way took, in GiB: of ours all that its process holds, with its
context and libraries; of PyTorch's its tensors. In bf16 trainings of both, and our sampling, round the operands of products and keep
weights and updates in f32; a harvest has weights of bf16, and so have PyTorch's samplings and frozen models.
Aims are judged at full size on a GPU: backbone at least 50 % MFU and 1.2 times torch.compile, control 2 times PyTorch as one writes it,
sampling 3 times Hugging Face's generate with a static cache (where that is not to be had, a compiled loop), harvest 1.3 times the fastest
of PyTorch's.
"""
import argparse, gc, importlib.util, json, os, subprocess, sys, tempfile, time
from types import SimpleNamespace

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program", nargs="?", help="bench_stages")
parser.add_argument("--only", help="stages, with commas between them")
parser.add_argument("--device", choices=["cuda", "cpu"], help="default: cuda where PyTorch finds it")
parser.add_argument("--settings", help="of our backend; on cuda by default those of --products")
parser.add_argument("--products", default="cublas", help="of the cuda backend: exact, gradients or cublas (default)")
parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
parser.add_argument("--small", action="store_true", help="a shape that takes no time: to see that all of it runs")
parser.add_argument("--batch", type=int, help="of a step, sampling or harvest; default on cuda 512, 1024, 256")
parser.add_argument("--turns", type=int, default=4)
parser.add_argument("--laps", type=int, default=3, help="of a turn, and one more that does not count")
parser.add_argument("--group", type=int, help="steps, samplings or harvests of a lap; default on cuda 4, else 1")
parser.add_argument("--no-compile", action="store_true", help="without torch.compile, which takes a minute each time")
parser.add_argument("--limit", type=float, default=float("inf"), metavar="SECONDS", help="begin nothing new after them, and say what not")
parser.add_argument("--peak", type=float, metavar="TFLOPS", help="of the device in bf16, dense; by default known by its name")
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--check", action="store_true", help="only check what is done in PyTorch, in float64 on small cases")
args = parser.parse_args()
os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting must not look like work
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import torch
import gpu_models as models

start = time.monotonic()
cuda = torch.cuda.is_available() if args.device is None else args.device == "cuda"
device = "cuda" if cuda else "cpu"
group = args.group or (4 if cuda else 1)
sync = torch.cuda.synchronize if cuda else lambda: None

# Dense bf16 of tensor cores, in TFLOP/s, from the makers' data sheets; the first whose words are all in the device's name.
PEAKS = [
    ("B200", 2250), ("H200 NVL", 836), ("H200", 989), ("H100 PCIe", 756), ("H100 NVL", 836), ("H100", 989), ("A100", 312),
]  # fmt: skip


def peak():
    if args.peak:
        return args.peak * 1e12
    name = torch.cuda.get_device_name() if cuda and args.precision == "bf16" else ""
    return next((p * 1e12 for words, p in PEAKS if all(w in name for w in words.split())), None)


class Ways:
    """How PyTorch does a stage, in the order of the table: (name, function that makes a lap, aims of ours against it)."""

    def __init__(self, stage, work):
        self.list = []
        m, compiled = models, {"compiled": True}
        if stage == "backbone":
            self.add("eager", lambda: m.backbone(work, naive=True))
            self.add("SDPA", lambda: m.backbone(work))
            self.add("SDPA, torch.compile", lambda: m.backbone(work, **compiled), 1.2)
        elif stage.startswith("control"):
            projected = stage.endswith("projected")
            self.add("SDPA", lambda: m.control(work, projected), 2)
            self.add("SDPA, torch.compile", lambda: m.control(work, projected, **compiled))
        elif stage.startswith("sample"):
            steered = stage == "sample"
            theirs = importlib.util.find_spec("transformers") and not steered
            if theirs:
                self.add("generate, static cache", lambda: m.generate(work), 3)
            aim = None if theirs else 3
            self.add("static cache", lambda: m.sampling(work, steered))
            self.add("static cache, torch.compile", lambda: m.sampling(work, steered, **compiled), aim)
        else:
            self.add("eager", lambda: m.harvest(work), 1.3)
            self.add("torch.compile", lambda: m.harvest(work, **compiled), 1.3)

    def add(self, name, make, aim=None):
        if "compile" not in name or not args.no_compile:
            self.list.append((name, make, aim))


STAGES = {  # stage of bench_stages: shape, small shape, batch on a GPU
    "backbone": ("gpt2-small", "smoke", 512),
    "control": ("gpt2-small", "smoke", 512),
    "sample-backbone": ("gpt2-small", "smoke", 1024),
    "harvest": ("gemma2-2b", "smoke-gemma2", 256),
    "sample": ("gpt2-small", "smoke", 1024),
    "control-projected": ("gpt2-small", "smoke", 512),
}


class Ours:
    """bench_stages in a process of its own, a lap when it is asked for."""

    def __init__(self, stage, shape, batch):
        command = [args.program, "--shape", shape, "--stage", stage, "--precision", args.precision, "--device", device]
        command += ["--batch", str(batch)] if batch else []
        described = subprocess.run(command + ["--describe"], capture_output=True, text=True)
        if described.returncode:
            raise RuntimeError(described.stderr.strip())
        self.shape = json.loads(described.stdout, object_hook=lambda d: SimpleNamespace(**d) if "shape" in d else d)
        settings = args.settings
        if settings is None and cuda:
            settings = 'products = "%s";' % args.products
        if settings:
            command += ["--settings", settings]
        command += ["--threads", str(args.threads)] if device == "cpu" else []
        self.complaints, before = tempfile.TemporaryFile("w+"), held()
        self.process = subprocess.Popen(
            command + ["--paced", "--json", "--repeat", "1000", "--group", str(group)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.complaints, text=True, bufsize=1,
        )  # fmt: skip
        self()  # behind it, all memory is had
        self.memory = held() - before if cuda else None

    def __call__(self):
        try:
            self.process.stdin.write("\n")
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.fail()
        return float(line.split()[0])

    def fail(self):
        self.process.wait()
        self.complaints.seek(0)
        raise RuntimeError(self.complaints.read().strip() or "bench_stages ended with %s" % self.process.returncode)

    def end(self):
        """What it says of itself."""
        out, _ = self.process.communicate()
        if self.process.returncode:
            self.fail()
        return json.loads(out)["stages"][0]


def held():
    """Bytes of the device that others than this process's PyTorch hold, up to a constant."""
    if not cuda:
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved()


def timed(call):
    sync()
    begin = time.perf_counter()
    for _ in range(group):
        call()
    sync()
    return (time.perf_counter() - begin) / group


class Way:
    """One line of the table: laps, and what became of them."""

    def __init__(self, name, lap=None, aim=None):
        self.name, self.lap, self.aim, self.laps, self.trouble, self.memory = name, lap, aim, [], None, None

    def attempt(self, f):
        if self.trouble:
            return None
        try:
            return f()
        except Exception as e:
            self.trouble = "%s: %s" % (type(e).__name__, (str(e).strip() or "no reason given").splitlines()[-1])
            return None

    def make(self, build, right):
        """Its first laps, which have what is compiled compiled and have to come out `right`; the most memory of the third."""
        before = torch.cuda.memory_allocated() if cuda else 0
        self.lap = build()
        if not right(self.lap()):
            raise RuntimeError("it does not make what it should")
        self.lap()
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        self.lap()
        self.memory = torch.cuda.max_memory_allocated() - before if cuda else None

    def turn(self, time_lap):
        self.laps += [time_lap() for _ in range(args.laps + 1)][1:]

    def quartiles(self):
        x = sorted(self.laps)
        at = lambda q: x[min(len(x) - 1, int(q * len(x)))]
        return at(0.25), (x[(len(x) - 1) // 2] + x[len(x) // 2]) / 2, at(0.75)


late = lambda: time.monotonic() - start > args.limit


def agree(stage, said, ways):
    """Trainings of both move as many parameters, from the same loss but for the draw of weights and texts."""
    wrong, most = [], 1 if args.small else 0.3
    for w in ways:
        n, first = getattr(w.lap, "parameters", None), getattr(w.lap, "first", None)
        if n is not None and n != said["parameters"]:
            wrong.append("%s: PyTorch, %s, trains %d parameters and ours %d" % (stage, w.name, n, said["parameters"]))
        if first is not None and not abs(first - said["loss"]) < most:
            wrong.append("%s: the first loss of PyTorch, %s, is %.3f and ours %.3f" % (stage, w.name, first, said["loss"]))
    return wrong


def run(stage):
    """The lines of a stage, and what is wrong."""
    full, small, batch = STAGES[stage]
    batch = args.batch or (batch if cuda and not args.small else None)
    mine, ways, wrong = Way("ours"), [], []
    mine.attempt(lambda: setattr(mine, "lap", Ours(stage, small if args.small else full, batch)))
    if mine.trouble:
        return [mine], [], None, ["%s: %s" % (stage, mine.trouble)]
    shape, mine.memory = mine.lap.shape, mine.lap.memory
    work = models.Work(shape, device, args.precision)
    if stage == "harvest":
        right = lambda out: models.is_complete(work, out)
    elif stage.startswith("sample"):
        right = lambda out: models.is_whole(work, out)
    else:
        right = lambda out: True
    for name, build, aim in Ways(stage, work).list:
        w = Way(name, aim=aim)
        ways.append(w)
        if late():
            w.trouble = "left out: %.0f s had passed" % (time.monotonic() - start)
        else:
            w.attempt(lambda: w.make(build, right))
            print("# %s: PyTorch, %s is ready after %.0f s" % (stage, name, time.monotonic() - start), file=sys.stderr)
    for _ in range(args.turns):
        mine.attempt(lambda: mine.turn(mine.lap))
        for w in ways:
            w.attempt(lambda: w.turn(lambda: timed(w.lap)))
    said = mine.attempt(mine.lap.end)
    wrong += ["%s: %s" % (stage, mine.trouble)] if mine.trouble else agree(stage, said, ways)
    facts = (batch, shape.stages[stage])
    for w in ways:
        w.lap = None
    return [mine], ways, facts, wrong


# ---- the table

HEAD = "%-18s %-37s %10s %-10s %6s %6s %7s %8s  %s"
verdicts = []


def judge(what, reached, met):
    judged = cuda and not args.small
    if judged:
        verdicts.append(met)
    return "%s: %s" % (what, ("met" if met else "NOT met") if judged else "not judged") if reached else ""


def show(stage, mine, ways, facts):
    (ours,), best = mine, None
    fastest = min((w.quartiles()[1] for w in ways if w.laps and not w.trouble), default=None)
    for w in mine + ways:
        who = "ours" if w is ours else "PyTorch, " + w.name
        if w.trouble or not w.laps:
            print(HEAD % (stage, who, "-", "", "", "", "", "", w.trouble or "no laps"))
            continue
        low, lap, high = w.quartiles()
        unit, flops = facts[1]["unit"], facts[1]["units"] * facts[1]["flop"] / lap
        mfu = flops / peak() if peak() else None
        ratio = lap / ours.quartiles()[1] if ours.laps and w is not ours else None
        aim = ""
        if w is ours and stage == "backbone":
            aim = judge("50 % MFU", mfu is not None, mfu is not None and mfu >= 0.5)
        if w.aim and ratio and (stage != "harvest" or lap == fastest):
            aim = judge("%g times" % w.aim, True, ratio >= w.aim)
        print(HEAD % (
            stage, who, "%.1f" % (facts[1]["units"] / lap), unit, "±%.0f%%" % (50 * (high - low) / lap),
            "%.1f%%" % (100 * mfu) if mfu else "-", "%.2f" % (w.memory / 2**30) if w.memory is not None else "-",
            "%.2f x" % ratio if ratio else "", aim,
        ))  # fmt: skip
    sys.stdout.flush()


def main():
    if args.check:
        import gpu_check

        return gpu_check.run()
    if not args.program:
        parser.error("which bench_stages?")
    if cuda and not torch.cuda.is_available():
        parser.error("PyTorch sees no GPU")
    chosen = args.only.split(",") if args.only else list(STAGES)
    for stage in chosen:
        if stage not in STAGES:
            parser.error('"%s": no such stage; there are %s' % (stage, ", ".join(STAGES)))
    torch.manual_seed(1)
    torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    name = torch.cuda.get_device_name() if cuda else "the processor, %d threads, load %.1f" % (args.threads, os.getloadavg()[0])
    at_most = "; peak %.0f TFLOP/s" % (peak() * 1e-12) if peak() else ""
    print("%s; %s%s; PyTorch %s" % (name, args.precision, at_most, torch.__version__))
    if not cuda or args.small:
        print("Aims are of a GPU and of full size: not judged here.")
    if not importlib.util.find_spec("transformers"):
        print("transformers is not here: samplings are held against a loop over a static cache.")
    print(HEAD % ("stage", "by", "rate", "", "", "MFU", "GiB", "ours is", "aim"), flush=True)
    wrong, left = [], []
    for stage in chosen:
        if late():
            left.append(stage)
            continue
        *lines, faults = run(stage)
        show(stage, *lines)
        wrong += faults
        torch._dynamo.reset()
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()
    if left:
        print("left out, as %.0f s had passed: %s" % (time.monotonic() - start, ", ".join(left)))
    for line in wrong:
        print("WRONG: " + line)
    met = "%d of %d aims met; " % (sum(verdicts), len(verdicts)) if verdicts else ""
    print("%s%.0f s in all" % (met, time.monotonic() - start))
    return 1 if wrong else 0


sys.exit(main())
