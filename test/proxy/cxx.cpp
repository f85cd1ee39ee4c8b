/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * cxx.cpp - every operator new and delete of C++17: pairing with each other, alignment, and what
 * happens without memory.
 *
 * Compiled a second time with the operators of umf/proxy_lib_new_delete.h (CXX_HEADER), which must
 * pass the same checks.
 */
#include "pattern.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#ifdef CXX_HEADER
#include <umf/proxy_lib_new_delete.h>
static const char test_name[] = "cxx_header";
#else
static const char test_name[] = "cxx";
#endif

static void *hidden_new(size_t size) {
    return check_hide(::operator new(check_hide_size(size)));
}

static void check_block(void *p, size_t size, size_t alignment) {
    if (CHECK_MSG(p != nullptr, "new of %zu", size)) {
        CHECK_MSG(reinterpret_cast<uintptr_t>(p) % alignment == 0, "new(%zu, %zu) is %p", size,
                  alignment, p);
        CHECK_MSG(malloc_usable_size(p) >= size, "new(%zu) has %zu bytes", size,
                  malloc_usable_size(p));
        pattern_fill(p, size, size);
        CHECK_INT(pattern_mismatch(p, size, size, size), size);
    }
}

/* ---- each new with each delete that may take its result ---- */

static void check_plain(size_t n) {
    for (int i = 0; i < 6; i++) {
        void *p = i % 2 == 0 ? ::operator new(n) : ::operator new(n, std::nothrow);
        void *q = i % 2 == 0 ? ::operator new[](n) : ::operator new[](n, std::nothrow);
        check_block(p, n, 16);
        check_block(q, n, 16);
        switch (i / 2) {
        case 0:
            ::operator delete(p);
            ::operator delete[](q);
            break;
        case 1:
            ::operator delete(p, n);
            ::operator delete[](q, n);
            break;
        default:
            ::operator delete(p, std::nothrow);
            ::operator delete[](q, std::nothrow);
        }
    }
}

static void check_aligned(size_t n, size_t alignment) {
    std::align_val_t a{alignment};
    for (int i = 0; i < 6; i++) {
        void *p = i % 2 == 0 ? ::operator new(n, a) : ::operator new(n, a, std::nothrow);
        void *q = i % 2 == 0 ? ::operator new[](n, a) : ::operator new[](n, a, std::nothrow);
        check_block(p, n, alignment);
        check_block(q, n, alignment);
        switch (i / 2) {
        case 0:
            ::operator delete(p, a);
            ::operator delete[](q, a);
            break;
        case 1:
            ::operator delete(p, n, a);
            ::operator delete[](q, n, a);
            break;
        default:
            ::operator delete(p, a, std::nothrow);
            ::operator delete[](q, a, std::nothrow);
        }
    }
}

static void check_null_and_zero() {
    void *null = check_hide(nullptr);
    std::align_val_t a{64};
    ::operator delete(null);
    ::operator delete[](null);
    ::operator delete(null, size_t(8));
    ::operator delete[](null, size_t(8));
    ::operator delete(null, std::nothrow);
    ::operator delete[](null, std::nothrow);
    ::operator delete(null, a);
    ::operator delete[](null, a);
    ::operator delete(null, size_t(8), a);
    ::operator delete[](null, size_t(8), a);
    ::operator delete(null, a, std::nothrow);
    ::operator delete[](null, a, std::nothrow);
    void *p = hidden_new(0), *q = hidden_new(0);
    CHECK(p != nullptr && q != nullptr && p != q);
    ::operator delete(p);
    ::operator delete(q, size_t(0));
}

/* ---- without memory ---- */

struct own_failure : std::bad_alloc {}; /* all that a handler may throw */

static int handler_calls;

static void handler_gives_up() {
    if (++handler_calls == 3) {
        std::set_new_handler(nullptr);
    }
}

static void handler_throws() {
    handler_calls++;
    throw own_failure();
}

/* Larger than any address space, but not more than PTRDIFF_MAX: the compiler cannot call it a
 * mistake. */
static size_t impossible_size() {
    return check_hide_size(size_t(1) << 62);
}

enum class outcome { memory, null, bad_alloc, own_failure };

template <typename Call> static outcome outcome_of(Call call) {
    try {
        return check_hide(call(impossible_size())) != nullptr ? outcome::memory : outcome::null;
    } catch (const own_failure &) {
        return outcome::own_failure;
    } catch (const std::bad_alloc &e) {
        CHECK(e.what() != nullptr);
        return outcome::bad_alloc;
    }
}

template <typename Call> static void check_no_memory(Call call, bool throwing, const char *what) {
    std::set_new_handler(nullptr);
    outcome expected = throwing ? outcome::bad_alloc : outcome::null;
    CHECK_MSG(outcome_of(call) == expected, "%s without a handler", what);

    handler_calls = 0;
    std::set_new_handler(handler_gives_up);
    CHECK_MSG(outcome_of(call) == expected, "%s with a handler that gives up", what);
    CHECK_MSG(handler_calls == 3, "%s called the handler %d times, not 3", what, handler_calls);

    handler_calls = 0;
    std::set_new_handler(handler_throws);
    expected = throwing ? outcome::own_failure : outcome::null;
    CHECK_MSG(outcome_of(call) == expected, "%s with a handler that throws", what);
    CHECK_INT(handler_calls, 1);
    std::set_new_handler(nullptr);
}

