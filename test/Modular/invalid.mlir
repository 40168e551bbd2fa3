// RUN: graft-opt %s -split-input-file -verify-diagnostics

// Every constraint of the modular dialect, broken.

// expected-error @+1 {{(parameter-C1) expects a ranked tensor of static shape, found 'f32'}}
modular.parameter @scalar = 1.0 : f32

// -----

func.func @main() -> tensor<2x3xf32> {
  // expected-error @+1 {{expects @nowhere to name a parameter (site-C1)}}
  %w = modular.site "query.weight" of @nowhere : tensor<2x3xf32>
  return %w : tensor<2x3xf32>
}

// -----

modular.parameter @w = dense<0.0> : tensor<2x3xf32>
func.func @main() -> tensor<3x2xf32> {
  // expected-error @+1 {{(site-C2) expects the parameter's type 'tensor<2x3xf32>', found 'tensor<3x2xf32>'}}
  %w = modular.site "query.weight" of @w : tensor<3x2xf32>
  return %w : tensor<3x2xf32>
}

// -----

modular.parameter @b = dense<0.0> : tensor<3xf32>
func.func @main() -> tensor<3xf32> {
  // expected-error @+1 {{(site-C3) expects a matrix where it is transposed, found 'tensor<3xf32>'}}
  %b = modular.site "query.bias" of @b transposed : tensor<3xf32>
  return %b : tensor<3xf32>
}

// -----

func.func @main(%w: tensor<3xf32>, %r: !modular.route<1>) -> tensor<3xf32> {
  // expected-error @+1 {{(adapt-C1) expects the route of a 'modular.route'}}
  %a = modular.adapt %w with %r {} : tensor<3xf32>, !modular.route<1> to tensor<3xf32>
  return %a : tensor<3xf32>
}

// -----

modular.router @adapters fixed by task over ["topic"]
func.func @main(%w: tensor<3xf32>) -> tensor<3xf32> {
  %r = modular.route @adapters : !modular.route<1>
  // expected-error @+1 {{(adapt-C1) expects a name that router @adapters chooses among, found "lang"}}
  %a = modular.adapt %w with %r {lang = @lang} : tensor<3xf32>, !modular.route<1> to tensor<3xf32>
  return %a : tensor<3xf32>
}

// -----

modular.router @adapters fixed by task over ["topic"]
func.func @main(%w: tensor<3xf32>) -> tensor<3xf32> {
  %r = modular.route @adapters : !modular.route<1>
  // expected-error @+1 {{(adapt-C2) expects @topic to name a module that composes parameters}}
  %a = modular.adapt %w with %r {topic = @topic} : tensor<3xf32>, !modular.route<1> to tensor<3xf32>
  return %a : tensor<3xf32>
}

// -----

modular.router @adapters fixed by task over ["topic"]
modular.module @topic function(%x: tensor<3xf32>) -> tensor<3xf32> {
  modular.yield %x : tensor<3xf32>
}
func.func @main(%w: tensor<3xf32>) -> tensor<3xf32> {
  %r = modular.route @adapters : !modular.route<1>
  // expected-error @+1 {{(adapt-C2) expects @topic to name a module that composes parameters}}
  %a = modular.adapt %w with %r {topic = @topic} : tensor<3xf32>, !modular.route<1> to tensor<3xf32>
  return %a : tensor<3xf32>
}

// -----

// The module sees the canonical form, (out, in): a transposed site of 2x3 is 3x2 to it.
modular.parameter @w = dense<0.0> : tensor<2x3xf32>
modular.parameter @new = dense<0.0> : tensor<2x3xf32>
modular.router @adapters fixed by task over ["topic"]
modular.module @topic parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = modular.replace %w, @new : tensor<2x3xf32> to tensor<2x3xf32>
  modular.yield %0 : tensor<2x3xf32>
}
func.func @main() -> tensor<2x3xf32> {
  %r = modular.route @adapters : !modular.route<1>
  %w = modular.site "query.weight" of @w transposed : tensor<2x3xf32>
  // expected-error @+1 {{(adapt-C3) expects module @topic to have type 'tensor<3x2xf32>', found 'tensor<2x3xf32>'}}
  %a = modular.adapt %w with %r {topic = @topic} : tensor<2x3xf32>, !modular.route<1> to tensor<2x3xf32>
  return %a : tensor<2x3xf32>
}

