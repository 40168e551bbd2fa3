// RUN: %graft-opt %s -split-input-file -verify-diagnostics

// Every constraint of the steps of routers, broken.

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_above-C1) expects scores and a result of (rows, modules), found 'tensor<?x4xf32>' and 'tensor<?x3xi64>'}}
  %c = modular.select_above 0.5 of %s : tensor<?x4xf32> -> tensor<?x3xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_above-C2) expects a threshold that is a number, found NaN}}
  %c = modular.select_above 0x7FF8000000000000 of %s : tensor<?x4xf32> -> tensor<?x4xi64>
  return
}

// -----

func.func @main(%i: tensor<?xi64>) {
  // expected-error @+1 {{(select_hash-C1) expects ids of (rows) and a result of (rows, 1), found 'tensor<?xi64>' and 'tensor<?x2xi64>'}}
  %c = modular.select_hash 1 of %i among 4 : tensor<?xi64> -> tensor<?x2xi64>
  return
}

// -----

func.func @main(%i: tensor<?xi64>) {
  // expected-error @+1 {{(select_hash-C2) expects at least 1 module, found 0}}
  %c = modular.select_hash 1 of %i among 0 : tensor<?xi64> -> tensor<?x1xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_rows-C1) expects scores and a result of (rows, modules), found 'tensor<?x4xf32>' and 'tensor<?x2xi64>'}}
  %c = modular.select_rows count 2 of %s : tensor<?x4xf32> -> tensor<?x2xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_rows-C2) expects either a count from 1 to 16777216, or a factor of at least 0.000001 and at most the 4 modules}}
  %c = modular.select_rows count 0 of %s : tensor<?x4xf32> -> tensor<?x4xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_rows-C2) expects either a count from 1 to 16777216, or a factor of at least 0.000001 and at most the 4 modules}}
  %c = modular.select_rows factor 5.0 of %s : tensor<?x4xf32> -> tensor<?x4xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_rows-C2) expects either a count from 1 to 16777216, or a factor of at least 0.000001 and at most the 4 modules}}
  %c = modular.select_rows factor 0.0 of %s : tensor<?x4xf32> -> tensor<?x4xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(select_rows-C2) expects either a count from 1 to 16777216, or a factor of at least 0.000001 and at most the 4 modules}}
  %c = modular.select_rows of %s : tensor<?x4xf32> -> tensor<?x4xi64>
  return
}

// -----

func.func @main(%c: tensor<?x?xi64>) {
  // expected-error @+1 {{(limit-C1) expects what is chosen as (rows, slots), found 'tensor<?x?xi64>'}}
  %k = modular.limit %c to count 2 among 4 : tensor<?x?xi64>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{(limit-C2) expects either a count from 1 to 16777216, or a factor of at least 0.000001 and at most 1000000}}
  %k = modular.limit %c to count 0 among 4 : tensor<?x2xi64>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{(limit-C2) expects either a count from 1 to 16777216, or a factor of at least 0.000001 and at most 1000000}}
  %k = modular.limit %c to factor 0.0 among 4 : tensor<?x2xi64>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{(limit-C2) expects either a count from 1 to 16777216, or a factor of at least 0.000001 and at most 1000000}}
  %k = modular.limit %c to count 1 factor 1.0 among 4 : tensor<?x2xi64>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{(limit-C3) expects at least 1 module, found 0}}
  %k = modular.limit %c to count 1 among 0 : tensor<?x2xi64>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(mask_groups-C1) expects scores of (rows, modules) whose modules make 3 groups, found 'tensor<?x4xf32>'}}
  %m = modular.mask_groups %s groups 3 keep 1 by top 1 : tensor<?x4xf32>
  return
}

// -----

func.func @main(%s: tensor<?x4xf32>) {
  // expected-error @+1 {{(mask_groups-C2) expects to keep 1 to 2 groups by their top 1 to 2 scores, found 3 and 1}}
  %m = modular.mask_groups %s groups 2 keep 3 by top 1 : tensor<?x4xf32>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{(weigh_evenly-C1) expects two tensors of (rows, slots), found 'tensor<?x2xi64>' and 'tensor<?x3xf32>'}}
  %w = modular.weigh_evenly %c among 4 : tensor<?x2xi64> -> tensor<?x3xf32>
  return
}

// -----

func.func @main(%c: tensor<?x2xi64>) {
  // expected-error @+1 {{(weigh_evenly-C2) expects at least 1 module, found 0}}
  %w = modular.weigh_evenly %c among 0 : tensor<?x2xi64> -> tensor<?x2xf32>
  return
}
