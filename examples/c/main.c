//===- main.c - Runs a task of a library on zeros -----------------*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

/*
 * Usage: graft-example-c LIBRARY.so [TASK [SIZE]]
 *
 * Lists the tasks of a library, then runs one ("base" unless given) on zeros; dimensions that are
 * not fixed get the size SIZE, 1 unless given.
 */

#include "graft/Runtime/graft.h"

#include <stdio.h>
#include <stdlib.h>

static void fail_with(const graft_error *error) {
  fprintf(stderr, "error: %s\n", error->message);
  exit(error->code);
}

static void print_info(const char *what, const graft_tensor_info *info) {
  printf("  %s %s: %s", what, info->name, graft_type_name(info->type));
  for (int32_t i = 0; i < info->rank; ++i) {
    if (info->dims[i] < 0)
      printf(" %s", info->symbols[i]);
    else
      printf(" %lld", (long long)info->dims[i]);
  }
  printf("\n");
}

static void list_tasks(const graft_library *library) {
  graft_error error = GRAFT_ERROR_INIT;
  graft_tensor_info info = GRAFT_TENSOR_INFO_INIT;
  for (size_t t = 0; t < graft_task_count(library); ++t) {
    printf("task %s\n", graft_task_name(library, t));
    for (size_t o = 0; o < graft_output_count(library, t); ++o) {
      if (graft_output_info(library, t, o, &info, &error) != GRAFT_OK)
        fail_with(&error);
      print_info("output", &info);
    }
  }
}

/* An input full of zeros. */
static void make_input(const graft_library *library, size_t index, int64_t size,
                       graft_buffer *input) {
  graft_error error = GRAFT_ERROR_INIT;
  graft_tensor_info info = GRAFT_TENSOR_INFO_INIT;
  if (graft_input_info(library, index, &info, &error) != GRAFT_OK)
    fail_with(&error);
  print_info("input", &info);
  input->struct_size = sizeof(*input);
  input->name = info.name;
  input->type = info.type;
  input->rank = info.rank;
  input->bytes = graft_type_bytes(info.type);
  for (int32_t i = 0; i < info.rank; ++i) {
    input->dims[i] = info.dims[i] < 0 ? size : info.dims[i];
    input->bytes *= (uint64_t)input->dims[i];
  }
  input->data = calloc(input->bytes ? input->bytes : 1, 1);
}

static void print_output(const graft_buffer *output) {
  printf("%s: %s", output->name, graft_type_name(output->type));
  for (int32_t i = 0; i < output->rank; ++i)
    printf(" %lld", (long long)output->dims[i]);
  if (output->type == GRAFT_F32) {
    const float *values = output->data;
    for (size_t i = 0; i < 4 && i < output->bytes / sizeof(float); ++i)
      printf("%s %g", i == 0 ? " =" : "", values[i]);
  }
  printf("\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s LIBRARY.so [TASK [SIZE]]\n", argv[0]);
    return 1;
  }
  const char *task = argc > 2 ? argv[2] : "base";
  long long size = argc > 3 ? atoll(argv[3]) : 1;

  graft_error error = GRAFT_ERROR_INIT;
  graft_library *library = NULL;
  if (graft_library_open(argv[1], NULL, &library, &error) != GRAFT_OK)
    fail_with(&error);
  list_tasks(library);

  size_t input_count = graft_input_count(library);
  graft_buffer *inputs = calloc(input_count ? input_count : 1, sizeof(*inputs));
  for (size_t i = 0; i < input_count; ++i)
    make_input(library, i, size, &inputs[i]);

  graft_request request = GRAFT_REQUEST_INIT;
  request.tasks = &task;
  request.task_count = 1;
  request.inputs = inputs;
  request.input_count = input_count;
  graft_result *result = NULL;
  if (graft_run(library, &request, &result, &error) != GRAFT_OK)
    fail_with(&error);
  for (size_t i = 0; i < graft_result_count(result); ++i) {
    graft_buffer output = GRAFT_BUFFER_INIT;
    if (graft_result_get(result, i, &output, &error) != GRAFT_OK)
      fail_with(&error);
    print_output(&output);
  }

  graft_result_free(result);
  for (size_t i = 0; i < input_count; ++i)
    free(inputs[i].data);
  free(inputs);
  graft_library_close(library);
  return 0;
}
