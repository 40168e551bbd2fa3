"""Configuration of Graft's lit suite."""
import os

import lit.formats

config.name = "graft"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Fixtures", "Install", "Plugins", "Inputs"]
config.test_source_root = os.path.dirname(__file__)

config.environment["PATH"] = os.pathsep.join(
    [config.graft_bin_dir, config.llvm_tools_dir, os.environ["PATH"]]
)
# Debian's LLVM has assertions off: without -verify-each, invalid IR passes silently.
config.substitutions.append(("%graft-opt", "graft-opt -verify-each -verify-roundtrip"))
config.substitutions.append(("%src", config.graft_src_dir))
config.substitutions.append(("%python", os.environ.get("GRAFT_PYTHON", "python3")))
