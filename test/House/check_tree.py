"""Checks what is tracked in the tree against the project's rules for files; prints each breach, exits 1 if any.

Rules: source files have at most 600 lines and the licence's header; nothing tracked is above 1 MB; no line names
a package registry's host or a path of somebody's machine; no conflict markers; links between documents lead somewhere.
"""
import os
import re
import subprocess
import sys

SOURCE = (".c", ".h", ".cpp", ".td")
LONGEST = 600
LARGEST = 1_000_000
# What never belongs into the tree. Brackets keep this file from matching itself.
FORBIDDEN = [
    (re.compile(r"(?<![\w./-])/(?:[r]oot|[w]ork|[h]ome/\w+)/"), "a path of somebody's machine"),
    (re.compile(r"(?:[p]ypi|[p]ythonhosted|[d]eb\.debian|[s]napshot\.debian|[c]onda|[h]uggingface)\.(?:org|io|com?)\b"),
     "a registry's host"),
    (re.compile(r"^(?:<{7} |>{7} |={7}$)"), "a conflict marker"),
]
LICENCE = "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"


def breaches(path):
    size = os.path.getsize(path)
    if size > LARGEST:
        yield f"{path}: {size} bytes, more than {LARGEST}: can a script make it instead?"
    with open(path, "rb") as file:
        data = file.read()
    if b"\0" in data:
        return
    lines = data.decode("utf-8", errors="replace").splitlines()
    if path.endswith(SOURCE):
        if LICENCE not in "\n".join(lines[:5]):
            yield f"{path}: the first lines lack '{LICENCE}'"
    if path.endswith(SOURCE + (".py", ".cmake")) and len(lines) > LONGEST:
        yield f"{path}: {len(lines)} lines, more than {LONGEST}: split it by topic"
    if path.endswith(".md"):
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", "\n".join(lines), flags=re.DOTALL)  # IR has brackets too
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose):
            if not os.path.exists(os.path.join(os.path.dirname(path), link)):
                yield f"{path}: a link to '{link}', which is not there"
    for number, line in enumerate(lines, 1):
        for pattern, what in FORBIDDEN:
            if pattern.search(line):
                yield f"{path}:{number}: {what}: {line.strip()[:100]}"


def main():
    top = subprocess.run(["git", "rev-parse", "--show-toplevel"], check=True, capture_output=True, text=True)
    os.chdir(top.stdout.strip())
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True).stdout.decode()
    found = [breach for path in listed.split("\0") if os.path.isfile(path) for breach in breaches(path)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
