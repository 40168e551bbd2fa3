// RUN: %graft-opt %s -split-input-file -verify-diagnostics

// (matmul-C1)
func.func @matmul_c1(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{expected as many weights as inputs, at least one, got 2 inputs and 1 weights}}
  %0 = dispatch.matmul ins(%x, %x : tensor<4x8xf32>, tensor<4x8xf32>) weights(%w : tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (matmul-C2)
func.func @matmul_c2_rank(%x: tensor<2x4x8xf32>, %w: tensor<8x16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{input 0 rank: expected 2, got 3}}
  %0 = dispatch.matmul ins(%x : tensor<2x4x8xf32>) weights(%w : tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @matmul_c2_dims(%x: tensor<5x8xf32>, %w: tensor<8x16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{input 0 dimension 0: expected 4, got 5}}
  %0 = dispatch.matmul ins(%x : tensor<5x8xf32>) weights(%w : tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (matmul-C3)
func.func @matmul_c3_k(%x: tensor<4x8xf32>, %w: tensor<9x16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{weight 0 K: expected 8, got 9}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<9x16xf32>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @matmul_c3_n(%x: tensor<4x8xf32>, %w: tensor<15x8xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{weight 0 N: expected 16, got 15}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<15x8xf32>) outs(%o : tensor<4x16xf32>) {transposed = array<i1: true>} -> tensor<4x16xf32>
  return
}

// -----

func.func @matmul_c3_panels(%x: tensor<4x8xf32>, %w: tensor<1x8x32xf32>, %o: tensor<4x40xf32>) {
  // expected-error @+1 {{weight 0 panels: expected 2, got 1}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<1x8x32xf32>) outs(%o : tensor<4x40xf32>) -> tensor<4x40xf32>
  return
}

// -----

// (matmul-C4)
func.func @matmul_c4_entries(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{transposed: entries: expected 1, got 2}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) {transposed = array<i1: true, false>} -> tensor<4x16xf32>
  return
}

// -----

func.func @matmul_c4_packed(%x: tensor<4x8xf32>, %w: tensor<1x8x32xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{weight 0: packed weights are never transposed}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<1x8x32xf32>) outs(%o : tensor<4x16xf32>) {transposed = array<i1: true>} -> tensor<4x16xf32>
  return
}

// -----

// (matmul-C5)
func.func @matmul_c5(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %e: tensor<4xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{extra 0: expected a scalar, out's last dimension or out's shape, got 'tensor<4xf32>'}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<8x16xf32>) extras(%e : tensor<4xf32>) outs(%o : tensor<4x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<4x16xf32>
  return
}

// -----

// (matmul-C6)
func.func @matmul_c6_arguments(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{epilogue arguments: expected 1, got 2}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<4x16xf32>
  return
}

// -----

func.func @matmul_c6_yield(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{expected the epilogue to yield one 'f32'}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) epilogue {
  ^bb0(%a: f32):
    %b = arith.extf %a : f32 to f64
    dispatch.yield %b : f64
  } -> tensor<4x16xf32>
  return
}

// -----

