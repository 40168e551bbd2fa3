// RUN: %graft-opt --graft-print-rows --verify-diagnostics --split-input-file %s

// A mask as older exporters pick it: element (row, position) of a flattened tensor.
// expected-remark@+1 {{rows are independent}}
func.func @flat_index(%x: tensor<?x?xi1> {modular.dims = ["batch", "seq"]}) -> tensor<?x?xi1> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %all = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = onnx.Shape %x : (tensor<?x?xi1>) -> tensor<2xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %seq = onnx.Gather %shape, %1 : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %column = onnx.Range %0, %seq, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %rows = onnx.Unsqueeze %row, %axis : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %first = onnx.Mul %rows, %seq : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi64>
  %index = onnx.Add %column, %first : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi64>
  %flat = onnx.Reshape %x, %all : (tensor<?x?xi1>, tensor<1xi64>) -> tensor<?xi1>
  %y = onnx.Gather %flat, %index : (tensor<?xi1>, tensor<?x?xi64>) -> tensor<?x?xi1>
  return %y : tensor<?x?xi1>
}

// -----

// The same with another width: an element of the next row.
func.func @flat_index_of_another_width(%x: tensor<?x?xi1> {modular.dims = ["batch", "seq"]})
    -> tensor<?x?xi1> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %all = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = onnx.Shape %x : (tensor<?x?xi1>) -> tensor<2xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %seq = onnx.Gather %shape, %1 : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %more = onnx.Add %seq, %1 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %column = onnx.Range %0, %more, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %rows = onnx.Unsqueeze %row, %axis : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %first = onnx.Mul %rows, %seq : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi64>
  %index = onnx.Add %column, %first : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi64>
  %flat = onnx.Reshape %x, %all : (tensor<?x?xi1>, tensor<1xi64>) -> tensor<?xi1>
  // expected-remark@+1 {{rows are not independent: may gather from other rows}}
  %y = onnx.Gather %flat, %index : (tensor<?xi1>, tensor<?x?xi64>) -> tensor<?x?xi1>
  return %y : tensor<?x?xi1>
}

// -----

