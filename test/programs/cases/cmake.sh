# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# cmake: configures and builds a small project with checks, then configures this one.

programs=(cmake)
tools=(gcc make)

# Newer versions add timings.
normalise() { sed -E 's/ \([0-9.]+s\)//'; }

workload() {
    mkdir small
    cat >small/CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.18)
project(small C)
include(CheckIncludeFile)
include(CheckSymbolExists)
find_package(Threads REQUIRED)
check_include_file(sys/mman.h HAVE_MMAN)
check_symbol_exists(mremap "sys/mman.h" HAVE_MREMAP)
set(names "")
foreach(i RANGE 400)
    string(SHA1 hash "${i}")
    list(APPEND names "name_${i}_${hash}")
endforeach()
list(SORT names ORDER DESCENDING)
list(JOIN names ";" joined)
string(REGEX REPLACE "[0-4]+" "x" joined "${joined}")
string(LENGTH "${joined}" length)
message(STATUS "length ${length}")
file(WRITE "${CMAKE_BINARY_DIR}/main.c" "int main(void) { return 0; }\n")
add_executable(small "${CMAKE_BINARY_DIR}/main.c")
target_link_libraries(small PRIVATE Threads::Threads)
CMAKE
    cmake -S small -B small-build
    cmake --build small-build
    small-build/small
    cmake -S "$UMF_TEST_HERE/../.." -B project-build -DUMF_BUILD_TESTS=OFF
    sort project-build/CMakeCache.txt | grep -v '^[#/]' | sha256sum
}
