// Counts what a program allocates and frees, on the side of C and on Python's.
//
// To be preloaded (LD_PRELOAD): every malloc, calloc, realloc, ..., free of the process
// then passes through here. count_python() does the same to the three domains of
// CPython's allocators, most of whose blocks malloc never sees. keep_heap() keeps the
// counters of a moment, without allocating; heap_change() tells two moments apart.
// Compile with: -shared -fPIC

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

// glibc's own, under the names it keeps for those who replace them.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

enum Domain { kRaw, kMem, kObj, kC, kDomains };
enum Counter { kAllocations, kBlocks, kBytes, kCounters };  // bytes of C only
enum { kMoments = 2 };

static _Atomic long now[kDomains][kCounters];
static long kept[kMoments][kDomains][kCounters];

static void count(enum Domain domain, enum Counter counter, long change) {
    atomic_fetch_add_explicit(&now[domain][counter], change, memory_order_relaxed);
}

static void *came(enum Domain domain, void *block) {
    if (!block) return NULL;
    count(domain, kAllocations, 1);
    count(domain, kBlocks, 1);
    if (domain == kC) count(domain, kBytes, (long)malloc_usable_size(block));
    return block;
}

static void goes(enum Domain domain, void *block) {
    if (!block) return;
    count(domain, kBlocks, -1);
    if (domain == kC) count(domain, kBytes, -(long)malloc_usable_size(block));
}

void *malloc(size_t size) { return came(kC, __libc_malloc(size)); }
void *calloc(size_t number, size_t size) { return came(kC, __libc_calloc(number, size)); }
void *memalign(size_t alignment, size_t size) {
    return came(kC, __libc_memalign(alignment, size));
}
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block) {
    goes(kC, block);
    __libc_free(block);
}

void *realloc(void *block, size_t size) {
    long bytes_before = block ? (long)malloc_usable_size(block) : 0;
    void *made = __libc_realloc(block, size);
    if (!made && size) return NULL;  // the old one stays
    count(kC, kAllocations, 1);
    count(kC, kBlocks, (made != NULL) - (block != NULL));
    count(kC, kBytes, (made ? (long)malloc_usable_size(made) : 0) - bytes_before);
    return made;
}

void *reallocarray(void *block, size_t number, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(number, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

// --- Python's, laid out as PyMemAllocatorEx ------------------------------------------------

typedef struct {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t number, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
} Allocator;

__attribute__((weak)) void PyMem_GetAllocator(int domain, Allocator *allocator);
__attribute__((weak)) void PyMem_SetAllocator(int domain, Allocator *allocator);

static Allocator originals[kC];  // a context is the address of one

static enum Domain domain_of(Allocator *original) { return (enum Domain)(original - originals); }

static void *python_malloc(void *context, size_t size) {
    Allocator *original = context;
    return came(domain_of(original), original->malloc(original->context, size));
}

static void *python_calloc(void *context, size_t number, size_t size) {
    Allocator *original = context;
    return came(domain_of(original), original->calloc(original->context, number, size));
}

static void *python_realloc(void *context, void *block, size_t size) {
    Allocator *original = context;
    void *made = original->realloc(original->context, block, size);
    if (!made) return NULL;  // the old one stays
    goes(domain_of(original), block);
    return came(domain_of(original), made);
}

static void python_free(void *context, void *block) {
    Allocator *original = context;
    goes(domain_of(original), block);
    original->free(original->context, block);
}

// REQUIRES: the GIL.
void count_python(void) {
    for (int domain = 0; domain < kC; domain++) {
        PyMem_GetAllocator(domain, &originals[domain]);
        Allocator counting = {&originals[domain], python_malloc, python_calloc, python_realloc,
                              python_free};
        PyMem_SetAllocator(domain, &counting);
    }
}

// --- moments ------------------------------------------------------------------------------

void keep_heap(int moment) {
    for (int domain = 0; domain < kDomains; domain++)
        for (int counter = 0; counter < kCounters; counter++)
            kept[moment][domain][counter] = now[domain][counter];
}

// How much `counter` of `domain` grew from the first moment to the second.
long heap_change(int domain, int counter) {
    return kept[1][domain][counter] - kept[0][domain][counter];
}
