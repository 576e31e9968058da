#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/data/types.gguf and tests/data/types.safetensors: random blocks of every GGUF type that is read, and the
floats that the gguf package makes of them; metadata of every type stand beside.

  python3 tests/golden/gguf_types.py            write the files (needs numpy, gguf and safetensors)
  python3 tests/golden/gguf_types.py MODEL.gguf print the lines of tests/test_gguf_real.c for a real model
"""
import os
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors.numpy import save_file

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
# Where the half-precision scales of a block are; the rest of it is any bytes.
SCALES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}


def random_blocks(rng, kind, rows, blocks):
    """uint8 [rows, blocks · bytes]: random bytes with scales of both signs."""
    _, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    for at in SCALES[kind]:
        scale = rng.normal(0, 0.02, (rows, blocks, 1)).astype(np.float16)
        raw[:, :, at : at + 2] = scale.view(np.uint8).reshape(rows, blocks, 2)
    return raw.reshape(rows, blocks * size)


def tensors(rng):
    """(name, array, type or None) of each tensor."""
    for kind in SCALES:
        elements, _ = gguf.GGML_QUANT_SIZES[kind]
        yield kind.name, random_blocks(rng, kind, 3, 512 // elements), kind
    x = rng.normal(0, 1, (2, 5)).astype(np.float32)
    yield "F32", x, None
    yield "F16", x.astype(np.float16), None
    yield "F64", x.astype(np.float64) + 1e-12, None
    yield "BF16", gguf.quants.quantize(x, T.BF16), T.BF16
    for kind in (np.int8, np.int16, np.int32, np.int64):
        yield np.dtype(kind).name, np.array([-1, 2, 3], dtype=kind), None


def write():
    rng = np.random.default_rng(0)
    floats = {}
    w = gguf.GGUFWriter(os.path.join(DATA, "types.gguf"), "test")
    w.add_uint8("n.u8", 200)
    w.add_int8("n.i8", -100)
    w.add_uint16("n.u16", 60000)
    w.add_int16("n.i16", -30000)
    w.add_uint32("n.u32", 4000000000)
    w.add_int32("n.i32", -2000000000)
    w.add_uint64("n.u64", 2**63 + 1)
    w.add_int64("n.i64", -(2**63))
    w.add_float32("n.f32", 0.1)
    w.add_float64("n.f64", 0.1)
    w.add_bool("n.yes", True)
    w.add_bool("n.no", False)
    w.add_string("s.text", "grün")
    w.add_string("s.nul", "a\0b")
    w.add_array("a.strings", ["", "▁the", "<0x0A>", "a\0b"])
    w.add_array("a.ints", [1, -2, 3])
    w.add_array("a.floats", [0.5, -1.5])
    w.add_array("a.bools", [True, False])
    w.add_key_value("a.nested", [[1, 2], [3]], gguf.GGUFValueType.ARRAY)
    for name, array, kind in tensors(rng):
        w.add_tensor(name, array, raw_dtype=kind)
        if array.dtype in (np.int8, np.int16, np.int32, np.int64):
            continue
        whole = array if kind is None else gguf.quants.dequantize(array, kind)
        floats[name] = np.ascontiguousarray(whole.astype(np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    save_file(floats, os.path.join(DATA, "types.safetensors"))


def describe(path):
    r = gguf.GGUFReader(path)
    for t in r.tensors[:10] + r.tensors[-3:]:
        x = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64).ravel()
        sums = f"{float(x.sum())!r}, {float(np.abs(x).sum())!r}, {float(x[-1])!r}"
        print(f'    {{"{t.name}", "{t.tensor_type.name}", {x.size}, {sums}}},')
    total = sum(np.abs(gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64)).sum() for t in r.tensors)
    print(f"/* {len(r.tensors)} tensors, sum of magnitudes {float(total)!r} */")


if __name__ == "__main__":
    describe(sys.argv[1]) if len(sys.argv) > 1 else write()
