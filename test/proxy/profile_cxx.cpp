// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// C++ places for test profile: operator new, containers, an exception on the way.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

std::vector<char *> kept;

__attribute__((noinline)) void site_new(int count) {
    for (int i = 0; i < count; i++) {
        kept.push_back(new char[1500]);
    }
}

__attribute__((noinline)) void site_throw(int count) {
    for (int i = 0; i < count; i++) {
        try {
            kept.push_back(new char[2500]);
            throw std::string("a text that is too long for the string itself");
        } catch (const std::string &) {
        }
    }
}

} // namespace

int main() {
    kept.reserve(10000);
    site_new(4000);
    site_throw(2000);
    std::printf("expect site_new %ld\nexpect site_throw %ld\n", 4000 * 1500L, 2000 * 2500L);
    return 0;
}