// -----

// expected-error @+1 {{(module-C1) expects a body that ends in a 'modular.yield' of}}
modular.module @topic parameter(%w: tensor<3xf32>) -> tensor<4xf32> {
  modular.yield %w : tensor<3xf32>
}

// -----

// expected-error @+1 {{(module-C2) expects one argument and one result, both ranked tensors}}
modular.module @topic parameter(%w: tensor<3xf32>, %v: tensor<3xf32>) -> tensor<3xf32> {
  modular.yield %w : tensor<3xf32>
}

// -----

modular.parameter @d = dense<0.0> : tensor<3xf32>
modular.module @topic parameter(%w: tensor<3xf32>) -> tensor<3xf32> {
  %0 = modular.delta %w, @d scale 1.0 : tensor<3xf32>
  // expected-error @+1 {{(module-C2) expects steps of parameter composition, each on the result of the one before}}
  %1 = modular.delta %w, @d scale 2.0 : tensor<3xf32>
  modular.yield %1 : tensor<3xf32>
}

// -----

modular.module @topic parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{(low_rank-C1) expects @A to name a parameter}}
  %0 = modular.low_rank %w, @A, @B scale 1.0 : tensor<2x3xf32>
  modular.yield %0 : tensor<2x3xf32>
}

// -----

modular.parameter @A = dense<0.0> : tensor<1x3xf32>
modular.parameter @B = dense<0.0> : tensor<3x1xf32>
modular.module @topic parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{(low_rank-C2) expects @B to have shape (2, 1), found 'tensor<3x1xf32>'}}
  %0 = modular.low_rank %w, @A, @B scale 1.0 : tensor<2x3xf32>
  modular.yield %0 : tensor<2x3xf32>
}

// -----

modular.parameter @A = dense<0.0> : tensor<1x3xf32>
modular.parameter @B = dense<0.0> : tensor<2x1xf32>
modular.parameter @m = dense<0.0> : tensor<3xf32>
modular.module @topic parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{(low_rank-C2) expects @m to have shape (2), found 'tensor<3xf32>'}}
  %0 = modular.low_rank %w, @A, @B scale 1.0 magnitude @m : tensor<2x3xf32>
  modular.yield %0 : tensor<2x3xf32>
}

// -----

modular.parameter @d = dense<0.0> : tensor<4xf32>
modular.module @topic parameter(%w: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{(delta-C1) expects @d to have as many elements as 'tensor<3xf32>', found 'tensor<4xf32>'}}
  %0 = modular.delta %w, @d scale 1.0 : tensor<3xf32>
  modular.yield %0 : tensor<3xf32>
}

// -----

modular.parameter @new = dense<0.0> : tensor<4xf32>
modular.module @topic parameter(%w: tensor<3xf32>) -> tensor<5xf32> {
  // expected-error @+1 {{(replace-C1) expects @new to have as many elements as 'tensor<5xf32>', found 'tensor<4xf32>'}}
  %0 = modular.replace %w, @new : tensor<3xf32> to tensor<5xf32>
  modular.yield %0 : tensor<5xf32>
}

// -----

modular.parameter @rows = dense<0.0> : tensor<2x3xf32>
modular.module @topic parameter(%w: tensor<4x9xf32>) -> tensor<4x9xf32> {
  // expected-error @+1 {{(replace_columns-C1) expects @rows to have shape (2, 4), found 'tensor<2x3xf32>'}}
  %0 = modular.replace_columns %w, @rows at [3, 7] : tensor<4x9xf32>
  modular.yield %0 : tensor<4x9xf32>
}

// -----

