#!/bin/sh
# Speed and accuracy of the kernels on one thread. LANES=8 CPU=x86-64-v3 for AVX2; MODULES="8 64" for the sizes of mixtures.
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
for modules in ${MODULES:-8 64}; do
  sh bench/kernels/mixture.sh $modules 512 2048 $((2 * lanes)) > $dir/mixture.mlir
  sh bench/kernels/lower.sh $dir/mixture.mlir $dir/mixture.o
  clang++-22 -std=c++17 -O2 -DE=$modules -DD=512 -DH=2048 -DP=$((2 * lanes)) bench/kernels/mixture.cpp $dir/mixture.o -o $dir/mixture
  ${PIN:-taskset -c 1} $dir/mixture $ROWS
done
