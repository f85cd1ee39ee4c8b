# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# g++: a C++17 program with templates, containers, regular expressions, threads and exceptions;
# compiled and run.

programs=(g++)

workload() {
    cat >work.cpp <<'CPP'
#include <algorithm>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct alignas(128) wide { char bytes[256]; };

static size_t work(unsigned seed) {
    std::map<std::string, std::vector<unsigned>> index;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        index["key" + std::to_string((seed >> 16) % 997)].push_back(seed >> 8);
    }
    std::ostringstream out;
    for (auto &[key, values] : index) {
        std::sort(values.begin(), values.end());
        out << key << '=' << values.front() << ';';
    }
    std::string text = out.str();
    std::regex pattern("key(\\d*)7=(\\d+);");
    return std::distance(std::sregex_iterator(text.begin(), text.end(), pattern), {}) * 1000003 +
           text.size();
}

int main() {
    std::vector<std::future<size_t>> futures;
    for (unsigned i = 0; i < 6; i++) futures.push_back(std::async(std::launch::async, work, i));
    for (auto &f : futures) std::cout << f.get() << '\n';
    std::vector<std::unique_ptr<wide>> wides;
    size_t misaligned = 0;
    for (int i = 0; i < 1000; i++) {
        wides.emplace_back(new wide);
        misaligned += reinterpret_cast<uintptr_t>(wides.back().get()) % 128 != 0;
    }
    std::cout << "misaligned " << misaligned << '\n';
    int caught = 0;
    for (int i = 0; i < 1000; i++) {
        try { throw std::runtime_error("number " + std::to_string(i)); }
        catch (const std::exception &e) { caught += std::string(e.what()).size() > 8; }
    }
    volatile size_t too_much = ~size_t(0) / 2 - 64;
    try { delete[] new char[too_much]; std::cout << "?\n"; }
    catch (const std::bad_alloc &e) { std::cout << "bad_alloc " << caught << '\n'; }
    std::cout << (new (std::nothrow) char[too_much] == nullptr) << '\n';
    std::pmr::monotonic_buffer_resource arena;
    std::pmr::vector<std::pmr::string> strings(&arena);
    for (int i = 0; i < 5000; i++) strings.emplace_back("a string too long for the small buffer");
    std::cout << strings.size() << '\n';
}
CPP
    g++ -std=c++17 -O1 -pthread -w work.cpp -o work
    sha256sum <work
    ./work
}
