"""Checks that each numbered constraint of an op, `(adapt-C1)` in its .td, has a test that breaks it and names it."""
import pathlib
import re
import sys

CONSTRAINT = re.compile(r"\(([a-z_]+-C\d+)\)")


def named(files):
    return {name for file in files for name in CONSTRAINT.findall(file.read_text())}


def main(top):
    top = pathlib.Path(top)
    declared = named((top / "dialects").rglob("*.td"))
    tested = named(path for suffix in ("*.mlir", "*.test", "*.cpp") for path in (top / "test").rglob(suffix))
    missing = sorted(declared - tested)
    if not declared:
        sys.exit("no constraints found: has their form changed?")
    if missing:
        sys.exit("constraints without a test that names them: " + ", ".join(missing))


main(sys.argv[1])
