//===- graft.h - The C interface to compiled libraries ---------*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===--------------------------------------------------------------------===//
///
/// \file
/// Loads a library that `graft compile` made and runs its tasks on the caller's buffers. Plain C99;
/// `libgraft_runtime.so` has no other exported symbols and may be loaded with dlopen.
///
/// Conventions
/// - Tensors are dense and row-major. Sizes of dimensions count elements, `bytes` counts bytes.
/// - A function that can fail returns a `graft_status` and, if `error` is not null, writes the code
///   and words there. Nothing is kept per thread.
/// - Structs begin with `struct_size`, which the caller sets to the struct's sizeof (the *_INIT
/// macros
///   do): a newer runtime serves callers that were compiled against an older header.
/// - A library may be used by any number of threads at once; each run has its own memory. Closing a
///   library while one of its functions runs is the caller's error.
/// - Strings that are returned live as long as the library.
///
//===--------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_GRAFT_H
#define GRAFT_RUNTIME_GRAFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(GRAFT_RUNTIME_BUILD)
#define GRAFT_API __attribute__((visibility("default")))
#else
#define GRAFT_API
#endif

/// Raised when something is added; what is there stays as it is.
#define GRAFT_API_VERSION 4u
#define GRAFT_MAX_RANK 8

typedef enum graft_status {
  GRAFT_OK = 0,
  GRAFT_ERROR_INPUT = 1,       /* the file, tensor or argument is at fault */
  GRAFT_ERROR_UNSUPPORTED = 2, /* not supported: by this machine, this runtime, or the backbone */
  GRAFT_ERROR_MEMORY = 3,      /* memory could not be had */
  GRAFT_ERROR_INTERNAL = 70    /* a bug of the compiler or the runtime */
} graft_status;

typedef enum graft_type {
  GRAFT_F32 = 1,
  GRAFT_F16 = 2,
  GRAFT_BF16 = 3,
  GRAFT_F64 = 4,
  GRAFT_I8 = 5,
  GRAFT_U8 = 6,
  GRAFT_I16 = 7,
  GRAFT_U16 = 8,
  GRAFT_I32 = 9,
  GRAFT_U32 = 10,
  GRAFT_I64 = 11,
  GRAFT_U64 = 12,
  GRAFT_BOOL = 13 /* a byte; as an input anything but 0 is true, as an output 0 or 1 */
} graft_type;

/// Where an error's words go. One line, no full stop, cut to fit.
typedef struct graft_error {
  uint32_t struct_size;
  int32_t code;
  char message[1016];
} graft_error;
#define GRAFT_ERROR_INIT {sizeof(graft_error), 0, {0}}

typedef struct graft_library graft_library;
typedef struct graft_result graft_result;

/// Checks the SHA-256 of a weights file; so does the environment's GRAFT_VERIFY=1.
#define GRAFT_OPEN_VERIFY 1u
/// For looking only: libraries open that this machine cannot run, and no run is possible.
#define GRAFT_OPEN_INSPECT 2u

typedef struct graft_open_options {
  uint32_t struct_size;
  uint32_t flags;
} graft_open_options;
#define GRAFT_OPEN_OPTIONS_INIT {sizeof(graft_open_options), 0}

/// What an input or output looks like before a run. `dims[i]` is -1 where the size is not fixed;
/// `symbols[i]` then tells its name or how it is computed ("batch", "seq + 1"), and is null
/// elsewhere.
typedef struct graft_tensor_info {
  uint32_t struct_size;
  int32_t type;
  const char *name;
  int32_t rank;
  int64_t dims[GRAFT_MAX_RANK];
  const char *symbols[GRAFT_MAX_RANK];
} graft_tensor_info;
#define GRAFT_TENSOR_INFO_INIT {sizeof(graft_tensor_info), 0, 0, 0, {0}, {0}}

