"""Compiles all installed headers as one unit, and the C ones as C99: headers.py INCLUDE_DIR SYSTEM_INCLUDE_DIR."""
import pathlib
import subprocess
import sys

C_HEADERS = ("graft.h",)


def check(root, system, headers, compiler, standard, language):
    command = [compiler, "-fsyntax-only", f"-std={standard}", "-I", str(root), "-isystem", system, "-x", language, "-"]
    text = "".join(f'#include "{header.relative_to(root)}"\n' for header in headers)
    return subprocess.run(command, input=text, text=True).returncode


def main(root, system):
    root = pathlib.Path(root)
    headers = sorted(root.rglob("*.h"))
    c_headers = [header for header in headers if header.name in C_HEADERS]
    if not headers:
        sys.exit(f"no headers in {root}")
    sys.exit(check(root, system, c_headers, "clang-22", "c99", "c") or check(root, system, headers, "clang++-22", "c++17", "c++"))


main(*sys.argv[1:])
