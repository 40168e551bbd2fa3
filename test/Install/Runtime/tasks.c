//===- tasks.c - Lists a library's tasks through the C interface -*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/graft.h"

#include <stdio.h>

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: tasks LIBRARY.so\n");
    return 1;
  }
  printf("graft %s, interface %u\n", graft_version(), (unsigned)graft_api_version());
  graft_library *library = NULL;
  graft_error error = GRAFT_ERROR_INIT;
  if (graft_library_open(argv[1], NULL, &library, &error) != GRAFT_OK) {
    printf("error %d: %s\n", (int)error.code, error.message);
    return 0;
  }
  for (size_t task = 0; task != graft_task_count(library); ++task)
    printf("task: %s\n", graft_task_name(library, task));
  graft_library_close(library);
  return 0;
}
