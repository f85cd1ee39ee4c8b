/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * threads_cxx.cpp - thread_local and static C++ objects whose constructors and destructors
 * allocate.
 *
 * The destructors run at the end of a thread next to the destructors of thread keys, and at exit
 * next to those of libraries; malloc and free must work from all of them.
 */
#include "pattern.h"

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

static std::atomic<long> alive{0}, ended{0};

struct cache {
    std::map<int, std::string> entries;
    cache() {
        alive++;
        for (int i = 0; i < 50; i++) {
            entries[i] = std::string(size_t(i) * 40, 'c');
        }
    }
    ~cache() {
        std::string sum;
        for (auto &entry : entries) {
            CHECK(entry.second == std::string(size_t(entry.first) * 40, 'c'));
            sum += entry.second;
        }
        CHECK_INT(sum.size(), 49 * 50 / 2 * 40);
        alive--;
        ended++;
    }
};

/* Made only when the destructor of another thread_local asks for it. */
static thread_local cache *late;

struct late_user {
    std::vector<std::string> words{"a", "b"};
    ~late_user() {
        late = new cache;
        delete late;
    }
};

static thread_local cache thread_cache;
static thread_local late_user thread_late;
static cache global_cache; /* destroyed after main returned */

struct at_exit {
    std::string text = std::string(5000, 'x');
    ~at_exit() {
        std::vector<std::string> copies(100, text);
        CHECK(copies[99] == text);
        if (check_failures != 0) {
            _exit(1); /* main's status is already decided */
        }
    }
};
static at_exit global_at_exit;

static void thread_main(std::vector<std::string> *out, int number) {
    thread_cache.entries[0].clear();
    thread_late.words.push_back("c");
    out->push_back(std::string(size_t(number), 'r')); /* freed by main */
}

int main() {
    check_begin();
    for (int round = 0; round < 300; round++) {
        std::vector<std::string> results[4];
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++) {
            threads.emplace_back(thread_main, &results[t], round * t);
        }
        for (auto &thread : threads) {
            thread.join();
        }
        for (int t = 0; t < 4; t++) {
            CHECK(results[t].at(0).size() == size_t(round * t));
        }
    }
    CHECK_INT(alive, 1);           /* global_cache */
    CHECK_INT(ended, 300 * 4 * 2); /* thread_cache and the late one */
    thread_cache.entries[1] += ""; /* main's own, destroyed at exit */
    return check_end("threads_cxx");
}
