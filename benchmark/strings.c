/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Strings: a hash map from word to text, as interpreters and text tools keep them.
 *
 * Words are drawn with a skew towards frequent ones. A word's text grows by appended pieces; a long
 * text is split into its pieces (each a string of its own), which are put together again in the
 * opposite order and cut; words are also deleted. The map doubles its bucket array with calloc as
 * it grows.
 */
#include "bench_common.h"

enum {
    WORDS = 120000,
    STEPS = 1400000,
    TEXT_SPLIT = 240,
    PIECES_MAX = 64,
    DELETE_EVERY = 16,
    BUCKETS_FIRST = 64
};

typedef struct entry {
    struct entry *next;
    char *word;
    char *text;
    size_t length; /* of text */
    uint32_t hash;
} entry_t;

typedef struct {
    entry_t **bucket;
    size_t buckets; /* power of two */
    size_t entries;
} map_t;

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    long steps;
    uint64_t check;
} worker_t;

static uint32_t word_hash(const char *word) {
    uint32_t hash = 2166136261u;
    for (; *word != '\0'; word++) {
        hash = (hash ^ (unsigned char)*word) * 16777619u;
    }
    return hash;
}

static void map_grow(map_t *map) {
    size_t buckets = map->buckets == 0 ? BUCKETS_FIRST : map->buckets * 2;
    entry_t **bucket = bench_need(calloc(buckets, sizeof *bucket));
    for (size_t i = 0; i < map->buckets; i++) {
        for (entry_t *e = map->bucket[i], *next; e != NULL; e = next) {
            next = e->next;
            e->next = bucket[e->hash & (buckets - 1)];
            bucket[e->hash & (buckets - 1)] = e;
        }
    }
    free(map->bucket);
    map->bucket = bucket;
    map->buckets = buckets;
}

/* The link that points to the word's entry, or to the NULL at the end of its chain. */
static entry_t **map_find(map_t *map, const char *word, uint32_t hash) {
    entry_t **link = &map->bucket[hash & (map->buckets - 1)];
    while (*link != NULL && ((*link)->hash != hash || strcmp((*link)->word, word) != 0)) {
        link = &(*link)->next;
    }
    return link;
}

static entry_t *map_add(map_t *map, entry_t **link, const char *word, uint32_t hash) {
    entry_t *e = bench_need(malloc(sizeof *e));
    e->next = NULL;
    e->word = bench_need(strdup(word));
    e->text = bench_need(strdup(word));
    e->length = strlen(word);
    e->hash = hash;
    *link = e;
    map->entries++;
    return e;
}

static void map_drop(map_t *map, entry_t **link) {
    entry_t *e = *link;
    if (strncmp(e->text, e->word, strlen(e->word)) != 0 || strlen(e->text) != e->length) {
        bench_fail("a text was overwritten");
    }
    *link = e->next;
    free(e->text);
    free(e->word);
    free(e);
    map->entries--;
}

static void text_append(entry_t *e, const char *piece) {
    size_t add = strlen(piece);
    e->text = bench_need(realloc(e->text, e->length + 1 + add + 1));
    e->text[e->length] = ' ';
    memcpy(e->text + e->length + 1, piece, add + 1);
    e->length += 1 + add;
}

/* Cuts the text at its blanks and keeps the word and the latter half of the pieces, in opposite
 * order. */
static void text_rebuild(entry_t *e) {
    char *piece[PIECES_MAX];
    int pieces = 0;
    for (const char *at = e->text; pieces < PIECES_MAX;) {
        size_t length = strcspn(at, " ");
        piece[pieces++] = bench_need(strndup(at, length));
        if (at[length] == '\0') {
            break;
        }
        at += length + 1;
    }
    free(e->text);
    e->text = bench_need(strdup(e->word));
    e->length = strlen(e->word);
    for (int i = pieces - 1; i >= 0; i--) {
        if (i > pieces / 2) {
            text_append(e, piece[i]);
        }
        free(piece[i]);
    }
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    bench_rng_t rng = bench_seed((uint64_t)worker->index);
    map_t map = {NULL, 0, 0};
    char word[64], piece[64];
    map_grow(&map);
    for (long i = 0; i < worker->steps; i++) {
        uint32_t limit = (uint32_t)WORDS >> bench_below(&rng, 12);
        uint32_t number = bench_below(&rng, limit);
        /* The number's own digits decide the length of its word, so that a word is always spelt
         * alike. */
        snprintf(word, sizeof word, "w%0*x", (int)(4 + number % 23), number);
        uint32_t hash = word_hash(word);
        entry_t **link = map_find(&map, word, hash);
        if (*link == NULL) {
            map_add(&map, link, word, hash);
            if (map.entries > map.buckets) {
                map_grow(&map);
            }
        } else if (bench_below(&rng, DELETE_EVERY) == 0) {
            map_drop(&map, link);
        } else {
            snprintf(piece, sizeof piece, "%x",
                     (uint32_t)bench_random(&rng) >> bench_below(&rng, 28));
            text_append(*link, piece);
            if ((*link)->length > TEXT_SPLIT) {
                text_rebuild(*link);
            }
        }
    }
    for (size_t i = 0; i < map.buckets; i++) {
        while (map.bucket[i] != NULL) {
            worker->check += map.bucket[i]->length * map.bucket[i]->hash;
            map_drop(&map, &map.bucket[i]);
        }
    }
    free(map.bucket);
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("strings", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].index = i;
        workers[i].steps = bench_scaled(&bench, STEPS);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t check = 0;
    for (int i = 0; i < bench.threads; i++) {
        check += workers[i].check;
    }
    bench_end(&bench, (uint64_t)bench.threads * (uint64_t)workers[0].steps, check);
    return 0;
}
