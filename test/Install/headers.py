"""Compiles each installed header alone: headers.py INCLUDE_DIR SYSTEM_INCLUDE_DIR. C headers as C99."""
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def check(root, system, header):
    name = header.relative_to(root)
    c = name.name in ("graft.h", "ArtifactAbi.h")
    command = ["clang-22" if c else "clang++-22", "-fsyntax-only", "-std=c99" if c else "-std=c++17", "-Wno-unused",
               "-I", str(root), "-isystem", system, "-x", "c" if c else "c++", "-"]
    done = subprocess.run(command, input=f'#include "{name}"\n', capture_output=True, text=True)
    return f"{name}:\n{done.stderr}" if done.returncode else ""


def main(root, system):
    headers = sorted(pathlib.Path(root).rglob("*.h"))
    if not headers:
        sys.exit(f"no headers in {root}")
    with ThreadPoolExecutor(2) as pool:
        errors = [text for text in pool.map(lambda h: check(pathlib.Path(root), system, h), headers) if text]
    print("\n".join(errors), file=sys.stderr)
    sys.exit(1 if errors else 0)


main(*sys.argv[1:])
