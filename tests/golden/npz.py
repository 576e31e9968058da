#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/data/arrays.npz, tests/data/packed.npz and tests/data/one.npy: arrays whose elements tell their place.

  python3 tests/golden/npz.py   (needs numpy)
"""
import os

import numpy as np

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")


def places(shape, kind):
    """Element (i, j, k) is 10000 i + 100 j + k (fewer digits for fewer dimensions); smaller for small integers."""
    x = np.zeros(shape)
    for axis, n in enumerate(shape):
        along = np.arange(n).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        x = x + along * 100.0 ** (len(shape) - 1 - axis)
    return x.astype(kind)


def main():
    floats = {name: places((3, 5), name) + np.dtype(name).type(0.5) for name in ("f2", "f4", "f8")}
    ints = {name: places((7,), name) for name in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")}
    ints["i8"][0] = -(2**63)
    ints["u8"][6] = 2**63
    more = {
        "fortran": np.asfortranarray(places((3, 5), "f4")),
        "cube": np.asfortranarray(places((2, 3, 4), "i4")),
        "long": np.asfortranarray(places((65, 67), "f4")),
        "bool": np.array([True, False]),
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 4), "f4"),
    }
    arrays = {**floats, **ints, **more}
    np.savez(os.path.join(DATA, "arrays.npz"), **arrays)
    np.savez_compressed(os.path.join(DATA, "packed.npz"), **arrays)
    np.save(os.path.join(DATA, "one.npy"), floats["f8"])


if __name__ == "__main__":
    main()
