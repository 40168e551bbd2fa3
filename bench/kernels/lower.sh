#!/bin/sh
# lower.sh IN.mlir OUT.o [PASS...]: kernels on one thread, from dispatch ops to an object. LANES=16|8, CPU=x86-64-v4|x86-64-v3.
set -e
in=$1 out=$2; shift 2
LLVM="${LLVM:-$(llvm-config-22 --bindir)}"
"${GRAFT_OPT:-build/dev/bin/graft-opt}" "$in" ${@:---convert-dispatch-to-kernels=lanes=${LANES:-16}} --convert-vector-to-scf=full-unroll=true \
    --expand-strided-metadata --lower-affine --convert-scf-to-cf --convert-vector-to-llvm --convert-to-llvm --reconcile-unrealized-casts |
  "$LLVM/mlir-translate" --mlir-to-llvmir |
  "$LLVM/opt" -O3 -mtriple=x86_64-linux-gnu -mcpu="${CPU:-x86-64-v4}" -S -o "$out.ll"
"$LLVM/llc" -O3 -mtriple=x86_64-linux-gnu -mcpu="${CPU:-x86-64-v4}" -mattr=-prefer-256-bit -relocation-model=pic -filetype=obj "$out.ll" -o "$out"
