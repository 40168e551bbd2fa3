// RUN: %graft-opt %s --graft-infer-shapes --split-input-file | FileCheck %s

// Types follow the operands, whatever they were; a constant dimension is static, any other is not.
// CHECK-LABEL: func.func @trusts_operands
// CHECK-SAME: -> (tensor<?x?x7xf32> {modular.dims = ["batch", "seq", "7"]})
func.func @trusts_operands(%x: tensor<?x?x384xf32> {modular.dims = ["batch", "seq", "384"]}, %w: tensor<384x7xf32>)
    -> tensor<?x?x2xf32> {
  // CHECK: onnx.MatMul {{.*}} -> tensor<?x?x7xf32>
  %0 = onnx.MatMul %x, %w : (tensor<?x?x384xf32>, tensor<384x7xf32>) -> tensor<?x?x2xf32>
  return %0 : tensor<?x?x2xf32>
}

// -----

// A shape that is computed: heads split and joined again.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: modular.dims = ["batch", "12", "seq", "32"]
// CHECK-SAME: modular.dims = ["batch", "seq", "384"]
func.func @heads(%x: tensor<?x?x384xf32> {modular.dims = ["batch", "seq", "384"]})
    -> (tensor<?x?x?x?xf32>, tensor<?x?x?xf32>) {
  %zero = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %one = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %axis = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %rest = onnx.Constant {value = dense<[12, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %join = onnx.Constant {value = dense<[0, 0, -1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %shape = onnx.Shape %x : (tensor<?x?x384xf32>) -> tensor<3xi64>
  %b = onnx.Gather %shape, %zero : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %s = onnx.Gather %shape, %one : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %b1 = onnx.Unsqueeze %b, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %s1 = onnx.Unsqueeze %s, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %to = onnx.Concat %b1, %s1, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<2xi64>) -> tensor<4xi64>
  // CHECK: onnx.Reshape {{.*}} -> tensor<?x?x12x32xf32>
  %split = onnx.Reshape %x, %to : (tensor<?x?x384xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  %heads = onnx.Transpose %split {perm = [0, 2, 1, 3]} : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %back = onnx.Transpose %heads {perm = [0, 2, 1, 3]} : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %joined = onnx.Reshape %back, %join : (tensor<?x?x?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %heads, %joined : tensor<?x?x?x?xf32>, tensor<?x?x?xf32>
}

// -----

// What only the data tells has a symbol of its own; windows round down.
// CHECK-LABEL: func.func @data
// CHECK-SAME: modular.dims = ["2", "[[D:[a-z0-9.]+]]"]
// CHECK-SAME: modular.dims = ["batch", "16", "max(0, floordiv(h - 1, 2) + 1)"]
func.func @data(%x: tensor<?x?xf32>, %y: tensor<?x3x?xf32> {modular.dims = ["batch", "3", "h"]}, %w: tensor<16x3x3xf32>)
    -> (tensor<?x?xi64>, tensor<?x?x?xf32>) {
  %0 = onnx.NonZero %x : (tensor<?x?xf32>) -> tensor<?x?xi64>
  %1 = onnx.Conv %y, %w {pads = [1, 1], strides = [2]} : (tensor<?x3x?xf32>, tensor<16x3x3xf32>) -> tensor<?x?x?xf32>
  return %0, %1 : tensor<?x?xi64>, tensor<?x?x?xf32>
}

// -----

// A text that has become long gets a name: functions of functions of functions would grow without bound.
// CHECK-LABEL: func.func @long
// CHECK-SAME: modular.dims = ["floordiv(sum.[[N:[0-9]+]], 3) + sum.[[N]]"]
func.func @long(%x: tensor<?xf32> {modular.dims = ["n"]}) -> tensor<?xf32> {
  %three = onnx.Constant {value = dense<3> : tensor<1xi64>} : () -> tensor<1xi64>
  %a0 = onnx.Shape %x : (tensor<?xf32>) -> tensor<1xi64>
  %b0 = onnx.Div %a0, %three : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %a1 = onnx.Add %a0, %b0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %b1 = onnx.Div %a1, %three : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %a2 = onnx.Add %a1, %b1 : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %b2 = onnx.Div %a2, %three : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %a3 = onnx.Add %a2, %b2 : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %b3 = onnx.Div %a3, %three : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %a4 = onnx.Add %a3, %b3 : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %b4 = onnx.Div %a4, %three : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %a5 = onnx.Add %a4, %b4 : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %y = onnx.ConstantOfShape %a5 : (tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// The places of what is not zero among ones: a range, as old exporters write it.
// CHECK-LABEL: func.func @range
// CHECK-SAME: tensor<1x?xi64> {modular.dims = ["1", "seq"]}
// Other fills tell less.
// CHECK-SAME: tensor<1x?xi64> {modular.dims = ["1", "dim.{{[0-9]+}}"]}
func.func @range(%x: tensor<?xf32> {modular.dims = ["seq"]}) -> (tensor<?x?xi64>, tensor<?x?xi64>) {
  %shape = onnx.Shape %x : (tensor<?xf32>) -> tensor<1xi64>
  %ones = onnx.ConstantOfShape %shape {value = dense<1> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<?xi64>
  %range = onnx.NonZero %ones : (tensor<?xi64>) -> tensor<?x?xi64>
  %zeros = onnx.ConstantOfShape %shape {value = dense<0> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<?xi64>
  %none = onnx.NonZero %zeros : (tensor<?xi64>) -> tensor<?x?xi64>
  return %range, %none : tensor<?x?xi64>, tensor<?x?xi64>
}

// -----

// The importer may not know a rank that the operands tell.
// CHECK-LABEL: func.func @unranked
// CHECK-SAME: -> (tensor<?x?xf32> {modular.dims = ["batch", "seq"]})
// CHECK: onnx.Add {{.*}} -> tensor<?x?xf32>
func.func @unranked(%x: tensor<?x?xf32> {modular.dims = ["batch", "seq"]}) -> tensor<*xf32> {
  %y = onnx.Relu %x : (tensor<?x?xf32>) -> tensor<*xf32>
  %z = onnx.Add %y, %x : (tensor<*xf32>, tensor<?x?xf32>) -> tensor<*xf32>
  return %z : tensor<*xf32>
}

// -----

// Pads as exporters turn them round, front and back, through a transposition.
// CHECK-LABEL: func.func @pads
// CHECK-SAME: modular.dims = ["batch", "width + 3"]
func.func @pads(%x: tensor<?x?xf32> {modular.dims = ["batch", "width"]}) -> tensor<?x?xf32> {
  %pairs = onnx.Constant {value = dense<[[0, 0], [1, 2]]> : tensor<2x2xi64>} : () -> tensor<2x2xi64>
  %flat = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %t = onnx.Transpose %pairs {perm = [1, 0]} : (tensor<2x2xi64>) -> tensor<2x2xi64>
  %pads = onnx.Reshape %t, %flat : (tensor<2x2xi64>, tensor<1xi64>) -> tensor<4xi64>
  %0 = onnx.Pad %x, %pads {operandSegmentSizes = array<i32: 1, 1, 0, 0>} : (tensor<?x?xf32>, tensor<4xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// A range whose ends come as floats: as long as the batch.
// CHECK-LABEL: func.func @integers_as_floats
// CHECK-SAME: modular.dims = ["batch"]
func.func @integers_as_floats(%x: tensor<?xf32> {modular.dims = ["batch"]}) -> tensor<?xi64> {
  %0 = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %1 = onnx.Constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %batch = onnx.Size %x : (tensor<?xf32>) -> tensor<i64>
  %start = onnx.CastLike %0, %batch : (tensor<f32>, tensor<i64>) -> tensor<i64>
  %step = onnx.Cast %1 {to = 7 : i64} : (tensor<f32>) -> tensor<i64>
  %r = onnx.Range %start, %batch, %step : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  return %r : tensor<?xi64>
}

// -----

// The repeats of a Tile as the legacy exporter writes them: [1, 1, 1] with a 2 at position 1.
// CHECK-LABEL: func.func @one_hot
// CHECK-SAME: modular.dims = ["n", "2", "3"]
func.func @one_hot(%x: tensor<?x1x3xf32> {modular.dims = ["n", "1", "3"]}) -> tensor<?x?x?xf32> {
  %position = onnx.Constant {value = dense<-2> : tensor<1xi64>} : () -> tensor<1xi64>
  %depth = onnx.Constant {value = dense<3> : tensor<i64>} : () -> tensor<i64>
  %values = onnx.Constant {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %flat = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %0 = onnx.OneHot %position, %depth, %values : (tensor<1xi64>, tensor<i64>, tensor<2xi64>) -> tensor<1x3xi64>
  %repeats = onnx.Reshape %0, %flat : (tensor<1x3xi64>, tensor<1xi64>) -> tensor<3xi64>
  %1 = onnx.Tile %x, %repeats : (tensor<?x1x3xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %1 : tensor<?x?x?xf32>
}
