// RUN: %graft-opt %s --graft-lower-launches --split-input-file --verify-diagnostics | FileCheck %s

// The host gets the kernel's place in the module, the size of the grid and of a block, the block's memory, and a table of the arguments'
// addresses. What they are in is allocated once, before anything that may run more than once.
// CHECK-LABEL: func.func @stage.cuda(
// CHECK-SAME: %[[HOST:.*]]: !llvm.ptr {modular.role = "host"}, %[[N:.*]]: index, %[[P:.*]]: !llvm.ptr, %[[F:.*]]: f32, %[[B:.*]]: i1)
// CHECK-DAG: %[[TABLE:.*]] = llvm.alloca %{{.*}} x !llvm.array<3 x ptr>
// CHECK-DAG: %[[SIZE:.*]] = llvm.alloca %{{.*}} x i64
// CHECK-DAG: %[[NUMBER:.*]] = llvm.alloca %{{.*}} x f32
// CHECK: %[[BLOCKS:.*]] = arith.constant 5 : index
// CHECK: scf.if %[[B]]
// CHECK-NOT: llvm.alloca
// CHECK: %[[WIDE:.*]] = arith.index_cast %[[N]] : index to i64
// CHECK: llvm.store %[[WIDE]], %[[SIZE]]
// CHECK: %[[FIRST:.*]] = llvm.getelementptr %[[TABLE]][0]
// CHECK: llvm.store %[[SIZE]], %[[FIRST]]
// CHECK: %[[SECOND:.*]] = llvm.getelementptr %[[TABLE]][1]
// CHECK: llvm.store %[[F]], %[[NUMBER]]
// CHECK: %[[THIRD:.*]] = llvm.getelementptr %[[TABLE]][2]
// CHECK: llvm.store %[[NUMBER]], %[[THIRD]]
// CHECK: %[[SHARED:.*]] = llvm.zext %{{.*}} : i32 to i64
// CHECK: %[[LAUNCH:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK: %[[CONTEXT:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK: %[[KERNEL:.*]] = llvm.mlir.constant(1 : i64)
// CHECK: %[[X:.*]] = arith.index_cast %[[BLOCKS]] : index to i64
// CHECK: %[[T:.*]] = arith.index_cast %{{.*}} : index to i64
// CHECK: llvm.call %[[LAUNCH]](%[[CONTEXT]], %[[KERNEL]], %[[X]], %[[T]], %[[SHARED]], %[[TABLE]]) : !llvm.ptr, (!llvm.ptr, i64, i64, i64, i64, !llvm.ptr) -> i32
// CHECK: }
// Without memory of the block's own it asks for none.
// CHECK: %[[NONE:.*]] = llvm.mlir.constant(0 : i64)
// CHECK: %[[ZERO:.*]] = llvm.mlir.constant(0 : i64)
// CHECK: llvm.call %{{.*}}(%{{.*}}, %[[ZERO]], %{{.*}}, %{{.*}}, %[[NONE]], %{{.*}})
// CHECK-NOT: gpu.launch_func
// CHECK: gpu.module @device
module attributes {gpu.container_module} {
  func.func @stage.cuda(%host: !llvm.ptr {modular.role = "host"}, %n: index, %p: !llvm.ptr, %f: f32, %b: i1) attributes {modular.stage, modular.device} {
    %c1 = arith.constant 1 : index
    %c5 = arith.constant 5 : index
    %c64 = arith.constant 64 : index
    %bytes = arith.constant 1024 : i32
    scf.if %b {
      gpu.launch_func @device::@second blocks in (%c5, %c1, %c1) threads in (%c64, %c1, %c1) dynamic_shared_memory_size %bytes
          args(%n : index, %p : !llvm.ptr, %f : f32)
    }
    gpu.launch_func @device::@first blocks in (%n, %c1, %c1) threads in (%c64, %c1, %c1) args(%p : !llvm.ptr)
    return
  }
  gpu.module @device {
    gpu.func @first(%p: !llvm.ptr) kernel {
      gpu.return
    }
    gpu.func @second(%n: index, %p: !llvm.ptr, %f: f32) kernel {
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @no_host(%n: index) attributes {modular.stage, modular.device} {
    %c1 = arith.constant 1 : index
    // expected-error @below {{expected a kernel of the device's module, in a stage with a host}}
    gpu.launch_func @device::@kernel blocks in (%n, %c1, %c1) threads in (%c1, %c1, %c1) args(%n : index)
    return
  }
  gpu.module @device {
    gpu.func @kernel(%n: index) kernel {
      gpu.return
    }
  }
}
