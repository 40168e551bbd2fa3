#!/bin/sh
# mixture.sh MODULES WIDTH HIDDEN PANEL: the parts of a layer of SwiGLU experts, top-2, as MLIR. Each takes the weights of all modules in one memref.
E=$1 D=$2 H=$3 P=$4
x="memref<?x${D}xf32>" h="memref<?x${H}xf32>" f="memref<$((E + 1))xi32>" o="memref<?xi32>" p="memref<?x2xi32>"

# product NAME K N EXTRA EPILOGUE
product() {
  panels=$((($3 + P - 1) / P)) size=$((($3 + P - 1) / P * $2 * P)) names= types=
  w="memref<${E}x${panels}x${2}x${P}xf32>"
  echo "func.func @$1(%x: memref<?x${2}xf32>, %f: $f, %w: $w, %e: memref<?x${3}xf32>, %y: memref<?x${3}xf32>) attributes {llvm.emit_c_interface} {"
  for e in $(seq 0 $((E - 1))); do
    type="memref<${panels}x${2}x${P}xf32, strided<[$(($2 * P)), $P, 1], offset: $((e * size))>>"
    echo "  %w$e = memref.subview %w[$e, 0, 0, 0] [1, $panels, $2, $P] [1, 1, 1, 1] : $w to $type"
    names="$names${names:+, }%w$e" types="$types${types:+, }$type"
  done
  echo "  dispatch.segmented_matmul ins(%x : memref<?x${2}xf32>) offsets(%f : $f) weights($names : $types) $4 outs(%y : memref<?x${3}xf32>) $5"
  echo "  return"
  echo "}"
}

cat << END
func.func @plan(%keys: memref<?x2xi64>, %o: $o, %f: $f, %p: $p) attributes {llvm.emit_c_interface} {
  dispatch.plan ins(%keys : memref<?x2xi64>) outs(%o, %f, %p : $o, $f, $p)
  return
}
func.func @gather(%x: $x, %o: $o, %f: $f, %y: $x) attributes {llvm.emit_c_interface} {
  dispatch.gather ins(%x : $x) order(%o : $o) slots 2 offsets(%f : $f) outs(%y : $x)
  return
}
func.func @combine(%x: $x, %p: $p, %w: memref<?x2xf32>, %y: $x) attributes {llvm.emit_c_interface} {
  dispatch.combine ins(%x : $x) position(%p : $p) weights(%w : memref<?x2xf32>) outs(%y : $x)
  return
}
END
product up $D $H
product gate $D $H "extras(%e : $h)" "epilogue {
  ^bb0(%s: f32, %u: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %s : f32
    %q = math.exp %n : f32
    %d = arith.addf %q, %one : f32
    %v = arith.divf %s, %d : f32
    %r = arith.mulf %v, %u : f32
    dispatch.yield %r : f32
  }"
product down $H $D
