# shellcheck shell=bash
# Sourced by run.sh, test.sh and bench/compare.sh: what they need from Debian, and how they build. The one place for it.
#
#   install_packages [PACKAGE...]  installs what is missing of `packages` and of these; asks nothing, and leaves the
#                                  package lists alone where nothing is missing
#   build PRESET TARGET...         configures build/PRESET where that is needed, then builds
#
# Both stop the script with exit code 1 and one message where they cannot do it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# All of them are needed but ccache, which makes the second build of a file fast. Without git, which is not installed
# here, a build calls itself "unknown".
packages=(
  g++ cmake ninja-build ccache
  libcaf-dev libabsl-dev libprotobuf-dev protobuf-compiler libgrpc++-dev protobuf-compiler-grpc libhwy-dev
  libleveldb-dev prometheus-cpp-dev
  libcli11-dev libyaml-cpp-dev nlohmann-json3-dev libboost-dev libssl-dev
  libgtest-dev libgmock-dev libbenchmark-dev python3-grpcio openssl nftables iproute2
)

# What only CI's checks of the sources need (deploy/test.sh --full).
check_packages=(clang clang-format)

# What the preset `wasm` and its test need: a compiler, a linker and the libraries of wasm32-wasi, and Node to run the
# module. The pages need them too (below); deploy/test.sh --full and `bench/run.sh wasm` ask for them alone. Version 14 of each: Debian's sets
# of two versions exclude each other.
wasm_packages=(
  clang-14 lld-14 llvm-14 libc++-14-dev-wasm32 libc++abi-14-dev-wasm32 libclang-rt-14-dev-wasm32 wasi-libc nodejs
)

# What the pages need beside wasm_packages, whose compiler builds their modules of the core. Without these, lvs is built
# whole, and its pages say what was missing (services/web/pages/CMakeLists.txt).
pages_packages=("${wasm_packages[@]}" esbuild node-typescript)

# What drives the pages in their tests, beside two packages of npm (tests/services/web).
pages_check_packages=(chromium firefox-esr npm)

# A command that every build and test step is run with; empty: none.
run_with=()

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$(basename "$0"): $*"
  exit 1
}

# Runs a command with its output in a file under build/, which is shown only if the command fails.
quietly() {
  local log=$root/build/$1.log
  shift
  mkdir -p "$root/build" || fail "cannot write to $root/build; work in a copy of the tree that is yours"
  "$@" >"$log" 2>&1 </dev/null && return
  tail -n 30 "$log" >&2
  fail "this failed: $*; its whole output is in $log"
}

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

install_packages() {
  local missing=() package as_root=()
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "this is no Debian; install what these packages hold and build by hand (README.md): ${packages[*]}"
  fi
  for package in "${packages[@]}" "$@"; do
    installed "$package" || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) -ne 0 ]]; then
    # With a terminal, sudo may ask for the password.
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
      as_root=(sudo)
    else
      fail "packages are missing and only root may install them; as root: apt-get install --no-install-recommends ${missing[*]}"
    fi
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8)
  say "Installing ${#missing[@]} Debian packages, this once: ${missing[*]}"
  quietly apt "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update
  quietly apt "${as_root[@]}" apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
}

# True where build/$1 is a tree that ninja can bring up to date by itself, made from these presets and in this folder.
configured() {
  local tree=$root/build/$1
  [[ -f $tree/build.ninja && ! $root/CMakePresets.json -nt $tree/build.ninja ]] &&
    grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$tree/CMakeCache.txt"
}

build() {
  local preset=$1 jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} options=()
  shift
  # Under sanitizers GCC 12 warns about std::regex itself (GCC bug 105562); the release build is where warnings fail.
  [[ $preset == release || $preset == wasm ]] || options=(-DLVS_WERROR=OFF)
  if [[ -e $root/build/$preset && ! -w $root/build/$preset/ ]]; then
    fail "build/$preset belongs to $(stat -c %U "$root/build/$preset"); remove it, or go on as that user"
  fi
  if ! configured "$preset"; then
    say "Configuring build/$preset"
    (cd "$root" && quietly "configure-$preset" cmake --fresh --preset "$preset" "${options[@]}") || exit
    say "Building build/$preset with $jobs jobs (the first time takes minutes)"
  fi
  "${run_with[@]}" cmake --build "$root/build/$preset" -j "$jobs" --target "$@" >&2 || fail "the build of build/$preset failed"
}