modular.parameter @rows = dense<0.0> : tensor<2x4xf32>
modular.module @topic parameter(%w: tensor<4x9xf32>) -> tensor<4x9xf32> {
  // expected-error @+1 {{(replace_columns-C2) expects distinct indices below 9, found 9}}
  %0 = modular.replace_columns %w, @rows at [3, 9] : tensor<4x9xf32>
  modular.yield %0 : tensor<4x9xf32>
}

// -----

modular.parameter @rows = dense<0.0> : tensor<2x4xf32>
modular.module @topic parameter(%w: tensor<4x9xf32>) -> tensor<4x9xf32> {
  // expected-error @+1 {{(replace_columns-C2) expects distinct indices below 9, found 3}}
  %0 = modular.replace_columns %w, @rows at [3, 3] : tensor<4x9xf32>
  modular.yield %0 : tensor<4x9xf32>
}

// -----

// expected-error @+1 {{(router-C1) expects distinct names that are not empty, found "topic" twice}}
modular.router @adapters fixed by task over ["topic", "topic"]

// -----

func.func @main() -> !modular.route<1> {
  // expected-error @+1 {{(route-C1)}}
  %r = modular.route @nowhere : !modular.route<1>
  return %r : !modular.route<1>
}

// -----

modular.router @adapters fixed by task over ["topic", "lang"]
func.func @main() -> !modular.route<1> {
  // expected-error @+1 {{(route-C2) expects a route among 2 modules, found '!modular.route<1>'}}
  %r = modular.route @adapters : !modular.route<1>
  return %r : !modular.route<1>
}

// -----

// expected-error @+1 {{(task-C1)}}
modular.task @topic routes @nowhere to []

// -----

modular.router @adapters fixed by task over ["topic"]
// expected-error @+1 {{(task-C1) expects a name that router @adapters chooses among, found "lang"}}
modular.task @lang routes @adapters to ["lang"]

// -----

modular.router @adapters fixed by task over ["topic"]
// expected-error @+1 {{(task-C1) expects each module once, found "topic" twice}}
modular.task @twice routes @adapters to ["topic", "topic"]

// -----

// Two heads at one site: either task alone is fine.
modular.parameter @w = dense<0.0> : tensor<2x3xf32>
modular.parameter @new = dense<0.0> : tensor<5x3xf32>
modular.router @adapters fixed by task over ["a", "b"]
modular.module @head parameter(%w: tensor<2x3xf32>) -> tensor<5x3xf32> {
  %0 = modular.replace %w, @new : tensor<2x3xf32> to tensor<5x3xf32>
  modular.yield %0 : tensor<5x3xf32>
}
modular.task @a routes @adapters to ["a"]
// expected-error @+1 {{(task-C2) expects at most one module that replaces a site's parameter, found "a" and "b"}}
modular.task @both routes @adapters to ["a", "b"]
func.func @main() -> tensor<?x3xf32> {
  %r = modular.route @adapters : !modular.route<2>
  %w = modular.site "classifier.weight" of @w : tensor<2x3xf32>
  %a = modular.adapt %w with %r {a = @head, b = @head} : tensor<2x3xf32>, !modular.route<2> to tensor<?x3xf32>
  return %a : tensor<?x3xf32>
}

// -----

// expected-error @+1 {{(stage-C1)}}
modular.stage @root runs @nowhere on [] [] to [] for ["base"]

// -----

func.func private @body(%x: tensor<?xf32>, %w: tensor<3xf32> {modular.slot = 0 : i64}) -> tensor<?xf32>
// expected-error @+1 {{(stage-C1) expects a parameter for slot 0, found 0 parameters}}
modular.stage @root runs @body on [] [0] to [1] for ["base"]

// -----

func.func private @body(%x: tensor<?xf32>) -> tensor<?xf32>
// expected-error @+1 {{(stage-C1) expects 1 inputs and 1 outputs, found 2 and 1}}
modular.stage @root runs @body on [] [0, 1] to [2] for ["base"]

// -----