// The last token by its place, as classifiers of decoders pick it; coordinates side by side.
// expected-remark@+1 {{rows are independent}}
func.func @coordinates(%x: tensor<?x?x8xf32> {modular.dims = ["batch", "seq", "8"]},
                       %at: tensor<?xi64> {modular.dims = ["batch"]}) -> tensor<?x8xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = onnx.Shape %x : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  // Of no use but for its shape.
  %most = onnx.Max %row, %1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %rows = onnx.Shape %most : (tensor<?xi64>) -> tensor<1xi64>
  %wide = onnx.Expand %row, %rows : (tensor<?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %a = onnx.Unsqueeze %wide, %axis : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %b = onnx.Unsqueeze %at, %axis : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %index = onnx.Concat %a, %b {axis = -1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %y = onnx.GatherND %x, %index : (tensor<?x?x8xf32>, tensor<?x2xi64>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Coordinates the wrong way round.
func.func @row_as_position(%x: tensor<?x?x8xf32> {modular.dims = ["batch", "seq", "8"]},
                           %at: tensor<?xi64> {modular.dims = ["batch"]}) -> tensor<?x8xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = onnx.Shape %x : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %a = onnx.Unsqueeze %row, %axis : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %b = onnx.Unsqueeze %at, %axis : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %index = onnx.Concat %b, %a {axis = -1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  // expected-remark@+1 {{rows are not independent: uses the number of a row as data}}
  %y = onnx.GatherND %x, %index : (tensor<?x?x8xf32>, tensor<?x2xi64>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Oldest exporters write a range as the places of ones; updates of own rows.
// expected-remark@+1 {{rows are independent}}
func.func @non_zero(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %batch = onnx.Shape %x {end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  %ones = onnx.ConstantOfShape %batch {value = dense<1> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<?xi64>
  %places = onnx.NonZero %ones : (tensor<?xi64>) -> tensor<1x?xi64>
  %row = onnx.Transpose %places {perm = [1, 0]} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %own = onnx.GatherND %x, %row : (tensor<?x4xf32>, tensor<?x1xi64>) -> tensor<?x4xf32>
  %y = onnx.ScatterND %x, %row, %own : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @scatter_anywhere(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]},
                            %at: tensor<?x1xi64> {modular.dims = ["batch", "1"]}) -> tensor<?x4xf32> {
  // expected-remark@+1 {{rows are not independent: may write to other rows}}
  %y = onnx.ScatterND %x, %at, %x : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// A table looked up by the row's number: another row than when it is alone.
func.func @table_by_row(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %table = onnx.Constant {value = dense<1.0> : tensor<9x4xf32>} : () -> tensor<9x4xf32>
  %shape = onnx.Shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  // expected-remark@+1 {{rows are not independent: uses the number of a row as data}}
  %t = onnx.Gather %table, %row : (tensor<9x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %y = onnx.Add %x, %t : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @number_compared(%x: tensor<?xi1> {modular.dims = ["batch"]}) -> tensor<?xi1> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %shape = onnx.Shape %x : (tensor<?xi1>) -> tensor<1xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  // expected-remark@+1 {{rows are not independent: uses the number of a row as data}}
  %is = onnx.Less %row, %1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %y = onnx.And %x, %is : (tensor<?xi1>, tensor<?xi1>) -> tensor<?xi1>
  return %y : tensor<?xi1>
}

// -----

// Two numbers of one row differ by what does not depend on it.
// expected-remark@+1 {{rows are independent}}
func.func @numbers_compared(%x: tensor<?xi64> {modular.dims = ["batch"]}) -> tensor<?xi1> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %shape = onnx.Shape %x : (tensor<?xi64>) -> tensor<1xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %moved = onnx.Add %row, %x : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  %y = onnx.Equal %row, %moved : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi1>
  return %y : tensor<?xi1>
}

// -----

// Row r takes row n - 1 - r.
func.func @reversed(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %shape = onnx.Shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %last = onnx.Sub %batch, %1 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  // expected-remark@+1 {{rows are not independent: computes with the number of rows}}
  %back = onnx.Sub %last, %row : (tensor<i64>, tensor<?xi64>) -> tensor<?xi64>
  %y = onnx.Gather %x, %back : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Row r takes row r + 1.
func.func @next(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %shape = onnx.Shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %row = onnx.Range %0, %batch, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %next = onnx.Add %row, %1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  // expected-remark@+1 {{rows are not independent: may gather from other rows}}
  %y = onnx.Gather %x, %next : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Rows may be any dimension meanwhile, merged with what is before and behind it.
// expected-remark@+1 {{rows are independent}}
func.func @reshapes(%x: tensor<?x?x8xf32> {modular.dims = ["batch", "seq", "8"]}) -> tensor<?x?x8xf32> {
  %w = onnx.Constant {value = dense<1.0> : tensor<8x8xf32>} : () -> tensor<8x8xf32>
  %flat = onnx.Constant {value = dense<[-1, 8]> : tensor<2xi64>} : () -> tensor<2xi64>
  %heads = onnx.Constant {value = dense<[0, -1, 2, 4]> : tensor<4xi64>} : () -> tensor<4xi64>
  %t = onnx.Transpose %x {perm = [1, 0, 2]} : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %shape = onnx.Shape %t : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %a = onnx.Reshape %t, %flat : (tensor<?x?x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %b = onnx.Gemm %a, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %c = onnx.Reshape %b, %shape : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %d = onnx.Transpose %c {perm = [1, 0, 2]} : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %e = onnx.Reshape %d, %heads : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %f = onnx.Flatten %e {axis = 3 : i64} : (tensor<?x?x2x4xf32>) -> tensor<?x4xf32>
  %g = onnx.Softmax %f {axis = -1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %own = onnx.Shape %x : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %y = onnx.Reshape %g, %own : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

func.func @taken_for_another_size(%x: tensor<?x?xf32> {modular.dims = ["batch", "seq"]}) -> tensor<?x?xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %1 = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = onnx.Shape %x : (tensor<?x?xf32>) -> tensor<2xi64>
  %batch = onnx.Gather %shape, %0 : (tensor<2xi64>, tensor<1xi64>) -> tensor<1xi64>
  %seq = onnx.Gather %shape, %1 : (tensor<2xi64>, tensor<1xi64>) -> tensor<1xi64>
  %turned = onnx.Concat %seq, %batch {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  // expected-remark@+1 {{rows are not independent: takes rows apart}}
  %z = onnx.Reshape %x, %turned : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %y = onnx.Transpose %z {perm = [1, 0]} : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

func.func @sizes_of_data(%x: tensor<?x?xf32> {modular.dims = ["batch", "seq"]},
                         %n: tensor<?x1xi64> {modular.dims = ["batch", "1"]}) -> tensor<?x?xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %1 = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %first = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %end = onnx.Gather %n, %first : (tensor<?x1xi64>, tensor<i64>) -> tensor<1xi64>
  // expected-remark@+1 {{rows are not independent: slices at places that only data tells}}
  %y = onnx.Slice %x, %0, %end, %1 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

func.func @mean(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  // expected-remark@+1 {{rows are not independent: reduces over the rows}}
  %m = onnx.ReduceMean %x, %0 : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<1x4xf32>
  %y = onnx.Sub %x, %m : (tensor<?x4xf32>, tensor<1x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @divided_by_the_number_of_rows(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %batch = onnx.Shape %x {end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  // expected-remark@+1 {{rows are not independent: computes with the number of rows}}
  %n = onnx.Cast %batch {to = 1 : i64} : (tensor<1xi64>) -> tensor<1xf32>
  %y = onnx.Div %x, %n : (tensor<?x4xf32>, tensor<1xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @each_with_each(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x?xf32> {
  %t = onnx.Transpose %x {perm = [1, 0]} : (tensor<?x4xf32>) -> tensor<4x?xf32>
  // expected-remark@+1 {{rows are not independent: combines different rows}}
  %y = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// A constant that runs along the rows, where there happen to be three.
func.func @constant_along_rows(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %c = onnx.Constant {value = dense<1.0> : tensor<3x1xf32>} : () -> tensor<3x1xf32>
  // expected-remark@+1 {{rows are not independent: combines different rows}}
  %y = onnx.Mul %x, %c : (tensor<?x4xf32>, tensor<3x1xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @first_row(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %1 = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  // expected-remark@+1 {{rows are not independent: takes rows apart}}
  %f = onnx.Slice %x, %0, %1, %0 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xf32>
  %y = onnx.Add %x, %f : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// A column whose place is the number of rows.
func.func @column_by_the_number_of_rows(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x1xf32> {
  %1 = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %batch = onnx.Shape %x {end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  // expected-remark@+1 {{rows are not independent: computes with the number of rows}}
  %y = onnx.Gather %x, %batch {axis = 1 : i64} : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// An exporter that was not told so gives each input rows of its own: they are taken to be as many.
// expected-remark@+1 {{rows are independent}}
func.func @two_symbols(%mask: tensor<?x4xf32> {modular.name = "attention_mask", modular.dims = ["s86", "4"]},
                       %ids: tensor<?x4xf32> {modular.name = "input_ids", modular.dims = ["s10", "4"]}) -> tensor<?x4xf32> {
  %y = onnx.Add %mask, %ids : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @two_symbols_as_matrix(%a: tensor<?x4xf32> {modular.dims = ["s86", "4"]}, %b: tensor<?x4xf32> {modular.dims = ["s10", "4"]}) -> tensor<?x?xf32> {
  %t = onnx.Transpose %b {perm = [1, 0]} : (tensor<?x4xf32>) -> tensor<4x?xf32>
  // expected-remark@+1 {{rows are not independent: combines different rows}}
  %y = onnx.MatMul %a, %t : (tensor<?x4xf32>, tensor<4x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// expected-remark@+1 {{rows are not independent: expected inputs whose first dimension is a symbol, found an input with none}}
func.func @fixed(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %y = onnx.Relu %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

func.func @second_dimension(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<4x?xf32> {
  // expected-remark@+1 {{rows are not independent: expected results whose first dimension is that of the rows}}
  %y = onnx.Transpose %x {perm = [1, 0]} : (tensor<?x4xf32>) -> tensor<4x?xf32>
  return %y : tensor<4x?xf32>
}

// -----

// A state that is one for the whole batch.
func.func @unknown_op(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  // expected-remark@+1 {{rows are not independent: has no rule that keeps rows apart}}
  %y = onnx.EyeLike %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @length_of_data(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]},
                          %n: tensor<?xi64> {modular.dims = ["batch"]}) -> tensor<?x4xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant {value = dense<1.0> : tensor<4xf32>} : () -> tensor<4xf32>
  %most = onnx.ReduceMax %n, %0 {keepdims = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> tensor<1xi64>
  // expected-remark@+1 {{rows are not independent: has a size that only data tells}}
  %many = onnx.Expand %one, %most : (tensor<4xf32>, tensor<1xi64>) -> tensor<?xf32>
  %sum = onnx.ReduceSum %many, %0 : (tensor<?xf32>, tensor<1xi64>) -> tensor<1xf32>
  %y = onnx.Mul %x, %sum : (tensor<?x4xf32>, tensor<1xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// expected-remark@+1 {{rows are independent}}
func.func @einsum(%x: tensor<?x3x4xf32> {modular.dims = ["batch", "3", "4"]},
                  %w: tensor<?x4x5xf32> {modular.dims = ["batch", "4", "5"]}) -> tensor<?x5x3xf32> {
  %0 = onnx.Einsum %x, %w {equation = "bij,bjk->bki"} : (tensor<?x3x4xf32>, tensor<?x4x5xf32>) -> tensor<?x5x3xf32>
  return %0 : tensor<?x5x3xf32>
}

// -----

func.func @einsum_over_rows(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x4xf32> {
  // expected-remark@+1 {{rows are not independent: sums over the rows}}
  %0 = onnx.Einsum %x, %x {equation = "bi,bi->i"} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<4xf32>
  %1 = onnx.Add %x, %0 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

func.func @einsum_of_each_with_each(%x: tensor<?x4xf32> {modular.dims = ["batch", "4"]}) -> tensor<?x?xf32> {
  // expected-remark@+1 {{rows are not independent: combines different rows}}
  %0 = onnx.Einsum %x, %x {equation = "bi,ci->bc"} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// expected-remark@+1 {{rows are independent}}
func.func @reversed_by_length(%x: tensor<?x?x4xf32> {modular.dims = ["batch", "seq", "4"]},
                              %n: tensor<?xi64> {modular.dims = ["batch"]}) -> tensor<?x?x4xf32> {
  %0 = onnx.ReverseSequence %x, %n {batch_axis = 0 : i64, time_axis = 1 : i64} : (tensor<?x?x4xf32>, tensor<?xi64>) -> tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}

// -----

func.func @reversed_by_another_length(%x: tensor<?x?x4xf32> {modular.dims = ["batch", "seq", "4"]}) -> tensor<?x?x4xf32> {
  %n = onnx.Constant {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  // expected-remark@+1 {{rows are not independent: combines different rows}}
  %0 = onnx.ReverseSequence %x, %n {batch_axis = 0 : i64, time_axis = 1 : i64} : (tensor<?x?x4xf32>, tensor<2xi64>) -> tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}
