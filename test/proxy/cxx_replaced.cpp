/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * cxx_replaced.cpp - a program that replaces only `operator new(size_t)` and `operator delete(void
 * *)`.
 *
 * By the standard the array, nothrow and sized forms then come out at the replaced two (and the
 * aligned array and nothrow forms at the plain aligned ones). A malloc replacement that serves
 * those forms by itself hands the program blocks without the header its own delete expects. The
 * program here puts such a header before each block.
 */
#include "pattern.h"

#include <algorithm>
#include <new>
#include <string>
#include <vector>

struct header {
    uint64_t magic;
    size_t size;
};
static_assert(sizeof(header) == 16, "keeps the alignment of malloc");

static const uint64_t MAGIC = 0x5EEDB10C5EEDB10C;
static long live, total;

void *operator new(size_t size) {
    header *h = static_cast<header *>(malloc(sizeof(header) + size));
    if (h == nullptr) {
        throw std::bad_alloc();
    }
    h->magic = MAGIC;
    h->size = size;
    __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&total, 1, __ATOMIC_RELAXED);
    return h + 1;
}

void operator delete(void *block) noexcept {
    if (block == nullptr) {
        return;
    }
    header *h = static_cast<header *>(block) - 1;
    if (!CHECK_MSG(h->magic == MAGIC, "delete of %p, which this program's new did not make",
                   block)) {
        return; /* leaked: freeing it would only hide what is wrong */
    }
    h->magic = 0;
    __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    free(h);
}

/* The count of this program's new must rise by one for each block. */
template <typename Call> static void check_reaches(Call call, const char *what) {
    long before = total;
    void *p = check_hide(call());
    CHECK_MSG(total == before + 1, "%s does not come out at the program's operator new", what);
    CHECK(p != nullptr);
}

int main() {
    check_begin();
    for (size_t n : {size_t(1), size_t(100), size_t(10000), size_t(1000000)}) {
        void *p[4];
        check_reaches([&] { return p[0] = ::operator new(n); }, "new");
        check_reaches([&] { return p[1] = ::operator new[](n); }, "new[]");
        check_reaches([&] { return p[2] = ::operator new(n, std::nothrow); }, "nothrow new");
        check_reaches([&] { return p[3] = ::operator new[](n, std::nothrow); }, "nothrow new[]");
        long before = live;
        ::operator delete(p[0], n);
        ::operator delete[](p[1]);
        ::operator delete(p[2], std::nothrow);
        ::operator delete[](p[3], n);
        CHECK_INT(live, before - 4);
        void *q = ::operator new[](n);
        ::operator delete[](q, std::nothrow);
        CHECK_INT(live, before - 4);
    }
    { /* libstdc++.so was compiled without knowing this program */
        std::vector<int> values(100000);
        for (size_t i = 0; i < values.size(); i++) {
            values[i] = int(i * 7919 % 100003);
        }
        std::stable_sort(values.begin(), values.end());
        std::string text(1000, 'x');
        text += std::to_string(values[5]);
        CHECK(text.size() > 1000);
    }
    std::align_val_t a{64};
    void *p = ::operator new[](100, a, std::nothrow);
    CHECK(p != nullptr && reinterpret_cast<uintptr_t>(p) % 64 == 0);
    ::operator delete[](p, size_t(100), a);
    CHECK_INT(live, 0);
    return check_end("cxx_replaced");
}
