# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes each case of a manifest a test of lit."""

import json
import os
import subprocess

import lit.formats
import lit.Test


class ManifestFormat(lit.formats.TestFormat):
    """One test for each entry, or for those of `names`, which says which of their adapters; `option` is how run_case.py
    takes a name."""

    def __init__(self, manifest, option, names=None):
        self.manifest, self.option, self.names = manifest, option, names

    def getTestsInDirectory(self, suite, path_in_suite, lit_config, local_config):
        with open(self.manifest) as file:
            for entry in json.load(file)["cases"]:
                if self.names is None or entry["name"] in self.names:
                    yield lit.Test.Test(suite, path_in_suite + (entry["name"],), local_config)

    def execute(self, test, lit_config):
        config = test.config
        if "oracles" not in config.available_features:
            return lit.Test.UNSUPPORTED, "needs numpy"
        runner = os.path.join(config.graft_src_dir, "test", "Numerics", "run_case.py")
        graft = os.path.join(config.graft_bin_dir, "graft")
        name = test.path_in_suite[-1]
        command = [config.graft_python, runner, "--graft", graft, self.option, name, "-v"]
        if self.names is not None:
            command += ["--adapter", self.names[name]]
        done = subprocess.run(command, capture_output=True, text=True, env=config.environment)
        if done.returncode:
            return lit.Test.FAIL, "$ " + " ".join(command) + "\n" + done.stdout + done.stderr
        return lit.Test.PASS, ""
