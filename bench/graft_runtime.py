"""The part of Graft's C interface (graft/Runtime/graft.h) that the benchmarks use, through ctypes."""

import ctypes
from ctypes import POINTER, byref, c_char, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

MAX_RANK = 8
ROW_TASKS = 1  # a flag of a request
TYPES = {1: np.float32, 2: np.float16, 4: np.float64, 5: np.int8, 6: np.uint8, 7: np.int16, 8: np.uint16, 9: np.int32,
         10: np.uint32, 11: np.int64, 12: np.uint64, 13: np.bool_}
CODES = {np.dtype(kind): code for code, kind in TYPES.items()}


class Error(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("code", c_int32), ("message", c_char * 1016)]


class Buffer(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("type", c_int32), ("name", c_char_p), ("data", c_void_p),
                ("bytes", c_uint64), ("rank", c_int32), ("dims", c_int64 * MAX_RANK)]


LOOK = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)  # graft_route_callback


class RequestStruct(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("tasks", POINTER(c_char_p)), ("task_count", c_size_t),
                ("inputs", POINTER(Buffer)), ("input_count", c_size_t), ("outputs", POINTER(Buffer)),
                ("output_count", c_size_t), ("threads", c_int32), ("routes", c_void_p), ("route_count", c_size_t), ("on_route", LOOK),
                ("on_route_data", c_void_p)]


def make_buffer(name, array):
    buffer = Buffer(ctypes.sizeof(Buffer), CODES[array.dtype], name.encode(), array.ctypes.data, array.nbytes,
                    array.ndim)
    buffer.dims[:array.ndim] = array.shape
    return buffer


class Runtime:
    """libgraft_runtime.so."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        for name in ("graft_library_open", "graft_run", "graft_query_outputs", "graft_result_get"):
            getattr(self.library, name).restype = c_int32
        self.library.graft_version.restype = c_char_p
        self.library.graft_result_count.restype = c_size_t

    def version(self):
        return self.library.graft_version().decode()

    def call(self, name, *arguments):
        """Call a function that reports errors; raise its words."""
        error = Error(ctypes.sizeof(Error))
        if getattr(self.library, name)(*arguments, byref(error)):
            raise RuntimeError(f"{name}: {error.message.decode()}")

    def open(self, path):
        return Library(self, path)


class Library:
    """An open library; use it as a context manager, or close it."""

    def __init__(self, runtime, path):
        self.runtime, self.handle = runtime, c_void_p()
        runtime.call("graft_library_open", str(path).encode(), None, byref(self.handle))

    def close(self):
        self.runtime.library.graft_library_close(self.handle)
        self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def request(self, tasks, feed, threads, rows=False, look=None):
        return Request(self, tasks, feed, threads, rows, look)


class Request:
    """Tasks on fixed inputs, or a task for each of their rows, with outputs of its own; calling it runs them. `look`, a LOOK, is shown
    their routes."""

    def __init__(self, library, tasks, feed, threads, rows, look=None):
        self.library, self.feed = library, {name: np.ascontiguousarray(array) for name, array in feed.items()}
        self.tasks = (c_char_p * len(tasks))(*(task.encode() for task in tasks))
        self.inputs = (Buffer * len(feed))(*(make_buffer(name, array) for name, array in self.feed.items()))
        self.struct = RequestStruct(ctypes.sizeof(RequestStruct), ROW_TASKS if rows else 0, self.tasks, len(tasks),
                                    self.inputs, len(feed), None, 0, threads, None, 0, look or LOOK(), None)
        self.values = self.allocate()
        self.outputs = (Buffer * len(self.values))(*(make_buffer(name, array) for name, array in self.values.items()))
        self.struct.outputs, self.struct.output_count = self.outputs, len(self.values)

    def allocate(self):
        """An array for each output, of the shape that the runtime tells."""
        runtime, result, values = self.library.runtime, c_void_p(), {}
        runtime.call("graft_query_outputs", self.library.handle, byref(self.struct), byref(result))
        for at in range(runtime.library.graft_result_count(result)):
            buffer = Buffer(ctypes.sizeof(Buffer))
            runtime.call("graft_result_get", result, c_size_t(at), byref(buffer))
            values[buffer.name.decode()] = np.empty(buffer.dims[:buffer.rank], TYPES[buffer.type])
        runtime.library.graft_result_free(result)
        return values

    def __call__(self):
        self.library.runtime.call("graft_run", self.library.handle, byref(self.struct), None)
        return self.values