// (matmul-C7)
func.func @matmul_c7(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %e: tensor<16xf32>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{extras need an epilogue}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<8x16xf32>) extras(%e : tensor<16xf32>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (matmul-C8)
func.func @matmul_c8(%x: tensor<4x8xf32>, %w: tensor<8x16xf16>, %o: tensor<4x16xf32>) {
  // expected-error @+1 {{pair 0: expected element type 'f32', got 'f16'}}
  %0 = dispatch.matmul ins(%x : tensor<4x8xf32>) weights(%w : tensor<8x16xf16>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (batch_matmul-C1)
func.func @batch_matmul_c1(%a: tensor<4x8xf32>, %b: tensor<2x8x16xf32>, %o: tensor<2x4x16xf32>) {
  // expected-error @+1 {{a rank: expected 3, got 2}}
  %0 = dispatch.batch_matmul ins(%a, %b : tensor<4x8xf32>, tensor<2x8x16xf32>) outs(%o : tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  return
}

// -----

// (batch_matmul-C2)
func.func @batch_matmul_c2(%a: tensor<3x4x8xf32>, %b: tensor<2x8x16xf32>, %o: tensor<2x4x16xf32>) {
  // expected-error @+1 {{a dimension 0: expected 2, got 3}}
  %0 = dispatch.batch_matmul ins(%a, %b : tensor<3x4x8xf32>, tensor<2x8x16xf32>) outs(%o : tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  return
}

// -----

// (batch_matmul-C3)
func.func @batch_matmul_c3(%a: tensor<2x4x8xf32>, %b: tensor<2x8x16xf32>, %o: tensor<2x4x16xf32>) {
  // expected-error @+1 {{b N: expected 16, got 8}}
  %0 = dispatch.batch_matmul ins(%a, %b : tensor<2x4x8xf32>, tensor<2x8x16xf32>) outs(%o : tensor<2x4x16xf32>) {transpose_b} -> tensor<2x4x16xf32>
  return
}

// -----

// (plan-C1)
func.func @plan_c1_rank(%k: tensor<8xi64>, %o: tensor<8xi32>, %f: tensor<3xi32>, %p: tensor<4x2xi32>) {
  // expected-error @+1 {{keys rank: expected 2, got 1}}
  %0:3 = dispatch.plan ins(%k : tensor<8xi64>) outs(%o, %f, %p : tensor<8xi32>, tensor<3xi32>, tensor<4x2xi32>) -> tensor<8xi32>, tensor<3xi32>, tensor<4x2xi32>
  return
}

// -----

// (plan-C1)
func.func @plan_c1_dims(%k: tensor<4x2xi64>, %o: tensor<8xi32>, %f: tensor<3xi32>, %p: tensor<4x3xi32>) {
  // expected-error @+1 {{position dimension 1: expected 2, got 3}}
  %0:3 = dispatch.plan ins(%k : tensor<4x2xi64>) outs(%o, %f, %p : tensor<8xi32>, tensor<3xi32>, tensor<4x3xi32>) -> tensor<8xi32>, tensor<3xi32>, tensor<4x3xi32>
  return
}

// -----

// (plan-C2)
func.func @plan_c2(%k: tensor<4x2xi64>, %o: tensor<4xi32>, %f: tensor<3xi32>, %p: tensor<4x2xi32>) {
  // expected-error @+1 {{order dimension 0: expected 8, got 4}}
  %0:3 = dispatch.plan ins(%k : tensor<4x2xi64>) outs(%o, %f, %p : tensor<4xi32>, tensor<3xi32>, tensor<4x2xi32>) -> tensor<4xi32>, tensor<3xi32>, tensor<4x2xi32>
  return
}

// -----

// (plan-C3)
func.func @plan_c3_dynamic(%k: tensor<4x2xi64>, %o: tensor<8xi32>, %f: tensor<?xi32>, %p: tensor<4x2xi32>) {
  // expected-error @+1 {{offsets: expected a static size of at least 2, got 'tensor<?xi32>'}}
  %0:3 = dispatch.plan ins(%k : tensor<4x2xi64>) outs(%o, %f, %p : tensor<8xi32>, tensor<?xi32>, tensor<4x2xi32>) -> tensor<8xi32>, tensor<?xi32>, tensor<4x2xi32>
  return
}

// -----

// (plan-C3)
func.func @plan_c3_none(%k: tensor<4x2xi64>, %o: tensor<8xi32>, %f: tensor<1xi32>, %p: tensor<4x2xi32>) {
  // expected-error @+1 {{offsets: expected a static size of at least 2, got 'tensor<1xi32>'}}
  %0:3 = dispatch.plan ins(%k : tensor<4x2xi64>) outs(%o, %f, %p : tensor<8xi32>, tensor<1xi32>, tensor<4x2xi32>) -> tensor<8xi32>, tensor<1xi32>, tensor<4x2xi32>
  return
}

// -----

// (gather-C1)
func.func @gather_c1_columns(%x: tensor<4x9xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %y: tensor<8x8xf32>) {
  // expected-error @+1 {{input dimension 1: expected 8, got 9}}
  %0 = dispatch.gather ins(%x : tensor<4x9xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) outs(%y : tensor<8x8xf32>) -> tensor<8x8xf32>
  return
}

// -----

// (gather-C1)
func.func @gather_c1_element(%x: tensor<4x8xf16>, %o: tensor<8xi32>, %f: tensor<3xi32>, %y: tensor<8x8xf32>) {
  // expected-error @+1 {{input: expected element type 'f32', got 'f16'}}
  %0 = dispatch.gather ins(%x : tensor<4x8xf16>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) outs(%y : tensor<8x8xf32>) -> tensor<8x8xf32>
  return
}

// -----

// (gather-C2)
func.func @gather_c2_rows(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %y: tensor<8x8xf32>) {
  // expected-error @+1 {{out dimension 0: expected 12, got 8}}
  %0 = dispatch.gather ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 3 offsets(%f : tensor<3xi32>) outs(%y : tensor<8x8xf32>) -> tensor<8x8xf32>
  return
}

// -----

// (gather-C2)
func.func @gather_c2_order(%x: tensor<4x8xf32>, %o: tensor<7xi32>, %f: tensor<3xi32>, %y: tensor<8x8xf32>) {
  // expected-error @+1 {{order dimension 0: expected 8, got 7}}
  %0 = dispatch.gather ins(%x : tensor<4x8xf32>) order(%o : tensor<7xi32>) slots 2 offsets(%f : tensor<3xi32>) outs(%y : tensor<8x8xf32>) -> tensor<8x8xf32>
  return
}

// -----

// (gather-C3)
func.func @gather_c3(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3x1xi32>, %y: tensor<8x8xf32>) {
  // expected-error @+1 {{offsets rank: expected 1, got 2}}
  %0 = dispatch.gather ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3x1xi32>) outs(%y : tensor<8x8xf32>) -> tensor<8x8xf32>
  return
}

// -----

// (gather-C4)
func.func @gather_c4(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %y: tensor<8x8xf32>) {
  // expected-error @+1 {{slots: expected at least 1, got 0}}
  %0 = dispatch.gather ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 0 offsets(%f : tensor<3xi32>) outs(%y : tensor<8x8xf32>) -> tensor<8x8xf32>
  return
}

// -----

// (segmented_matmul-C1)
func.func @segmented_matmul_c1_rank(%x: tensor<4x1x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{input rank: expected 2, got 3}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x1x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C1)
func.func @segmented_matmul_c1_element(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf16>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{weight 1: expected element type 'f32', got 'f16'}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf16>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C2)
func.func @segmented_matmul_c2(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<4xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{offsets: expected a static size of 3, got 'tensor<4xi32>'}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<4xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C3)
func.func @segmented_matmul_c3_rows(%x: tensor<4x8xf32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{out dimension 0: expected 4, got 8}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C3)
func.func @segmented_matmul_c3_order(%x: tensor<4x8xf32>, %o: tensor<9xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{order dimension 0: expected 8, got 9}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<9xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C4)
func.func @segmented_matmul_c4_none(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{slots: expected at least 1, got 0}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 0 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C4)
func.func @segmented_matmul_c4_order(%x: tensor<4x8xf32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{slots: expected 1 without order, got 2}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) outs(%y : tensor<8x16xf32>) {slots = 2 : i64} -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C5)
func.func @segmented_matmul_c5_k(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<9x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{weight 1 K: expected 8, got 9}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<9x16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C5)
func.func @segmented_matmul_c5_n(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x8xf32>, %w1: tensor<16x8xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{weight 0 N: expected 16, got 8}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x8xf32>, tensor<16x8xf32>) outs(%y : tensor<8x16xf32>) {transposed} -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C6)
func.func @segmented_matmul_c6_mixed(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<1x8x16xf32>, %w1: tensor<8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{weight 1: expected a packed one, as weight 0}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<1x8x16xf32>, tensor<8x16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C6)
func.func @segmented_matmul_c6_transposed(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<1x8x16xf32>, %w1: tensor<1x8x16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{weight 0: packed weights are never transposed}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<1x8x16xf32>, tensor<1x8x16xf32>) outs(%y : tensor<8x16xf32>) {transposed} -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C7)
func.func @segmented_matmul_c7(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %e0: tensor<4xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{extra 0: expected a scalar, out's last dimension or out's shape, got 'tensor<4xf32>'}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) extras(%e0 : tensor<4xf32>) outs(%y : tensor<8x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C8)
func.func @segmented_matmul_c8_groups(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %s0: tensor<16xf32>, %s1: tensor<16xf32>, %s2: tensor<16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{segment extras: expected groups of 2, got 3 in all}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) segment_extras(%s0, %s1, %s2 : tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) outs(%y : tensor<8x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C8)
func.func @segmented_matmul_c8_size(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %s0: tensor<16xf32>, %s1: tensor<8xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{segment extra 1 dimension 0: expected 16, got 8}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) segment_extras(%s0, %s1 : tensor<16xf32>, tensor<8xf32>) outs(%y : tensor<8x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C8)
func.func @segmented_matmul_c8_element(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %s0: tensor<16xf32>, %s1: tensor<16xf16>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{segment extra 1: expected element type 'f32', got 'f16'}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) segment_extras(%s0, %s1 : tensor<16xf32>, tensor<16xf16>) outs(%y : tensor<8x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C9)
func.func @segmented_matmul_c9_arguments(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %e0: tensor<16xf32>, %s0: tensor<16xf32>, %s1: tensor<16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{epilogue arguments: expected 3, got 2}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) extras(%e0 : tensor<16xf32>) segment_extras(%s0, %s1 : tensor<16xf32>, tensor<16xf32>) outs(%y : tensor<8x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C9)
func.func @segmented_matmul_c9_types(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %s0: tensor<16xf16>, %s1: tensor<16xf16>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{epilogue argument 1: expected 'f16', got 'f32'}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) segment_extras(%s0, %s1 : tensor<16xf16>, tensor<16xf16>) outs(%y : tensor<8x16xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    dispatch.yield %a : f32
  } -> tensor<8x16xf32>
  return
}

