"""Runs a command and fails unless it exits with the code: code.py CODE COMMAND..."""
import subprocess
import sys

wanted, command = int(sys.argv[1]), sys.argv[2:]
found = subprocess.run(command).returncode
if found != wanted:
    print(f"{command}: expected the exit code {wanted}, found {found}")
sys.exit(found != wanted)