static void check_all_without_memory() {
    std::align_val_t a{128};
    check_no_memory([](size_t n) { return ::operator new(n); }, true, "new");
    check_no_memory([](size_t n) { return ::operator new[](n); }, true, "new[]");
    check_no_memory([=](size_t n) { return ::operator new(n, a); }, true, "aligned new");
    check_no_memory([=](size_t n) { return ::operator new[](n, a); }, true, "aligned new[]");
    check_no_memory([](size_t n) { return ::operator new(n, std::nothrow); }, false, "nothrow new");
    check_no_memory([](size_t n) { return ::operator new[](n, std::nothrow); }, false,
                    "nothrow new[]");
    check_no_memory([=](size_t n) { return ::operator new(n, a, std::nothrow); }, false,
                    "aligned nothrow new");
    check_no_memory([=](size_t n) { return ::operator new[](n, a, std::nothrow); }, false,
                    "aligned nothrow new[]");

    bool caught = false; /* the same through a container */
    try {
        std::vector<long> v(std::vector<long>().max_size());
        CHECK(v.empty());
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught);
}

/* ---- a handler that makes room ---- */

static const size_t RESERVE_BYTES = size_t(1) << 30;
static const size_t WANTED_BYTES = size_t(900) << 20;
static void *reserve;
static rlimit old_limit;

static void handler_frees_reserve() {
    handler_calls++;
    free(reserve);
    reserve = nullptr;
    std::set_new_handler(nullptr);
}

static void handler_raises_limit() {
    handler_calls++;
    setrlimit(RLIMIT_AS, &old_limit);
    std::set_new_handler(nullptr);
}

static void check_rescue(std::new_handler handler, const char *what) {
    enum { ATTEMPTS = 8 };
    void *blocks[ATTEMPTS];
    int count = 0;
    getrlimit(RLIMIT_AS, &old_limit);
    reserve = malloc(RESERVE_BYTES);
    CHECK(reserve != nullptr);
    rlimit tight = old_limit;
    tight.rlim_cur = statm_bytes(0) + (size_t(64) << 20);
    if (setrlimit(RLIMIT_AS, &tight) != 0) {
        dprintf(1, "no check of %s: setrlimit: errno %d\n", what, errno);
        return;
    }
    handler_calls = 0;
    std::set_new_handler(handler);
    try {
        while (handler_calls == 0 && count < ATTEMPTS) {
            blocks[count] = hidden_new(WANTED_BYTES);
            count++;
        }
    } catch (const std::bad_alloc &) {
        CHECK_MSG(0, "%s: bad_alloc although the handler made room", what);
    }
    setrlimit(RLIMIT_AS, &old_limit);
    CHECK_MSG(handler_calls == 1, "%s: handler called %d times", what, handler_calls);
    std::set_new_handler(nullptr);
    for (int i = 0; i < count; i++) {
        ::operator delete(blocks[i], WANTED_BYTES);
    }
    free(reserve);
}

/* ---- everyday use ---- */

struct alignas(256) wide {
    unsigned char bytes[256];
};

struct counted {
    static int live;
    counted() { live++; }
    ~counted() { live--; }
    std::string text = "long enough to live outside of the string object";
};
int counted::live;

static void check_containers() {
    std::map<int, std::string> map;
    std::vector<std::unique_ptr<wide>> wides;
    for (int i = 0; i < 5000; i++) {
        map[i * 7919 % 5000] = std::string(size_t(i % 300), 'x');
        wides.push_back(std::make_unique<wide>());
        CHECK(reinterpret_cast<uintptr_t>(wides.back().get()) % alignof(wide) == 0);
    }
    CHECK_INT(map.size(), 5000);
    std::vector<int> values(100000);
    for (size_t i = 0; i < values.size(); i++) {
        values[i] = int(i * 7919 % 100003);
    }
    std::stable_sort(values.begin(), values.end()); /* takes its buffer from nothrow new */
    CHECK(std::is_sorted(values.begin(), values.end()));
    counted *array = new counted[1000];
    CHECK_INT(counted::live, 1000);
    delete[] array;
    CHECK_INT(counted::live, 0);
    std::vector<wide> grown;
    for (int i = 0; i < 3000; i++) {
        grown.emplace_back().bytes[255] = static_cast<unsigned char>(i);
        CHECK(reinterpret_cast<uintptr_t>(grown.data()) % alignof(wide) == 0);
    }
}

static void check_home() {
    Dl_info info;
    void *address = reinterpret_cast<void *>(static_cast<void *(*)(size_t)>(&::operator new));
    CHECK(dladdr(address, &info) != 0);
#ifdef CXX_HEADER
    CHECK_MSG(strstr(info.dli_fname, test_name) != nullptr, "new is in %s", info.dli_fname);
#else
    const char *object = check_object_of("_Znwm");
    CHECK_MSG(strstr(object, check_allocator()) != nullptr, "new is in %s", object);
#endif
}

int main() {
    static const size_t sizes[] = {1, 16, 100, 1000, 5000, 70000, 300000, 5000000};
    check_begin();
    check_home();
    for (size_t n : sizes) {
        check_plain(n);
        for (size_t a = 8; a <= size_t(4) << 20; a *= 2) {
            check_aligned(n, a);
        }
    }
    check_null_and_zero();
    check_containers();
    check_all_without_memory();
    check_rescue(handler_frees_reserve, "handler that frees");
    check_rescue(handler_raises_limit, "handler that raises the limit");
    return check_end(test_name);
}
