//===- ArtifactAbi.h - Between generated code and the runtime --*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===--------------------------------------------------------------------===//
///
/// \file
/// The binary interface between a compiled library and whoever runs it. Plain C: the code generator
/// lays out the same structs in LLVM IR. Any change of layout or meaning raises GRAFT_ARTIFACT_ABI;
/// what is added at the end of a struct that says its size does not.
/// `docs/runtime.md` describes the manifest.
///
//===--------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_ARTIFACTABI_H
#define GRAFT_RUNTIME_ARTIFACTABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GRAFT_ARTIFACT_MAGIC 0x54465247u /* "GRFT" */
#define GRAFT_ARTIFACT_ABI 2u
#define GRAFT_MAX_RANK 8

/// A dense row-major tensor. The data is 64-byte aligned where the host allocates it, and aligned
/// to its element where it comes from the caller. A bool is a byte that is 0 or 1.
typedef struct graft_tensor {
  void *data;
  int64_t dims[GRAFT_MAX_RANK];
} graft_tensor;

/// What generated code may ask of its host; given to each run, versioned by `struct_size`.
/// All functions may be called from within a body of `parallel_for`.
typedef struct graft_host {
  uint32_t struct_size;
  uint32_t abi;
  void *context;
  /// Calls `body` on disjoint ranges that cover [0, count), perhaps at once; returns when all are
  /// done.
  void (*parallel_for)(void *context, int64_t count,
                       void (*body)(void *closure, int64_t begin, int64_t end), void *closure);
  /// 64-byte aligned memory, freed by the host when the run ends, or earlier by `release`. Null
  /// when there is none: the failure is then recorded already, and `run` returns a value other than
  /// 0.
  void *(*allocate)(void *context, int64_t bytes);
  void (*release)(void *context, void *memory);
  /// Records a failure; the first one sticks. The code returns, or goes on
  /// safely, and the host reports it.
  /// `code`: 1 the input is at fault, 2 not supported, anything else an internal error.
  void (*fail)(void *context, int32_t code, const char *message);
  /// Null unless somebody looks at routes; absent from the tables of runtimes that know of none:
  /// `struct_size` tells. Called by the thread that runs the stage, with the number of a router of
  /// the manifest and its (rows, slots) of chosen modules and of weights, which the host may
  /// change in place; what follows sees what it leaves. A router whose weights are computed from
  /// what is chosen calls twice: before it weighs, with null weights, and after. Where slots are
  /// emptied in between (the manifest's `weighs` is false), what the first call leaves is weighed
  /// as it is.
  void (*route)(void *context, int64_t router, int64_t rows, int64_t *chosen, void *weights);

  /// What follows is for the code of a graft_device alone; null, and absent, in other runs.
  /// Enqueues a kernel, by its number in graft_device, after those before it. Grids and blocks have
  /// one dimension; no blocks are no work. `arguments` has the address of each argument, which is
  /// read before this returns.
  /// \returns 0, or another value after a failure, which is then recorded
  int32_t (*launch)(void *context, int64_t kernel, int64_t blocks, int64_t threads,
                    int64_t shared_bytes, void **arguments);
  /// On the device: the addresses of the stage's parameters, by slot.
  const void *device_parameters;
  /// On the device: a 32-bit word, 0 when the run begins. A kernel that finds the data at fault
  /// puts 1 + the number of a message in the manifest (`device.checks`) there, the first one that
  /// does so.
  void *device_status;
  /// How many multiprocessors the device has.
  int64_t device_processors;

  /// As `route`, and null or absent as that is, of a router within a module, for the rows that came
  /// there. `places` says of `count` rows which they are of those of the route around it, -1 for
  /// one that is there but does not take the module; that route has `total`, counting those that do
  /// not come to it either. Of the router's rows, rows / count, in order, belong to each. Not
  /// called where no row came.
  void (*route_within)(void *context, int64_t router, int64_t rows, int64_t *chosen, void *weights,
                       int64_t count, const int64_t *places, int64_t total);
} graft_host;

/// The code of a stage. Stages that differ only in constants share it.
typedef struct graft_stage_code {
  /// From the symbols' values: the dimensions of the outputs, flattened, -1 where they depend on
  /// data, and the bytes of each arena buffer.
  void (*shape)(const int64_t *symbols, int64_t *output_dims, int64_t *buffer_bytes);
  /// \param parameters slot to pointer
  /// \param values the stage's inputs, then its outputs; data and dims are filled by the host, but
  /// an
  ///        output with a dimension that depends on data is allocated by the code through
  ///        `host->allocate`, which sets its data and all its dims
  /// \param offsets one a buffer, into the arena
  /// \returns 0, or another value after a failure
  int32_t (*run)(const graft_host *host, const void *const *parameters, graft_tensor *values,
                 const int64_t *symbols, char *arena, const int64_t *offsets);
} graft_stage_code;

/// What a library has for a GPU.
typedef struct graft_device {
  const void *image; /* what cuModuleLoadData takes: PTX with its final 0, or a fatbin; other code
                        may follow, of which the manifest's `device.images` tells */
  uint64_t image_bytes;
  const char *const *kernels; /* names, by number */
  uint64_t kernel_count;
  /// As many as the artifact has, for the same stages: `run` takes addresses on the device for all
  /// data (parameters, values, arena), reads none of it and enqueues kernels; `offsets` are of the
  /// buffers that the manifest's `device.codes` tells. `run` is null where a stage runs on the host
  /// alone.
  const graft_stage_code *codes;
} graft_device;

typedef struct graft_artifact {
  uint32_t magic;
  uint32_t abi;
  uint64_t manifest_bytes;
  const char *manifest; /* JSON */
  const void *weights;  /* null when the manifest names a weights file */
  uint64_t weights_bytes;
  const graft_stage_code *codes;
  uint64_t code_count;
  const graft_device *device; /* null: the library is for the CPU alone */
} graft_artifact;

/// The only exported symbol of a library; null if the library does not speak the host's ABI.
const graft_artifact *graft_artifact_query(uint32_t host_abi);

#ifdef __cplusplus
}
#endif

#endif
