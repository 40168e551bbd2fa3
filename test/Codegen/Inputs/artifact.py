"""Loads a compiled library as the runtime would, but one stage at a time and with a host that watches.

Each arena buffer is surrounded by canaries, and lies apart from all others unless `overlap` places them by their intervals.
"""
import ctypes
import json

import numpy as np

MAX_RANK = 8
TYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i8": np.int8, "u8": np.uint8, "i16": np.int16, "i32": np.int32,
         "i64": np.int64, "bool": np.bool_}
BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
PARALLEL_FOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, BODY, ctypes.c_void_p)
ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
FAIL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p)


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dims", ctypes.c_int64 * MAX_RANK)]


class Host(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("abi", ctypes.c_uint32), ("context", ctypes.c_void_p), ("parallel_for", PARALLEL_FOR),
                ("allocate", ALLOCATE), ("release", RELEASE), ("fail", FAIL)]


class Code(ctypes.Structure):
    _fields_ = [("shape", ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)),
                ("run", ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 6))]


class Artifact(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_uint32), ("abi", ctypes.c_uint32), ("manifest_bytes", ctypes.c_uint64), ("manifest", ctypes.c_void_p),
                ("weights", ctypes.c_void_p), ("weights_bytes", ctypes.c_uint64), ("codes", ctypes.POINTER(Code)),
                ("code_count", ctypes.c_uint64), ("device", ctypes.c_void_p)]


def aligned(size):
    buffer = np.zeros(size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start:start + size]


class Library:
    def __init__(self, path, weights=None):
        self.lib = ctypes.CDLL(path)
        query = self.lib.graft_artifact_query
        query.restype = ctypes.POINTER(Artifact)
        assert not query(99)
        self.artifact = query(2).contents
        assert self.artifact.magic == 0x54465247
        self.manifest = json.loads(ctypes.string_at(self.artifact.manifest, self.artifact.manifest_bytes))
        self.weights_file = np.fromfile(weights, np.uint8) if weights else None
        self.weights = self.weights_file.ctypes.data if weights else self.artifact.weights
        self.forks, self.failures, self.live, self.allocations = [], [], {}, 0

    def parameter(self, index):
        return self.weights + self.manifest["storage"][index]["offset"]

    def host(self, threads, no_memory):
        def parallel_for(context, count, body, closure):
            self.forks.append(count)
            bounds = [count * t // threads for t in range(threads + 1)]
            for begin, end in zip(bounds, bounds[1:]):
                if begin < end:
                    body(closure, begin, end)

        def allocate(context, size):
            if no_memory:
                self.failures.append("no memory")
                return None
            buffer = aligned(max(size, 1))
            self.live[buffer.ctypes.data] = buffer
            self.allocations += 1
            return buffer.ctypes.data

        self.callbacks = (PARALLEL_FOR(parallel_for), ALLOCATE(allocate), RELEASE(lambda c, m: self.live.pop(m)),
                          FAIL(lambda c, code, message: self.failures.append(message.decode())))
        return Host(ctypes.sizeof(Host), 1, None, *self.callbacks)

    def run(self, stage, inputs, symbols, threads=2, no_memory=False, overlap=False):
        info = self.manifest["stages"][stage]
        code = self.artifact.codes[info["code"]]
        values = self.manifest["values"]
        symbols = np.array(symbols + [0], np.int64)
        ranks = [len(values[v]["dims"]) for v in info["outputs"]]
        intervals = self.manifest["codes"][info["code"]]["buffers"]
        dims, sizes = np.zeros(sum(ranks) + 1, np.int64), np.zeros(len(intervals) + 1, np.int64)
        code.shape(symbols.ctypes.data, dims.ctypes.data, sizes.ctypes.data)
        offsets, end = np.zeros(len(intervals) + 1, np.int64), 64
        for i, (first, last) in enumerate(intervals):
            place = end
            if overlap:
                place = 64
                while any(a <= last and first <= b and place < offsets[j] + sizes[j] and offsets[j] < place + sizes[i]
                          for j, (a, b) in enumerate(intervals[:i])):
                    place += 64
            offsets[i] = place
            end = max(end, place + (int(sizes[i]) + 63) // 64 * 64 + 64)
        arena = aligned(end + 64)
        arena[:] = 0xAB
        before = arena.copy()

        tensors = (Tensor * (len(inputs) + len(ranks)))()
        inputs = [np.ascontiguousarray(x, TYPES[values[v]["type"]]) for x, v in zip(inputs, info["inputs"])]
        originals = [x.copy() for x in inputs]
        for tensor, x in zip(tensors, inputs):
            tensor.data = x.ctypes.data
            tensor.dims[:x.ndim] = x.shape
        outputs, position = [], 0
        for index, (rank, value) in enumerate(zip(ranks, info["outputs"])):
            shape = [int(d) for d in dims[position:position + rank]]
            position += rank
            output = None
            if -1 not in shape:
                output = np.zeros(shape, TYPES[values[value]["type"]])
                tensors[len(inputs) + index].data = output.ctypes.data
                tensors[len(inputs) + index].dims[:rank] = shape
            outputs.append(output)
        table = (ctypes.c_void_p * (len(info["parameters"]) + 1))(*[self.parameter(p) for p in info["parameters"]])
        host = self.host(threads, no_memory)
        self.result = code.run(ctypes.addressof(host), ctypes.addressof(table), ctypes.addressof(tensors), symbols.ctypes.data,
                               arena.ctypes.data, offsets.ctypes.data)
        for x, original in zip(inputs, originals):
            assert np.array_equal(x, original, equal_nan=x.dtype.kind == "f"), "an input was overwritten"
        used = np.zeros(len(arena), bool)
        for offset, size in zip(offsets, sizes[:len(intervals)]):
            used[offset:offset + size] = True
        assert np.array_equal(arena[~used], before[~used]), "written outside of a buffer"
        for index, (rank, value) in enumerate(zip(ranks, info["outputs"])):
            tensor = tensors[len(inputs) + index]
            if outputs[index] is None and tensor.data:
                shape = list(tensor.dims[:rank])
                dtype = np.dtype(TYPES[values[value]["type"]])
                raw = ctypes.string_at(tensor.data, int(np.prod(shape)) * dtype.itemsize)
                outputs[index] = np.frombuffer(raw, dtype).reshape(shape)
        return outputs
