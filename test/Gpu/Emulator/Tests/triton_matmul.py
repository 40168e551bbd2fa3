"""Makes triton-matmul-*.ll: LLVM IR by another compiler, for TritonTest.cpp. Needs `pip install triton==3.9.0` and no GPU."""
import pathlib
import re

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def matmul(a, b, c, m, k, n: tl.constexpr, rows_of_block: tl.constexpr, step: tl.constexpr):
    """c[m x n] = a[m x k] times the transposed b[n x k]."""
    rows = tl.program_id(0) * rows_of_block + tl.arange(0, rows_of_block)
    columns = tl.arange(0, n)
    depth = tl.arange(0, step)
    inside = (rows < m)[:, None]
    pa = a + rows[:, None] * k + depth[None, :]
    pb = b + columns[None, :] * k + depth[:, None]
    sums = tl.zeros((rows_of_block, n), tl.float32)
    for _ in range(0, k // step):
        sums = tl.dot(tl.load(pa, mask=inside, other=0.0), tl.load(pb), sums)
        pa += step
        pb += step
    tl.store(c + rows[:, None] * n + columns[None, :], sums, mask=inside)


def without_debug_information(text):
    text = re.sub(r",? !dbg !\d+", "", text)
    text = re.sub(r"^!.*\n", "", text, flags=re.MULTILINE)
    return text.strip() + "\n"


for name, element in (("f16", "fp16"), ("bf16", "bf16"), ("tf32", "fp32")):
    aligned = [["tt.divisibility", 16]]
    source = ASTSource(
        fn=matmul,
        signature={"a": "*" + element, "b": "*" + element, "c": "*fp32", "m": "i32", "k": "i32",
                   "n": "constexpr", "rows_of_block": "constexpr", "step": "constexpr"},
        constexprs={"n": 32, "rows_of_block": 32, "step": 32},
        attrs={(i,): aligned for i in (0, 1, 2, 4)})
    compiled = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 4, "num_stages": 3})
    header = f"; Made by triton_matmul.py with Triton {triton.__version__}: {compiled.metadata.shared} bytes of shared memory.\n"
    path = pathlib.Path(__file__).with_name(f"triton-matmul-{name}.ll")
    path.write_text(header + without_debug_information(compiled.asm["llir"]))