/// A named tensor of a run.
typedef struct graft_buffer {
  uint32_t struct_size;
  int32_t type;
  const char *name;
  void *data;     /* aligned to the element; inputs are only read */
  uint64_t bytes; /* how much `data` can hold */
  int32_t rank;
  int64_t dims[GRAFT_MAX_RANK];
} graft_buffer;
#define GRAFT_BUFFER_INIT {sizeof(graft_buffer), 0, 0, 0, 0, 0, {0}}

/// What a router chose for some rows, or is to choose: slot `s` of row `r` holds module
/// `chosen[r * slots + s]` with the weight at the same place. -1 is an empty slot.
///
/// A router within a module has the rows of the route around it, or as many for each of them. Those
/// that come to the module are seen, with their positions; of what is given, only they count, and
/// all slots of another row may be GRAFT_ROUTE_UNREACHED. Since GRAFT_API_VERSION 4.
///
/// The last four fields are for routes that are seen: several tasks that share a router's stage
/// share its route; and with GRAFT_ROW_TASKS a router is asked for each task's rows apart.
typedef struct graft_route {
  uint32_t struct_size;
  int32_t weight_type; /* of `weights`: the router's own */
  const char *router;
  const char *task; /* given: the only task that is meant, null for all; seen: null */
  int64_t rows;
  int64_t slots;
  const int64_t *chosen;
  const void *weights;      /* given: null leaves it to the router to weigh what is given */
  const char *const *tasks; /* whose rows these are */
  size_t task_count;
  const int64_t *positions; /* which of the router's rows in the whole batch; null: all, in order */
  int64_t batch_rows;       /* how many these are */
} graft_route;
#define GRAFT_ROUTE_UNREACHED (-2)
#define GRAFT_ROUTE_INIT {sizeof(graft_route), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/// Receives each route of a run as it applies, on the thread that runs it. What it points to lives
/// as long as the call. Anything but 0 ends the run with GRAFT_ERROR_INPUT.
typedef int32_t (*graft_route_callback)(void *data, const graft_route *route);

/// `tasks` names a task for each row of dimension 0, instead of tasks that all run on all rows.
#define GRAFT_ROW_TASKS 1u

/// What to run.
///
/// Outputs are called NAME; with several tasks TASK.NAME. With GRAFT_ROW_TASKS they are called
/// NAME, the rows in the caller's order, where all tasks have that output in one shape, and
/// otherwise TASK.NAME, holding that task's rows in order.
///
/// `outputs` names the outputs that go to the caller's memory. The run sets type, rank, dims and,
/// where `data` is null and a result is asked for, `data` (owned by the result). An output that is
/// larger than its `bytes` is an error; `graft_query_outputs` tells sizes beforehand.
/// Output buffers must not overlap each other nor the inputs.
///
/// `routes` names what routers choose, for all rows that they have in this run: the same inputs and
/// the same routes give the same bits, whatever else is in the batch. Without weights the router
/// weighs what it is given: anew where it computes its weights from what it chose, and otherwise
/// each module keeps the weight that the router gave it for that row; giving one that it did not
/// choose is then an error. Routes whose size, numbers or weights are wrong end the request before
/// it runs; a number of rows that only data tells is checked when the router is asked.
typedef struct graft_request {
  uint32_t struct_size;
  uint32_t flags;
  const char *const *tasks;
  size_t task_count;
  const graft_buffer *inputs;
  size_t input_count;
  graft_buffer *outputs;
  size_t output_count;
  int32_t threads; /* 0: the cores that the process may use */
  /* since GRAFT_API_VERSION 2 */
  const graft_route *routes;
  size_t route_count;
  graft_route_callback on_route; /* null: nobody looks */
  void *on_route_data;
} graft_request;
#define GRAFT_REQUEST_INIT {sizeof(graft_request), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/// GRAFT_API_VERSION of the library that is loaded, and its version as text.
GRAFT_API uint32_t graft_api_version(void);
GRAFT_API const char *graft_version(void);

/// Bytes of an element, 0 for no type; and "f32" and so on, null for no type.
GRAFT_API size_t graft_type_bytes(int32_t type);
GRAFT_API const char *graft_type_name(int32_t type);

