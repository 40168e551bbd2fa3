"""Runs a command, or a task, in a process that is small by itself, and prints as JSON what it took.

  probe.py command GRAFT ARGUMENTS...             seconds and peak memory of the command
  probe.py first RUNTIME.so LIBRARY.so TASK...    milliseconds of opening and of the first run of 1 x 128 tokens
"""

import json
import os
import subprocess
import sys
import time


def command(arguments):
    begun = time.perf_counter()
    # Not vfork: the peak of a child counts what it shared with its parent before exec.
    subprocess._USE_VFORK = subprocess._USE_POSIX_SPAWN = False
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak_bytes": usage.ru_maxrss * 1024}))
    return os.waitstatus_to_exitcode(status)


def first(runtime, library, *tasks):
    import numpy as np

    from graft_runtime import Runtime

    feed = {"input_ids": np.full((1, 128), 2000, np.int64), "attention_mask": np.ones((1, 128), np.int64)}
    loaded = Runtime(runtime)
    begun = time.perf_counter()
    opened = loaded.open(library)
    middle = time.perf_counter()
    opened.request(list(tasks), feed, 0)()
    end = time.perf_counter()
    print(json.dumps({"open_ms": (middle - begun) * 1e3, "first_run_ms": (end - middle) * 1e3}))
    return 0


if __name__ == "__main__":
    sys.exit(command(sys.argv[2:]) if sys.argv[1] == "command" else first(*sys.argv[2:]))
