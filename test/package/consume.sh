#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# consume.sh WAY SOURCE BUILD: installs BUILD into an empty folder, moves that folder (nothing may
# depend on where it was), builds the consumer project in the given WAY, and runs it.
set -u -o pipefail

way=$1 source=$2 build=$3
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$way: $*" >&2
    [ ! -e "$work/log" ] || tail -n 30 "$work/log" >&2
    exit 1
}

install_tree() {
    cmake --install "$build" --prefix "$work/first" >"$work/log" 2>&1 || fail 'install failed'
    mv "$work/first" "$work/prefix"
    local found
    found=$(find "$work/prefix" -name "$1" -print -quit)
    [ -n "$found" ] || fail "$1 was not installed"
    folder=$(dirname "$found")
}

# The library that the consumer runs with: the installed one.
run_consumer() {
    local output
    output=$(LD_LIBRARY_PATH=${folder:-} "$1") || fail "$1 ended with status $?"
    [ "$output" = consumed ] || fail "$1 printed '$output'"
    echo "$way: ${1##*/} ran"
}

cmake_consumer() {
    cmake -S "$here/consumer" -B "$work/consumer" -DWAY="$way" -DUMF_SOURCE="$source" \
        -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" 2>&1 || return 1
    cmake --build "$work/consumer" --parallel "$(nproc)" >>"$work/log" 2>&1 || return 1
}

case $way in
find_package | find_package_static)
    install_tree libumf.so.1
    cmake_consumer || fail 'the consumer did not build'
    run_consumer "$work/consumer/consumer"
    [ "$way" = find_package_static ] || run_consumer "$work/consumer/consumer_proxy"
    if [ "$way" = find_package_static ] && readelf -d "$work/consumer/consumer" | grep -q libumf; then
        fail 'the static consumer needs libumf.so'
    fi
    ;;
refused) # a version that does not fit is named, not found
    install_tree libumf.so.1
    ! cmake_consumer || fail 'version 2.0 was found'
    grep -q 'requested version "2.0"' "$work/log" || fail 'the reason is not the version'
    echo 'refused: version 2.0 is not found'
    ;;
pkg_config | pkg_config_static)
    command -v pkg-config >/dev/null || { echo 'skipped: no pkg-config'; exit 77; }
    install_tree umf.pc
    name=umf
    [ "$way" = pkg_config ] || name=umf-static
    flags=$(PKG_CONFIG_PATH=$folder pkg-config --cflags --libs "$name >= 1.2") || fail 'pkg-config did not find the library'
    folder=$(dirname "$folder")
    read -ra flags <<<"$flags"
    "${CC:-cc}" "$here/consumer/main.c" "${flags[@]}" -o "$work/consumer" 2>"$work/log" ||
        fail 'the consumer did not build'
    run_consumer "$work/consumer"
    ;;
add_subdirectory | fetch_content)
    cmake_consumer || fail 'the consumer did not build'
    run_consumer "$work/consumer/consumer"
    ! find "$work/consumer" -name 'test_slab' | grep -q . || fail 'it built our tests as well'
    ;;
*) fail 'no such way' ;;
esac
