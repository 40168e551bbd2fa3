#!/usr/bin/env bash
# Sets up what is missing, builds Graft with assertions on, and runs every test: lit and FileCheck, unit tests, numbers
# against ONNX Runtime, the installed package, formatting and generated documentation. Exit code 0 if all passed.
#
#   ./test.sh                 everything
#   ./test.sh --preset asan   under AddressSanitizer and UndefinedBehaviorSanitizer
#   ./test.sh FILTER          only tests whose name matches the regular expression
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

preset=dev
filter=()
while (($#)); do
  case $1 in
    --preset) preset=${2:?--preset needs a name}; shift 2 ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) filter=(--filter "$1"); shift ;;
  esac
done

step() { printf '\n\033[1m==> %s\033[0m (after %d min %02d s)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

step "setting up"
./setup.sh
step "configuring (preset $preset)"
cmake --preset "$preset" --log-level=WARNING
step "building"
cmake --build --preset "$preset" -j "${GRAFT_JOBS:-$(nproc)}"
step "testing"
# strict: a test that is skipped for want of something that setup.sh installs is an error.
# lit runs in our Python environment, which has the psutil that its --timeout needs.
python=$(./setup.sh --python)
results=build/$preset/test/results.json
status=0
"$python" /usr/lib/llvm-22/bin/lit --param strict=1 -sv --timeout 900 "${filter[@]}" -o "$results" "build/$preset/test" || status=$?
step "done"
"$python" test/summary.py "$results" || status=1
exit "$status"
