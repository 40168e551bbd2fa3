// RUN: %graft-opt %s -split-input-file -verify-diagnostics

// Every constraint of routers with a body and of what follows their routes, broken.

// expected-error @+1 {{(router-C2) expects a body that yields what is chosen, of i64, and its weights, of floats, both (rows, slots)}}
modular.router @gate(%x: tensor<?x4xf32>) over ["e0"] {
  modular.yield %x, %x : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

modular.router @gate(%c: tensor<?x2xi64>, %w: tensor<?x2xf32>) over ["e0"] {
  modular.yield %c, %w : tensor<?x2xi64>, tensor<?x2xf32>
}
func.func @main(%c: tensor<?x2xi64>, %w: tensor<?x2xf32>) {
  // expected-error @+1 {{(route-C2) expects a route of 2 slots, found '!modular.route<1, 3>'}}
  %r = modular.route @gate(%c, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> !modular.route<1, 3>
  return
}

// -----

modular.router @gate(%c: tensor<?x2xi64>, %w: tensor<?x2xf32>) over ["e0"] {
  modular.yield %c, %w : tensor<?x2xi64>, tensor<?x2xf32>
}
func.func @main(%c: tensor<?x2xi64>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{(route-C3) expects the inputs that @gate takes, ('tensor<?x2xi64>', 'tensor<?x2xf32>'), found ('tensor<?x2xi64>', 'tensor<?x3xf32>')}}
  %r = modular.route @gate(%c, %w) : (tensor<?x2xi64>, tensor<?x3xf32>) -> !modular.route<1, 2>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{(route_of-C1) expects two tensors of (rows, 2), found 'tensor<?x2xi64>' and 'tensor<?x3xf32>'}}
  %r = modular.route_of %c, %w : tensor<?x2xi64>, tensor<?x3xf32> -> !modular.route<3, 2>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_top-C1) expects scores of (rows, modules) and a result of (rows, 2), found 'tensor<?x4xf32>' and 'tensor<?x3xi64>'}}
  %c = modular.select_top 2 of %s : tensor<?x4xf32> -> tensor<?x3xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_top-C2) expects a count from 1 to the 4 modules, found 5}}
  %c = modular.select_top 5 of %s : tensor<?x4xf32> -> tensor<?x5xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_all-C1) expects scores and a result of (rows, modules), found 'tensor<?x4xf32>' and 'tensor<?x3xi64>'}}
  %c = modular.select_all of %s : tensor<?x4xf32> -> tensor<?x3xi64>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>, %s: tensor<?x4xf32>) {
  // expected-error @+1 {{(weigh-C1) expects scores of (rows, modules) and two tensors of (rows, slots), found 'tensor<?x4xf32>', 'tensor<?x2xi64>' and 'tensor<?x4xf32>'}}
  %w = modular.weigh %c by %s normalized by nothing : tensor<?x2xi64>, tensor<?x4xf32> -> tensor<?x4xf32>
  return
}

// -----

modular.module @e0 function(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  modular.yield %x : tensor<?x4xf32>
}
func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<2, 1>) {
  // expected-error @+1 {{(apply-C1) expects a route for each row and a module for each of its 2, found '!modular.route<2, 1>' and 1 modules}}
  %p = modular.apply %r [@e0](%x) : !modular.route<2, 1>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
  return
}

// -----

modular.module @e0 parameter(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  modular.yield %x : tensor<4x4xf32>
}
func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 1>) {
  // expected-error @+1 {{(apply-C2) expects @e0 to name a module that composes functions}}
  %p = modular.apply %r [@e0](%x) : !modular.route<1, 1>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
  return
}

// -----

modular.module @e0 function(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  modular.yield %x : tensor<?x4xf32>
}
func.func @main(%x: tensor<?x5xf32>, %r: !modular.route<1, 1>) {
  // expected-error @+1 {{(apply-C3) expects module @e0 to make 'tensor<?x4xf32>' of ('tensor<?x5xf32>') for any number of rows, found ('tensor<?x4xf32>') -> ('tensor<?x4xf32>')}}
  %p = modular.apply %r [@e0](%x) : !modular.route<1, 1>, (tensor<?x5xf32>) -> !modular.parts<tensor<?x4xf32>>
  return
}

// -----

// A module that knows the number of its rows can't be given those that take it.
func.func @main(%x: tensor<3x4xf32>, %r: !modular.route<1, 1>) {
  // expected-error @+1 {{(apply-C3) expects region 0 to make 'tensor<3x4xf32>' of ('tensor<3x4xf32>') for any number of rows, found ('tensor<3x4xf32>') -> ('tensor<3x4xf32>')}}
  %p = modular.apply %r [](%x) : !modular.route<1, 1>, (tensor<3x4xf32>) -> !modular.parts<tensor<3x4xf32>> {
  ^bb0(%rows: tensor<3x4xf32>):
    modular.yield %rows : tensor<3x4xf32>
  }
  return
}

// -----

func.func @main(%p: !modular.parts<tensor<?x4xf32>>) {
  // expected-error @+1 {{(aggregate-C1) expects the parts of a 'modular.apply'}}
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
  return
}

// -----

modular.module @e0 function(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  modular.yield %x : tensor<?x4xf32>
}
func.func @main(%x: tensor<?x4xf32>, %r: !modular.route<1, 1>) {
  %p = modular.apply %r [@e0](%x) : !modular.route<1, 1>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
  // expected-error @+1 {{(aggregate-C2) expects a result of type 'tensor<?x4xf32>', found 'tensor<?x5xf32>'}}
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x5xf32>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{(expose-C1) expects tensors of (rows, slots) and results of their types, found ('tensor<?x2xi64>', 'tensor<?x3xf32>') and ('tensor<?x2xi64>', 'tensor<?x3xf32>')}}
  %0:2 = modular.expose 0 "gate"(%c, %w) : (tensor<?x2xi64>, tensor<?x3xf32>) -> (tensor<?x2xi64>, tensor<?x3xf32>)
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{(expose-C1)}}
  %0 = modular.expose 0 "gate"(%c) : (tensor<?x2xi64>) -> tensor<?x2xf32>
  return
}
