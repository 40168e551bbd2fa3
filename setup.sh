#!/usr/bin/env bash
# Installs what Graft needs on Debian 12 and is not there yet: packages by apt-get (as root, or with sudo), ONNX's C++
# library and a Python environment in ${GRAFT_CACHE:-~/.cache/graft}. Takes a second when everything is there.
#
#   ./setup.sh          what building, testing and the demo need
#   ./setup.sh --dev    clang-tidy, clangd and pre-commit too
#   ./setup.sh --python prints the path of that environment's interpreter, and installs nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

onnx_version=$(sed -n 's/^onnx==\([0-9.]*\).*/\1/p' cmake/onnx-source.txt)
cache=$(realpath -m "${GRAFT_CACHE:-$HOME/.cache/graft}")
environment=$cache/python-$(sha256sum cmake/requirements.txt | cut -c1-12)
jobs=${GRAFT_JOBS:-$(nproc)}
dev=0
for argument in "$@"; do
  case $argument in
    --dev) dev=1 ;;
    --python) echo "$environment/bin/python"; exit 0 ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) echo "error: setup.sh: unknown argument '$argument'" >&2; exit 1 ;;
  esac
done

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { echo "error: setup.sh: $*" >&2; exit 1; }

# What a long step prints goes to a log, which is shown if the step fails.
quietly() {
  local log=$1; shift
  "$@" >"$log" 2>&1 </dev/null || { tail -n 40 "$log" >&2; die "'$*' failed; its whole output is in $log"; }
}

packages=(
  llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools lld-22 liblld-22-dev        # the compiler's base
  clang-22 libclang-rt-22-dev libomp-22-dev cmake ninja-build ccache                 # building
  libprotobuf-dev protobuf-compiler zlib1g-dev libzstd-dev                           # ONNX, LLVM
  libcli11-dev nlohmann-json3-dev libyaml-cpp-dev                                    # command line, manifest, specs
  libgtest-dev libgmock-dev libbenchmark-dev clang-format-22                         # tests
  python3 python3-venv ca-certificates git                                           # the oracles, this script
)
((dev)) && packages+=(clang-tidy-22 clangd-22 pre-commit)

install_packages() {
  command -v dpkg-query >/dev/null || die "this is not Debian; install by hand: ${packages[*]}"
  local missing=() package
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
  for package in "${packages[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "no root and no sudo to install: ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "${missing[@]}" >/dev/null \
    || die "apt-get could not install all of: ${missing[*]} (Debian 12 with its security suite has them)"
}

# A Python environment from a list of requirements, made once per content of the list.
# Environments hold their own path, so they are made in place; the stamp says that one is whole.
make_environment() {
  local folder=$1 requirements=$2 what=$3
  [[ -e $folder/complete ]] && return 0
  say "making a Python environment for $what"
  rm -rf "$folder"
  # Debian's own Python: the one whose venv module python3-venv completes.
  quietly "$cache/environment.log" /usr/bin/python3 -m venv "$folder"
  quietly "$cache/environment.log" "$folder/bin/pip" install --disable-pip-version-check --no-deps -r "$requirements"
  touch "$folder/complete"
}

build_onnx() (
  target=$cache/onnx-$onnx_version
  [[ -e $target/lib/cmake/ONNX/ONNXConfig.cmake ]] && return 0
  make_environment "$cache/onnx-tools" cmake/requirements-onnx.txt "building ONNX"
  say "building ONNX $onnx_version's C++ library (some minutes)"
  export PATH=$cache/onnx-tools/bin:$PATH
  work=$(mktemp -d "$cache/onnx-build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  quietly "$cache/onnx-download.log" pip download --disable-pip-version-check --no-deps --no-build-isolation \
    --no-binary :all: --require-hashes -r cmake/onnx-source.txt -d "$work"
  tar -xf "$work/onnx-$onnx_version.tar.gz" -C "$work"
  quietly "$cache/onnx-configure.log" cmake -S "$work/onnx-$onnx_version" -B "$work/build" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_STANDARD=17 \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF \
    -DONNX_BUILD_PYTHON=OFF -DONNX_ML=ON -DONNX_USE_PROTOBUF_SHARED_LIBS=ON -DCMAKE_INSTALL_PREFIX="$target"
  quietly "$cache/onnx-build.log" cmake --build "$work/build" -j "$jobs"
  # Installed aside and moved: a folder of that name is always whole. The package files are relocatable.
  quietly "$cache/onnx-install.log" cmake --install "$work/build" --prefix "$work/install"
  rm -rf "$target"
  mv "$work/install" "$target"
)

install_packages
mkdir -p "$cache"
exec 9>"$cache/lock"
command -v flock >/dev/null && flock 9 # two set-ups at once take turns
build_onnx
make_environment "$environment" cmake/requirements.txt "tests and demo"
((dev)) && [[ -d .git ]] && pre-commit install >/dev/null
say "everything Graft needs is here"
