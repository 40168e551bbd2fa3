# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes each case of a manifest a test of lit."""

import json
import mmap
import os
import subprocess

import lit.formats
import lit.Test


def has_compiler(library):
    """Whether the library is built with the driver in it."""
    try:
        with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(b"graft_driver_main\0") >= 0
    except OSError:
        return False


class ManifestFormat(lit.formats.TestFormat):
    """One test for each entry; `option` is how run_case.py takes its name."""

    def __init__(self, manifest, option):
        self.manifest, self.option = manifest, option

    def getTestsInDirectory(self, suite, path_in_suite, lit_config, local_config):
        with open(self.manifest) as file:
            for entry in json.load(file)["cases"]:
                yield lit.Test.Test(suite, path_in_suite + (entry["name"],), local_config)

    def execute(self, test, lit_config):
        config = test.config
        if "oracles" not in config.available_features:
            return lit.Test.UNSUPPORTED, "needs numpy"
        runner = os.path.join(config.graft_src_dir, "test", "Numerics", "run_case.py")
        graft = os.path.join(config.graft_bin_dir, "graft")
        if not has_compiler(os.path.join(config.graft_build_dir, "lib", "libGraft.so")):
            return lit.Test.UNSUPPORTED, "the compiler is not built"
        command = [config.graft_python, runner, "--graft", graft, self.option, test.path_in_suite[-1], "-v"]
        done = subprocess.run(command, capture_output=True, text=True, env=config.environment)
        if done.returncode:
            return lit.Test.FAIL, "$ " + " ".join(command) + "\n" + done.stdout + done.stderr
        return lit.Test.PASS, ""
