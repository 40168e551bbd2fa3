# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Spoils the kernels of layers of experts, one operation at a time, and tells how many of the spoilt ones the checks of mixtures.py notice:
what the emulator refuses, outputs that are off, bits that the order of threads decides, and other traffic with memory.

    python mutants.py --graft GRAFT --driver FOLDER [--count N] [--seed N] [--least 0.95]

Places are drawn from the kernels that the runs reach, of each kind in turn. One that is not noticed is tried once more with a read of no memory
in front: where that is not noticed either, nothing reaches the place, and another is drawn. What is left is printed, to be read: it may change
nothing that can be seen, as a barrier does that another one follows.
"""

import argparse
import random
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mixtures import Layer, Runner, draw_rows, relative_error

def value_pattern(text):
    return re.compile(text.replace("V", r"(%[\w#]+)"))


# (kind, what a line has, what takes its place): V is a value.
REWRITES = [(kind, value_pattern(before), after) for kind, before, after in [
    ("barrier", r"^\s*nvvm\.barrier0.*$", ""),
    ("warp barrier", r"^\s*nvvm\.bar\.warp\.sync.*$", ""),
    ("wait", r"^\s*nvvm\.cp\.async\.wait\.group.*$", ""),
    ("wait later", r"(cp\.async\.wait\.group) (\d+)", lambda found: f"{found[1]} {int(found[2]) + 1}"),
    ("commit", r"^\s*nvvm\.cp\.async\.commit\.group.*$", ""),
    ("copy", r"^\s*nvvm\.cp\.async\.shared\.global.*$", ""),
    ("copied bytes", r"(nvvm\.cp\.async\.shared\.global .*), V :.*", lambda found: f"{found[1]} : !llvm.ptr<3>, !llvm.ptr<1>"),
    ("bound", r'icmp "(s|u)lt"', r'icmp "\1le"'),
    ("predicate", r'icmp "(s|u)lt"', r'icmp "\1ge"'),
    ("equality", r'icmp "eq"', 'icmp "ne"'),
    ("half of a predicate", r"llvm\.and V, V : i1", r"llvm.and \2, \2 : i1"),
    ("other half of a predicate", r"llvm\.and V, V : i1", r"llvm.and \1, \1 : i1"),
    ("choice", r"llvm\.select V, V, V :", r"llvm.select \1, \3, \2 :"),
    ("sum of an index", r"llvm\.add V, V : i(32|64)", r"llvm.sub \1, \2 : i\3"),
    ("factor of an index", r"llvm\.mul V, V : i(32|64)", r"llvm.add \1, \2 : i\3"),
    ("quotient", r"llvm\.udiv V, V :", r"llvm.urem \1, \2 :"),
    ("remainder", r"llvm\.urem V, V :", r"llvm.udiv \1, \2 :"),
    ("swizzle", r"llvm\.xor V, V : i(32|64)", r"llvm.or \1, \2 : i\3"),
    ("offset", r"(getelementptr V)\[(\d+)\]", lambda found: f"{found[1]}[{int(found[3]) + 1}]"),
    ("shuffle", r"(nvvm\.shfl\.sync\s+)(up|down|bfly|idx)", lambda found: found[1] + {"up": "down", "down": "up", "bfly": "idx", "idx": "bfly"}[found[2]]),
    ("store", r"^\s*llvm\.store .*$", ""),
    ("product", r"llvm\.intr\.fma\(V, V, V\)", r"llvm.intr.fma(\1, \2, \2)"),
    ("operands of a matrix product", r"(nvvm\.mma\.sync A\[)V, V", r"\1\3, \2"),
    ("sum of a matrix product", r"(nvvm\.mma\.sync .* C\[)V, V", r"\1\3, \2"),
]]


@dataclass(frozen=True)
class Place:
    kind: str
    kernel: str
    line: int
    text: str  # that takes the line's place

    def __str__(self):
        return f"{self.kind} in {self.kernel}, line {self.line + 1}"


def places(lines, reached):
    """Each place of the kernels in `reached`."""
    kernel = ""
    for number, line in enumerate(lines):
        if found := re.match(r"\s*llvm\.func @(\w+)", line):
            kernel = found[1]
        elif kernel in reached:
            code, mark, rest = line.partition(" loc(")
            for kind, before, after in REWRITES:
                changed = before.sub(after, code, count=1)
                if changed != code:
                    yield Place(kind, kernel, number, changed and changed + mark + rest)


class Checked:
    """A layer, what it gives while nothing is spoilt, and which runs reach which kernel."""

    def __init__(self, runner, layer, number, runs):
        self.runner, self.layer, self.runs = runner, layer, {}
        if not runner.compile(layer):
            sys.exit("\n".join(runner.bad))
        self.library, self.kernels = (runner.folder / f"{number}{end}" for end in (".so", ".mlir"))
        runner.library.rename(self.library)
        self.lines = runner.kernels.read_text().splitlines()
        for rows, schedules in runs:
            x = draw_rows(layer, rows, True)
            wanted = self.run(self.lines, x, schedules[0])
            if wanted is None:
                sys.exit("\n".join(runner.bad))
            for kernel in set(re.findall(r"^cuLaunchKernel (\w+)", (runner.folder / "log").read_text(), re.MULTILINE)):
                self.runs.setdefault(kernel, []).append((x, schedules, wanted, runner.traffic))

    def run(self, lines, x, schedule):
        self.kernels.write_text("\n".join(lines))
        self.runner.library, self.runner.kernels = self.library, self.kernels
        ran = self.runner.emulate("", x, schedule)
        return ran and ran[0]

    def reaches(self, place):
        """Whether any run does."""
        trap = "%trap = llvm.mlir.zero : !llvm.ptr<1>\n%trapped = llvm.load volatile %trap : !llvm.ptr<1> -> i32\n"
        lines = [*self.lines]
        lines[place.line] = trap + lines[place.line]
        return any(self.run(lines, x, schedules[0]) is None for x, schedules, *_ in self.runs[place.kernel])

    def notice(self, place):
        """What gives the place away, nothing if nothing does."""
        lines = [*self.lines]
        lines[place.line] = place.text
        for x, schedules, wanted, traffic in self.runs[place.kernel]:
            first = None
            for schedule in schedules:
                self.runner.bad.clear()
                found = self.run(lines, x, schedule)
                if found is None:
                    return " ".join(self.runner.bad).strip()
                error = relative_error(found, wanted)
                if not error <= MOST_OFF[self.layer.element]:
                    return f"{len(x)} rows: relative error {error:.1e}"
                if self.runner.traffic != traffic:
                    return f"{len(x)} rows: other traffic"
                if first is not None and first.tobytes() != found.tobytes():
                    return f"{len(x)} rows: schedule {schedule} gives other bits"
                first = found
        return ""


# What the same sums in another order may be off.
MOST_OFF = {"FLOAT": 1e-6, "FLOAT16": 1e-3}
# Tiles of many, some and few rows; sizes that tiles divide and that they don't.
LAYERS = [(Layer(8, 2), [(65, ["0", "6"]), (1, ["0"]), (16, ["7"]), (520, ["0"])]),
          (Layer(8, 2, 70, 43, "few"), [(5, ["0", "6"]), (129, ["7"]), (1, ["0"])]),
          (Layer(64, 8, 12, 8), [(200, ["0", "6"])]),
          (Layer(8, 2, 40, 24, "few", "FLOAT16"), [(65, ["0", "6"]), (9, ["7"])])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", default="graft")
    parser.add_argument("--driver", required=True, help="the folder of the emulated device's driver")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.95, help="the share that has to be noticed")
    given = parser.parse_args()
    draw = random.Random(given.seed)
    noticed = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(given.graft, given.driver, folder, seconds=120)
        checked = [Checked(runner, layer, number, runs) for number, (layer, runs) in enumerate(LAYERS)]
        kinds = {}
        for each in checked:
            for place in places(each.lines, each.runs):
                kinds.setdefault(place.kind, []).append((each, place))
        for all_of_kind in kinds.values():
            draw.shuffle(all_of_kind)
        # A place of each kind in turn.
        drawn = (of_kind[turn] for turn in range(max(map(len, kinds.values()))) for of_kind in kinds.values() if turn < len(of_kind))
        for each, place in drawn:
            if tried == given.count:
                break
            why = each.notice(place)
            if not why and not each.reaches(place):
                continue
            tried += 1
            noticed += bool(why)
            print(f"{'noticed' if why else 'NOT NOTICED'}: {place}, {each.layer}: {why[:160] if why else each.lines[place.line].partition(' loc(')[0].strip()}", flush=True)
    print(f"{noticed} of {tried} noticed, of {len(kinds)} kinds")
    return 0 if noticed >= given.least * tried else 1


if __name__ == "__main__":
    sys.exit(main())
