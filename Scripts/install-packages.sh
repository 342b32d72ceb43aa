#!/bin/sh
# usage: install-packages.sh [run] [test]
# Installs the Debian packages that are missing, and says which: `run` for building and running,
# `test` for what only the tests need. Installs nothing where nothing is missing.
set -eu

# Prints the packages of the arguments that dpkg does not have installed.
missing_packages() {
  for package in "$@"; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || printf '%s ' "$package"
  done
}

wanted=""
for group in "${@:-run}"; do
  case $group in
    # The last line is what a Swift toolchain unpacked from its archive itself lacks on Debian:
    # libstdc++ brings the C headers and libgcc, binutils the linker.
    run) wanted="$wanted libdnnl-dev libhdf5-dev libzip-dev ca-certificates"
         wanted="$wanted ocl-icd-opencl-dev opencl-headers libclblast-dev"
         wanted="$wanted libstdc++-12-dev binutils libncurses6 libsqlite3-0 libxml2"
         command -v git >/dev/null || wanted="$wanted git"
         command -v pkg-config >/dev/null || wanted="$wanted pkg-config" ;;
    # Two of the OpenCL implementations that tests run on (the third comes from PyPI), and the
    # compilers for GPUs that are not here: clang and libclc for NVIDIA and AMD, ocloc for Intel.
    test) wanted="$wanted pocl-opencl-icd oclgrind clang-19 libclc-19 intel-opencl-icd"
          command -v python3 >/dev/null || wanted="$wanted python3"
          python3 -c 'import ensurepip, venv' 2>/dev/null || wanted="$wanted python3-venv" ;;
    *) echo "install-packages.sh: unknown group '$group': use run or test" >&2; exit 64 ;;
  esac
done

case " $* " in
  *" run "*) if ! command -v swift >/dev/null; then
      echo "No Swift toolchain found: \`swift\` is not on the PATH." >&2
      echo "Install Swift 6.2 or later from https://www.swift.org/install/linux/ and try again." >&2
      exit 69
    fi ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "This system has no dpkg. Needed, by their Debian names:$wanted" >&2
  echo "Going on in the hope that they are there." >&2
  exit 0
fi

# shellcheck disable=SC2086  # a list of words
missing=$(missing_packages $wanted)
[ -n "$missing" ] || exit 0

echo "Missing Debian packages, to be installed now: $missing"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "You are not root and there is no sudo. As root, run: apt-get install $missing" >&2
    exit 69
  }
  as_root="sudo"
fi
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  $missing >/dev/null
