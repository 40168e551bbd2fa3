// RUN: %graft-opt %s -split-input-file -verify-diagnostics

// Every constraint of aggregators, broken.

func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 2>) {
  %p = modular.apply %r [](%x) : !modular.route<1, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>> {
  ^bb0(%rows: tensor<?x4xf32>):
    modular.yield %rows : tensor<?x4xf32>
  }
  // expected-error @+1 {{(aggregate-C2) expects a result of type 'tensor<?x8xf32>', found 'tensor<?x4xf32>'}}
  %y = modular.aggregate concatenation %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
  return
}

// -----

func.func @main(%x: tensor<?x4xf32>, %p: !modular.parts<tensor<?x4xf32>>, %m: tensor<4x4xf32>) {
  // expected-error @+1 {{(aggregate_attention-C1) expects the parts of a 'modular.apply'}}
  %y = modular.aggregate_attention %p from %x by %m, %m : !modular.parts<tensor<?x4xf32>>, tensor<?x4xf32>, tensor<4x4xf32>, tensor<4x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 2>, %m: tensor<4x4xf32>, %q: tensor<4xf32>) {
  %p = modular.apply %r [](%x) : !modular.route<1, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>> {
  ^bb0(%rows: tensor<?x4xf32>):
    modular.yield %rows : tensor<?x4xf32>
  }
  // expected-error @+1 {{(aggregate_attention-C1) expects parts, query and result of rank 2 and as many rows, found 'tensor<?x4xf32>', 'tensor<4xf32>' and 'tensor<?x4xf32>'}}
  %y = modular.aggregate_attention %p from %q by %m, %m : !modular.parts<tensor<?x4xf32>>, tensor<4xf32>, tensor<4x4xf32>, tensor<4x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 2>, %m: tensor<4x4xf32>, %k: tensor<3x4xf32>) {
  %p = modular.apply %r [](%x) : !modular.route<1, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>> {
  ^bb0(%rows: tensor<?x4xf32>):
    modular.yield %rows : tensor<?x4xf32>
  }
  // expected-error @+1 {{(aggregate_attention-C2) expects Q and K of (k, 4) and (k, 4), found 'tensor<4x4xf32>' and 'tensor<3x4xf32>'}}
  %y = modular.aggregate_attention %p from %x by %m, %k : !modular.parts<tensor<?x4xf32>>, tensor<?x4xf32>, tensor<4x4xf32>, tensor<3x4xf32> -> tensor<?x4xf32>
  return
}

// -----

modular.aggregator @a(%slots: tensor<?x3x4xf32>, %chosen: tensor<?x3xi64>, %weights: tensor<?x3xf32>) -> tensor<?x3xf32> {
  modular.yield %weights : tensor<?x3xf32>
}
func.func @main(%x: tensor<?x4xf32>, %p: !modular.parts<tensor<?x4xf32>>) {
  // expected-error @+1 {{(aggregate_by-C1) expects the parts of a 'modular.apply'}}
  %y = modular.aggregate_by @a %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x3xf32>
  return
}

// -----

func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 2>) {
  %p = modular.apply %r [](%x) : !modular.route<1, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>> {
  ^bb0(%rows: tensor<?x4xf32>):
    modular.yield %rows : tensor<?x4xf32>
  }
  // expected-error @+1 {{(aggregate_by-C2) expects @b to name an aggregator}}
  %y = modular.aggregate_by @b %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x3xf32>
  return
}

// -----

modular.aggregator @a(%slots: tensor<?x3x4xf32>, %chosen: tensor<?x3xi64>, %weights: tensor<?x3xf32>) -> tensor<?x3xf32> {
  modular.yield %weights : tensor<?x3xf32>
}
func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 2>) {
  %p = modular.apply %r [](%x) : !modular.route<1, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>> {
  ^bb0(%rows: tensor<?x4xf32>):
    modular.yield %rows : tensor<?x4xf32>
  }
  // expected-error @+1 {{(aggregate_by-C2) expects @a to make 'tensor<?x3xf32>' of 'tensor<?x2x4xf32>', the route and (), found '(tensor<?x3x4xf32>, tensor<?x3xi64>, tensor<?x3xf32>) -> tensor<?x3xf32>'}}
  %y = modular.aggregate_by @a %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x3xf32>
  return
}

// -----

// expected-error @+1 {{(aggregator-C1) expects arguments of (rows, slots, …), of (rows, slots) in i64 and of (rows, slots) in floats, found ('tensor<?x3x4xf32>', 'tensor<?x2xi64>', 'tensor<?x2xf32>')}}
modular.aggregator @a(%slots: tensor<?x3x4xf32>, %chosen: tensor<?x2xi64>, %weights: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %weights : tensor<?x2xf32>
}

// -----

// expected-error @+1 {{(aggregator-C2) expects one result, and a body that ends in a 'modular.yield' of it}}
modular.aggregator @a(%slots: tensor<?x2x4xf32>, %chosen: tensor<?x2xi64>, %weights: tensor<?x2xf32>) -> tensor<?x4xf32> {
  modular.yield %weights : tensor<?x2xf32>
}

// -----

func.func @main(%x: tensor<?x4xf32>, %p: !modular.parts<tensor<?x4xf32>>) {
  // expected-error @+1 {{(collect-C1) expects the parts of a 'modular.apply'}}
  %y = modular.collect %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x2x4xf32>
  return
}

// -----

func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 2>) {
  %p = modular.apply %r [](%x) : !modular.route<1, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>> {
  ^bb0(%rows: tensor<?x4xf32>):
    modular.yield %rows : tensor<?x4xf32>
  }
  // expected-error @+1 {{(collect-C2) expects a result of type 'tensor<?x2x4xf32>', found 'tensor<?x3x4xf32>'}}
  %y = modular.collect %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x3x4xf32>
  return
}
