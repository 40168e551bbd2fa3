#!/bin/sh
# Speed and accuracy of the kernels on one thread. LANES=8 CPU=x86-64-v3 for AVX2.
set -e
cd "$(dirname "$0")/../.."
dir=build/bench-kernels; mkdir -p $dir
lanes="${LANES:-16}"
for shape in ${SHAPES:-384,384 1536,384 384,1536 2048,512}; do
  n=${shape%,*} k=${shape#*,} p=$((2 * lanes))
  test $n -gt $lanes || p=$lanes
  sed "s/@N@/$n/g; s/@K@/$k/g; s/@P@/$p/g; s/@NP@/$(((n + p - 1) / p))/g" bench/kernels/matmul.mlir.in > $dir/matmul.mlir
  sh bench/kernels/lower.sh $dir/matmul.mlir $dir/matmul.o
  clang++-22 -std=c++17 -O2 -DN=$n -DK=$k -DP=$p bench/kernels/matmul.cpp $dir/matmul.o -o $dir/matmul
  ${PIN:-taskset -c 1} $dir/matmul
done
sh bench/kernels/lower.sh bench/kernels/rows.mlir $dir/rows.o
clang++-22 -std=c++17 -O2 bench/kernels/rows.cpp $dir/rows.o -o $dir/rows
${PIN:-taskset -c 1} $dir/rows
