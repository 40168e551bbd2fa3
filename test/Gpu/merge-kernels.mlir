// Kernels that differ in nothing but their names, and those of their own memory, become one.
// RUN: %graft-opt %s --graft-merge-kernels | FileCheck %s

// CHECK: gpu.func @first
// CHECK-NOT: gpu.func @second
// CHECK: gpu.func @third
// CHECK-COUNT-2: gpu.launch_func @device::@first
// CHECK: gpu.launch_func @device::@third
module attributes {gpu.container_module} {
  gpu.module @device {
    llvm.mlir.global internal @first_a() {addr_space = 3 : i32} : !llvm.array<4 x f32>
    gpu.func @first(%x: !llvm.ptr) kernel {
      %a = llvm.mlir.addressof @first_a : !llvm.ptr<3>
      %v = llvm.load %a : !llvm.ptr<3> -> f32
      llvm.store %v, %x : f32, !llvm.ptr
      gpu.return
    }
    llvm.mlir.global internal @second_a() {addr_space = 3 : i32} : !llvm.array<4 x f32>
    gpu.func @second(%x: !llvm.ptr) kernel {
      %a = llvm.mlir.addressof @second_a : !llvm.ptr<3>
      %v = llvm.load %a : !llvm.ptr<3> -> f32
      llvm.store %v, %x : f32, !llvm.ptr
      gpu.return
    }
    // Of more memory.
    llvm.mlir.global internal @third_a() {addr_space = 3 : i32} : !llvm.array<8 x f32>
    gpu.func @third(%x: !llvm.ptr) kernel {
      %a = llvm.mlir.addressof @third_a : !llvm.ptr<3>
      %v = llvm.load %a : !llvm.ptr<3> -> f32
      llvm.store %v, %x : f32, !llvm.ptr
      gpu.return
    }
  }
  func.func @launch(%x: !llvm.ptr) {
    %c1 = arith.constant 1 : index
    gpu.launch_func @device::@first blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : !llvm.ptr)
    gpu.launch_func @device::@second blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : !llvm.ptr)
    gpu.launch_func @device::@third blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : !llvm.ptr)
    return
  }
}
