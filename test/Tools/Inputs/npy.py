"""Writes a NumPy file without NumPy: npy.py FILE TYPE SHAPE VALUE... (TYPE of struct: f q ?; SHAPE as 2x3, or - for a scalar).
Without values, it has some of its own."""
import math
import struct
import sys

DESCR = {"f": "<f4", "d": "<f8", "q": "<i8", "i": "<i4", "?": "|b1", "H": "<u2"}

path, kind, shape, *values = sys.argv[1:]
dims = [] if shape == "-" else [int(dim) for dim in shape.split("x")]
header = str({"descr": DESCR[kind], "fortran_order": False, "shape": tuple(dims)})
header += " " * (63 - (10 + len(header)) % 64) + "\n"
if not values:
    values = [math.sin(i) if kind in "fd" else 1 for i in range(math.prod(dims))]
numbers = [float(value) if kind in "fd" else int(value) for value in values]
with open(path, "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    file.write(struct.pack(f"<{len(numbers)}{kind}", *numbers))