modular.parameter @w = dense<0.0> : tensor<4xf32>
func.func private @body(%x: tensor<?xf32>, %w: tensor<3xf32> {modular.slot = 0 : i64}) -> tensor<?xf32>
// expected-error @+1 {{(stage-C2) expects slot 0 to have type 'tensor<3xf32>', found 'tensor<4xf32>'}}
modular.stage @root runs @body on [@w] [0] to [1] for ["base"]

// -----

func.func private @body(%x: tensor<?xf32>) -> tensor<?xf32>
// expected-error @+1 {{(stage-C3)}}
modular.stage @leaf runs @body after @nowhere on [] [0] to [1] for ["base"]

// -----

func.func @row_product_c1_count(%x: tensor<?x8xf32>, %w: tensor<8x6xf32>, %k: tensor<?x1xi64>, %a: tensor<4x8xf32>, %b: tensor<6x4xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{(row_product-C1) expects a down and an up for each of 2 modules, found 1 and 1}}
  %y = modular.row_product %x by %w keys %k of 3 modules [0, 2] (%a) (%b) : (tensor<?x8xf32>, tensor<8x6xf32>, tensor<?x1xi64>, tensor<4x8xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

func.func @row_product_c1_order(%x: tensor<?x8xf32>, %w: tensor<8x6xf32>, %k: tensor<?x1xi64>, %a: tensor<4x8xf32>, %b: tensor<6x4xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{(row_product-C1) expects ascending numbers below 3, found 3}}
  %y = modular.row_product %x by %w keys %k of 3 modules [3] (%a) (%b) : (tensor<?x8xf32>, tensor<8x6xf32>, tensor<?x1xi64>, tensor<4x8xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

func.func @row_product_c2_weight(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>, %k: tensor<?x1xi64>, %a: tensor<4x8xf32>, %b: tensor<6x4xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{(row_product-C2) expects a weight for vectors of 8, found 'tensor<6x8xf32>'}}
  %y = modular.row_product %x by %w keys %k of 3 modules [0] (%a) (%b) : (tensor<?x8xf32>, tensor<6x8xf32>, tensor<?x1xi64>, tensor<4x8xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

func.func @row_product_c2_up(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>, %k: tensor<?x1xi64>, %a: tensor<4x8xf32>, %b: tensor<6x5xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{(row_product-C2) expects an up from 4 to 6, found 'tensor<6x5xf32>'}}
  %y = modular.row_product %x by %w transposed keys %k of 3 modules [0] (%a) (%b) : (tensor<?x8xf32>, tensor<6x8xf32>, tensor<?x1xi64>, tensor<4x8xf32>, tensor<6x5xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

func.func @row_product_c3(%x: tensor<?x8xf32>, %w: tensor<8x6xf32>, %k: tensor<?x2xi64>, %a: tensor<4x8xf32>, %b: tensor<6x4xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{(row_product-C3) expects keys of (rows, 1), found 'tensor<?x2xi64>'}}
  %y = modular.row_product %x by %w keys %k of 3 modules [0] (%a) (%b) : (tensor<?x8xf32>, tensor<8x6xf32>, tensor<?x2xi64>, tensor<4x8xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

func.func @row_product_c4_count(%x: tensor<?x8xf32>, %w: tensor<8x6xf32>, %k: tensor<?x1xi64>, %a: tensor<4x8xf32>, %b: tensor<6x2xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{(row_product-C4) expects 1 starts, found 2}}
  %y = modular.row_product %x by %w keys %k of 3 modules [0] starts [0, 2] (%a) (%b) : (tensor<?x8xf32>, tensor<8x6xf32>, tensor<?x1xi64>, tensor<4x8xf32>, tensor<6x2xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

func.func @row_product_c4_end(%x: tensor<?x8xf32>, %w: tensor<8x6xf32>, %k: tensor<?x1xi64>, %a: tensor<4x8xf32>, %b: tensor<6x2xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{(row_product-C4) expects a start from 0 to 2, found 3}}
  %y = modular.row_product %x by %w keys %k of 3 modules [0] starts [3] (%a) (%b) : (tensor<?x8xf32>, tensor<8x6xf32>, tensor<?x1xi64>, tensor<4x8xf32>, tensor<6x2xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