/// Cores that this process may use.
GRAFT_API int32_t graft_default_threads(void);

/// Opens a library. `options` may be null. Nothing of the weights is copied: they stay mapped from
/// the file, which must not change while the library is open.
GRAFT_API int32_t graft_library_open(const char *path, const graft_open_options *options,
                                     graft_library **library, graft_error *error);
/// Results that are still there stay valid. Null is allowed.
GRAFT_API void graft_library_close(graft_library *library);

/// The manifest (JSON, see docs/runtime.md), not terminated by a zero.
GRAFT_API const char *graft_library_manifest(const graft_library *library, size_t *bytes);

/// Where tasks run: "NVIDIA H100 80GB HBM3 (sm_90)", or "cpu: " and why, once a run has ended on
/// the CPU the reason of that run. Null for a library that has code for the CPU alone. The first
/// call, or the first run, loads the library's code and weights to the device, unless it is only
/// inspected. Since GRAFT_API_VERSION 3.
GRAFT_API const char *graft_library_device(const graft_library *library);
/// Which of the library's code is on the device: "the cubin for sm_90a", or "the PTX for sm_80",
/// which the driver has translated. Null where the CPU runs it, where it is only inspected, and if
/// the library has one kind alone and does not say which. Lives as long as the library. Since
/// GRAFT_API_VERSION 4.
GRAFT_API const char *graft_library_device_code(const graft_library *library);
/// The kernels that it has for a device. Since GRAFT_API_VERSION 3.
GRAFT_API size_t graft_kernel_count(const graft_library *library);
/// Null if there is no such kernel.
GRAFT_API const char *graft_kernel_name(const graft_library *library, size_t kernel);

GRAFT_API size_t graft_task_count(const graft_library *library);
/// Null if there is no such task.
GRAFT_API const char *graft_task_name(const graft_library *library, size_t task);

GRAFT_API size_t graft_input_count(const graft_library *library);
GRAFT_API int32_t graft_input_info(const graft_library *library, size_t input,
                                   graft_tensor_info *info, graft_error *error);
GRAFT_API size_t graft_output_count(const graft_library *library, size_t task);
GRAFT_API int32_t graft_output_info(const graft_library *library, size_t task, size_t output,
                                    graft_tensor_info *info, graft_error *error);

/// A router that chooses row by row among modules.
typedef struct graft_router {
  uint32_t struct_size;
  int32_t weight_type;
  const char *name;
  int64_t slots;
  size_t module_count;
  const char *const *modules; /* their names */
} graft_router;
#define GRAFT_ROUTER_INIT {sizeof(graft_router), 0, 0, 0, 0, 0}

GRAFT_API size_t graft_router_count(const graft_library *library);
GRAFT_API int32_t graft_router_info(const graft_library *library, size_t router, graft_router *info,
                                    graft_error *error);

/// The outputs that a request would give: names, types, shapes and bytes, without running. Only
/// names, types and shapes of the inputs are looked at; `outputs` isn't. A size that depends on
/// data is -1, and `bytes` then 0.
GRAFT_API int32_t graft_query_outputs(graft_library *library, const graft_request *request,
                                      graft_result **result, graft_error *error);

/// Runs a request. If `result` is not null it receives all outputs, those in the caller's memory
/// included; it is freed by the caller. After an error the contents of output buffers are
/// unspecified,
/// `*result` is null and the library is as usable as before.
GRAFT_API int32_t graft_run(graft_library *library, const graft_request *request,
                            graft_result **result, graft_error *error);

GRAFT_API size_t graft_result_count(const graft_result *result);
/// Names and data live as long as the result.
GRAFT_API int32_t graft_result_get(const graft_result *result, size_t output, graft_buffer *buffer,
                                   graft_error *error);
GRAFT_API void graft_result_free(graft_result *result);

#ifdef __cplusplus
}
#endif

#endif
