"""Configuration of Graft's lit suite; the unit tests have a site configuration of their own."""
import ctypes
import os
import shutil
import subprocess

import lit.formats

config.name = "graft"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Fixtures", "Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)

config.environment["PATH"] = os.pathsep.join(
    [config.graft_bin_dir, config.llvm_tools_dir, os.environ["PATH"]]
)
# LLVM's allocators poison memory only where they are compiled with AddressSanitizer: Debian's LLVM, which is not, hands out
# what our code has poisoned.
config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"
config.environment["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
# Whoever owns the checkout: a container's is often another user's.
config.environment.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
for name in ("HOME", "GRAFT_CACHE"):  # where the consumer of the installed package finds what setup.sh put there
    if name in os.environ:
        config.environment[name] = os.environ[name]

# Debian's LLVM has assertions off: without -verify-each, invalid IR passes silently.
config.substitutions.append(("%graft-opt", "graft-opt -verify-each -verify-roundtrip"))
config.substitutions.append(("%llvm_lib_dir", os.path.join(config.llvm_tools_dir, "..", "lib")))
config.substitutions.append(("%llvm_tools_dir", config.llvm_tools_dir))
config.substitutions.append(("%src", config.graft_src_dir))
config.substitutions.append(("%build", config.graft_build_dir))
config.substitutions.append(("%llvm-include", config.llvm_include_dir))
config.substitutions.append(("%python", config.graft_python))

try:
    ctypes.CDLL("libcuda.so.1")
    has_driver = True
except OSError:
    has_driver = False
oracles = subprocess.run([config.graft_python, "-c", "import numpy, onnx, onnxruntime, safetensors"], capture_output=True)
cpu_flags = set()
with open("/proc/cpuinfo") as file:
    for line in file:
        if line.startswith("flags"):
            cpu_flags = set(line.split())
            break

for feature, present in {
    "oracles": oracles.returncode == 0,
    "clang-format": shutil.which("clang-format-22") is not None,
    "git-checkout": os.path.exists(os.path.join(config.graft_src_dir, ".git")),
    "nvidia-driver": has_driver,
    "ptxas": shutil.which("ptxas") is not None,
    "asan": "-fsanitize=address" in config.graft_flags,
    "avx2": {"avx2", "fma", "f16c"} <= cpu_flags,
    "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= cpu_flags,
}.items():
    if present:
        config.available_features.add(feature)
    elif lit_config.params.get("strict") and feature in ("oracles", "clang-format"):
        lit_config.fatal(f"'{feature}' is not there, which setup.sh gives")