// -----

// (segmented_matmul-C10)
func.func @segmented_matmul_c10(%x: tensor<4x8xf32>, %o: tensor<8xi32>, %f: tensor<3xi32>, %w0: tensor<8x16xf32>, %w1: tensor<8x16xf32>, %s0: tensor<16xf32>, %s1: tensor<16xf32>, %y: tensor<8x16xf32>) {
  // expected-error @+1 {{extras need an epilogue}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<8xi32>) slots 2 offsets(%f : tensor<3xi32>) weights(%w0, %w1 : tensor<8x16xf32>, tensor<8x16xf32>) segment_extras(%s0, %s1 : tensor<16xf32>, tensor<16xf32>) outs(%y : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

// (combine-C1)
func.func @combine_c1_columns(%x: tensor<8x8xf32>, %p: tensor<4x2xi32>, %w: tensor<4x2xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{parts dimension 1: expected 16, got 8}}
  %0 = dispatch.combine ins(%x : tensor<8x8xf32>) position(%p : tensor<4x2xi32>) weights(%w : tensor<4x2xf32>) outs(%y : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (combine-C1)
func.func @combine_c1_element(%x: tensor<8x16xf16>, %p: tensor<4x2xi32>, %w: tensor<4x2xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{parts: expected element type 'f32', got 'f16'}}
  %0 = dispatch.combine ins(%x : tensor<8x16xf16>) position(%p : tensor<4x2xi32>) weights(%w : tensor<4x2xf32>) outs(%y : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (combine-C2)
func.func @combine_c2(%x: tensor<8x16xf32>, %p: tensor<5x2xi32>, %w: tensor<5x2xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{position dimension 0: expected 4, got 5}}
  %0 = dispatch.combine ins(%x : tensor<8x16xf32>) position(%p : tensor<5x2xi32>) weights(%w : tensor<5x2xf32>) outs(%y : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (combine-C3)
func.func @combine_c3_shape(%x: tensor<8x16xf32>, %p: tensor<4x2xi32>, %w: tensor<4x3xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{weights dimension 1: expected 2, got 3}}
  %0 = dispatch.combine ins(%x : tensor<8x16xf32>) position(%p : tensor<4x2xi32>) weights(%w : tensor<4x3xf32>) outs(%y : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (combine-C3)
func.func @combine_c3_element(%x: tensor<8x16xf32>, %p: tensor<4x2xi32>, %w: tensor<4x2xf64>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{weights: expected element type 'f32' or 'f32', got 'f64'}}
  %0 = dispatch.combine ins(%x : tensor<8x16xf32>) position(%p : tensor<4x2xi32>) weights(%w : tensor<4x2xf64>) outs(%y : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (attention-C1)
func.func @attention_c1(%q: tensor<2x4x8xf32>, %k: tensor<1x2x4x8xf32>, %o: tensor<1x2x4x8xf32>) {
  // expected-error @+1 {{q rank: expected 4, got 3}}
  %0 = dispatch.attention ins(%q, %k, %k : tensor<2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) outs(%o : tensor<1x2x4x8xf32>) {scale = 1.0 : f32} -> tensor<1x2x4x8xf32>
  return
}

// -----

// (attention-C2)
func.func @attention_c2(%q: tensor<1x2x4x8xf32>, %o: tensor<1x2x4x8xf32>) {
  // expected-error @+1 {{k layout: expected a permutation of "bhsd", got "bhss"}}
  %0 = dispatch.attention ins(%q, %q, %q : tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) outs(%o : tensor<1x2x4x8xf32>) {scale = 1.0 : f32, k_layout = "bhss"} -> tensor<1x2x4x8xf32>
  return
}

// -----

// (attention-C3)
func.func @attention_c3(%q: tensor<1x2x4x8xf32>, %k: tensor<1x2x4x6xf32>, %o: tensor<1x2x4x8xf32>) {
  // expected-error @+1 {{k head size: expected 8, got 6}}
  %0 = dispatch.attention ins(%q, %k, %q : tensor<1x2x4x8xf32>, tensor<1x2x4x6xf32>, tensor<1x2x4x8xf32>) outs(%o : tensor<1x2x4x8xf32>) {scale = 1.0 : f32} -> tensor<1x2x4x8xf32>
  return
}

// -----

// (attention-C4)
func.func @attention_c4(%q: tensor<1x4x4x8xf32>, %k: tensor<1x3x4x8xf32>, %o: tensor<1x4x4x8xf32>) {
  // expected-error @+1 {{heads of k: expected a divisor of 4, got 3}}
  %0 = dispatch.attention ins(%q, %k, %k : tensor<1x4x4x8xf32>, tensor<1x3x4x8xf32>, tensor<1x3x4x8xf32>) outs(%o : tensor<1x4x4x8xf32>) {scale = 1.0 : f32} -> tensor<1x4x4x8xf32>
  return
}

// -----

// (attention-C5)
func.func @attention_c5(%q: tensor<1x2x4x8xf32>, %m: tensor<1x1x1x5xf32>, %o: tensor<1x2x4x8xf32>) {
  // expected-error @+1 {{mask dimension 3: expected 4, got 5}}
  %0 = dispatch.attention ins(%q, %q, %q : tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) mask(%m : tensor<1x1x1x5xf32>) outs(%o : tensor<1x2x4x8xf32>) {scale = 1.0 : f32} -> tensor<1x2x4x8xf32>
  return
}

// -----

// (softmax-C1)
func.func @softmax_c1(%x: tensor<4x8xf32>, %o: tensor<4x9xf32>) {
  // expected-error @+1 {{input dimension 1: expected 9, got 8}}
  %0 = dispatch.softmax ins(%x : tensor<4x8xf32>) outs(%o : tensor<4x9xf32>) -> tensor<4x9xf32>
  return
}

// -----

// (softmax-C2)
func.func @softmax_c2(%x: tensor<4x8xf32>, %m: tensor<3x8xf32>, %o: tensor<4x8xf32>) {
  // expected-error @+1 {{mask dimension 0: expected 4, got 3}}
  %0 = dispatch.softmax ins(%x : tensor<4x8xf32>) mask(%m : tensor<3x8xf32>) outs(%o : tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

// (layer_norm-C1)
func.func @layer_norm_c1(%x: tensor<4x8xf32>, %r: tensor<4xf32>, %o: tensor<4x8xf32>) {
  // expected-error @+1 {{residual rank: expected 2, got 1}}
  %0 = dispatch.layer_norm ins(%x : tensor<4x8xf32>) residual(%r : tensor<4xf32>) outs(%o : tensor<4x8xf32>) {epsilon = 1.0 : f32} -> tensor<4x8xf32>
  return
}

// -----

// (layer_norm-C2)
func.func @layer_norm_c2(%x: tensor<4x8xf32>, %g: tensor<7xf32>, %o: tensor<4x8xf32>) {
  // expected-error @+1 {{weight dimension 0: expected 8, got 7}}
  %0 = dispatch.layer_norm ins(%x : tensor<4x8xf32>) weight(%g : tensor<7xf32>) outs(%o : tensor<4x8xf32>) {epsilon = 1.0 : f32} -> tensor<4x8xf32>
  return
}

// -----

// (check-C1)
func.func @check_c1(%c: i1) {
  // expected-error @+1 {{expected a message that is not empty}}
  dispatch.check %c, ""
  return
}

// -----

// (exchange-C1)
func.func @exchange_c1(%c: tensor<?x2xi64>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{weights dimension 1: expected 2, got 3}}
  %0:2 = dispatch.exchange 0(%c, %w) : (tensor<?x2xi64>, tensor<?x3xf32>) -> (tensor<?x2xi64>, tensor<?x3xf32>)
  return
}

// -----

func.func @exchange_c1_rank(%c: tensor<2xi64>) {
  // expected-error @+1 {{chosen rank: expected 2, got 1}}
  %0 = dispatch.exchange 0(%c) : (tensor<2xi64>) -> tensor<2xi64>
  return
}

// -----

// (exchange-C2)
func.func @exchange_c2(%c: tensor<?x2xi64>, %w: tensor<?x2xf32>) {
  // expected-error @+1 {{results: expected ('tensor<?x2xi64>', 'tensor<?x2xf32>'), got ('tensor<?x2xi64>')}}
  %0 = dispatch.exchange 0(%c, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x2xi64>
  return
}

// -----

// (exchange-C3)
func.func @exchange_c3(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{number: expected at least 0, got -1}}
  %0 = dispatch.exchange -1(%c) : (tensor<?x2xi64>) -> tensor<?x2xi64>
  return
}

// -----

// (exchange-C4)
func.func @exchange_c4(%c: tensor<?x2xi64>, %p: tensor<?x1xi64>, %n: index) {
  // expected-error @+1 {{places: expected rank 1, got 2}}
  %0 = dispatch.exchange 0(%c) at %p of %n : (tensor<?x2xi64>, tensor<?x1xi64>, index) -> tensor<?x2xi64>
  return
}

// -----

// (segmented_matmul-C1)
func.func @segmented_matmul_c1_rows(%x: tensor<4x3x8xf32>, %f: tensor<4xi32>, %a: tensor<8x4xf32>, %y: tensor<4x2x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op input dimension 1: expected 2, got 3}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x3x8xf32>) offsets(%f : tensor<4xi32>) weights(%a : tensor<8x4xf32>) outs(%y : tensor<4x2x16xf32>) {modules = array<i64: 0>, columns = array<i64: 4>} -> tensor<4x2x16xf32>
  return
}

// -----

// (segmented_matmul-C11)
func.func @segmented_matmul_c11_count(%x: tensor<4x8xf32>, %f: tensor<4xi32>, %a: tensor<8x4xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op modules: entries: expected 1, got 2}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<4xi32>) weights(%a : tensor<8x4xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 0, 1>, columns = array<i64: 4>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C11)
func.func @segmented_matmul_c11_order(%x: tensor<4x8xf32>, %f: tensor<4xi32>, %a: tensor<8x4xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op modules: expected ascending numbers below 3}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<4xi32>) weights(%a, %a : tensor<8x4xf32>, tensor<8x4xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 1, 1>, columns = array<i64: 4, 4>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C12)
func.func @segmented_matmul_c12_order(%x: tensor<4x8xf32>, %o: tensor<4xi32>, %f: tensor<4xi32>, %a: tensor<8x16xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op under modules: expected no order and no segment extras}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) order(%o : tensor<4xi32>) slots 1 offsets(%f : tensor<4xi32>) weights(%a : tensor<8x16xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 0>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C12)
func.func @segmented_matmul_c12_k(%x: tensor<4x8xf32>, %f: tensor<4xi32>, %a: tensor<9x16xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op weight 0 K: expected at most 8, got 9}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<4xi32>) weights(%a : tensor<9x16xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 0>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C13)
func.func @segmented_matmul_c13_width(%x: tensor<4x8xf32>, %f: tensor<4xi32>, %a: tensor<8x17xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op columns: expected at most 16, got 17}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<4xi32>) weights(%a : tensor<8x17xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 0>, columns = array<i64: 17>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C13)
func.func @segmented_matmul_c13_n(%x: tensor<4x8xf32>, %f: tensor<4xi32>, %a: tensor<8x4xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op weight 0 N: expected 5, got 4}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<4xi32>) weights(%a : tensor<8x4xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 0>, columns = array<i64: 5>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C14)
func.func @segmented_matmul_c14_modules(%x: tensor<4x8xf32>, %f: tensor<2xi32>, %a: tensor<8x16xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op expected modules with columns, starts and a shared input}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<2xi32>) weights(%a : tensor<8x16xf32>) shared(%x : tensor<4x8xf32>) outs(%y : tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C14)
func.func @segmented_matmul_c14_rows(%x: tensor<4x8xf32>, %z: tensor<5x8xf32>, %f: tensor<2xi32>, %a: tensor<8x16xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op shared input dimension 0: expected 4, got 5}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<2xi32>) weights(%a, %a : tensor<8x16xf32>, tensor<8x16xf32>) shared(%z : tensor<5x8xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 0>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C15)
func.func @segmented_matmul_c15(%x: tensor<4x8xf32>, %f: tensor<2xi32>, %a: tensor<8x16xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op shared_transposed: expected a shared input}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<2xi32>) weights(%a : tensor<8x16xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 0>, shared_transposed} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C16)
func.func @segmented_matmul_c16_count(%x: tensor<4x8xf32>, %f: tensor<3xi32>, %a: tensor<4x16xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op starts: entries: expected 1, got 2}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<3xi32>) weights(%a : tensor<4x16xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 1>, starts = array<i64: 0, 4>} -> tensor<4x16xf32>
  return
}

// -----

// (segmented_matmul-C16)
func.func @segmented_matmul_c16_end(%x: tensor<4x8xf32>, %f: tensor<3xi32>, %a: tensor<4x16xf32>, %y: tensor<4x16xf32>) {
  // expected-error @+1 {{'dispatch.segmented_matmul' op starts: expected 0 to 4, got 5}}
  %0 = dispatch.segmented_matmul ins(%x : tensor<4x8xf32>) offsets(%f : tensor<3xi32>) weights(%a : tensor<4x16xf32>) outs(%y : tensor<4x16xf32>) {modules = array<i64: 1>, starts = array<i64: 5>} -> tensor<4x16xf32>
  return
}
