# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plants each bug of mutants.py, and tells whether graft-fuzz finds it and with how many graphs.

All are built in at once, in a worktree of HEAD below build/, behind a switch that the environment sets: a bug costs a run, not a
build. Exit code 1 unless at least 19 of 20 are found, and nothing while none is planted.
"""
import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from mutants import MUTANTS  # noqa: E402

SWITCH = """#include <cstdlib>
[[maybe_unused]] static bool isPlanted(int number) {
  static const int which = std::getenv("GRAFT_PLANTED") ? std::atoi(std::getenv("GRAFT_PLANTED")) : -1;
  return which == number;
}
"""


def plant(tree):
    files = {}
    for number, mutant in enumerate(MUTANTS):
        path = tree / mutant.file
        text = files.setdefault(path, path.read_text())
        if text.count(mutant.before) != 1:
            sys.exit(f"{mutant.name}: {mutant.file} has '{mutant.before}' {text.count(mutant.before)} times, expected once")
        files[path] = text.replace(mutant.before, mutant.after.replace("PLANTED", f"isPlanted({number})"))
    for path, text in files.items():
        path.write_text(SWITCH + text)


def run(fuzz, number, graphs, jobs, folder):
    """Whether anything is found, graphs tried, the first that failed, seconds."""
    environment = {**os.environ, "GRAFT_PLANTED": str(number)}
    begun = time.time()
    done = subprocess.run([fuzz, "--seeds", f"0:{graphs}", "--failures", "1", "--jobs", str(jobs), "--quiet", "--folder", folder],
                          env=environment, capture_output=True, text=True)
    tried = re.search(r"^(\d+) graphs", done.stdout, re.MULTILINE)
    first = next((line for line in done.stdout.splitlines() if line.startswith("seed ")), "")
    return done.returncode != 0, int(tried.group(1)) if tried else 0, first, time.time() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=400, help="to try before a bug counts as not found")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="a regular expression on names")
    parser.add_argument("--keep", action="store_true", help="take the tree and the build as they are")
    arguments = parser.parse_args()
    top = Path(subprocess.run(["git", "rev-parse", "--show-toplevel"], check=True, capture_output=True, text=True).stdout.strip())
    tree = top / "build/mutants"
    if not arguments.keep:
        subprocess.run(["git", "worktree", "remove", "--force", tree], capture_output=True)
        subprocess.run(["git", "worktree", "add", "--detach", "--force", tree, "HEAD"], check=True, capture_output=True)
        plant(tree)
        subprocess.run(["cmake", "--preset", "dev", "--log-level=WARNING"], cwd=tree, check=True)
        subprocess.run(["cmake", "--build", "--preset", "dev", "--target", "graft-fuzz"], cwd=tree, check=True)
    fuzz, folder = tree / "build/dev/bin/graft-fuzz", tree / "build"
    failed, graphs, first, seconds = run(fuzz, -1, arguments.graphs, arguments.jobs, folder)
    print(f"nothing planted: {graphs} graphs, {seconds:.0f} s, {first or 'nothing found'}", flush=True)
    found, tried = 0, 0
    for number, mutant in enumerate(MUTANTS):
        if not re.search(arguments.only, mutant.name):
            continue
        caught, graphs, first, seconds = run(fuzz, number, arguments.graphs, arguments.jobs, folder)
        tried += 1
        found += caught
        print(f"| {mutant.name} | {mutant.why} | {'found' if caught else 'not found'}, {graphs} graphs |", flush=True)
        print(f"    {seconds:.0f} s: {first[:200]}", file=sys.stderr, flush=True)
    print(f"{found} of {tried} found")
    return 1 if failed or found * 20 < tried * 19 else 0


if __name__ == "__main__":
    sys.exit(main())
