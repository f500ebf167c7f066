/* Memory by lifetime: an arena hands out pieces and frees them all at once.
 *
 * Allocation never returns NULL. When memory cannot be had, the out-of-memory hook is called; the default
 * prints one sentence and exits with status 1 (files are always written beside, synced and renamed, so nothing
 * on disk is lost). A test, or a program that embeds Moire, installs an allocator of its own, whose hook may
 * longjmp but must not return.
 */
#ifndef MOIRE_RUNTIME_BASE_MEMORY_H
#define MOIRE_RUNTIME_BASE_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

/* Where memory comes from. `resize` follows realloc (bytes 0 frees and returns NULL). */
typedef struct moire__allocator {
  void *context;
  void *(*resize)(void *context, void *block, size_t bytes);
  void (*out_of_memory)(void *context, size_t bytes); /* does not return */
} moire__allocator;

/* malloc's heap, with the default hook. With MOIRE_FAIL_ALLOCATION=n in the environment of a hostile build
 * (-DMOIRE_HOSTILE=1), the n-th allocation fails. */
const moire__allocator *moire__heap(void);

void *moire__allocate(size_t bytes);                /* zeroed, from the heap; owned; free with moire__release */
void *moire__allocate_array(size_t n, size_t size); /* zeroed; a product that overflows is out of memory */
void *moire__resize(void *block, size_t bytes);     /* as realloc; new bytes are not zeroed */
void moire__release(void *block);                   /* NULL is fine */
void *moire__allocate_aligned(size_t bytes, size_t alignment); /* zeroed; free with moire__release_aligned */
/* The same with unset contents (all bits set in a hostile build, NaN as floats), so that pages which nothing
 * writes take no memory. */
void *moire__allocate_aligned_unset(size_t bytes, size_t alignment);
void moire__release_aligned(void *block);

/* What this thread takes memory for from now on, for the hook's sentence: "data.txt", "a step of qia (…)";
 * NULL: not said. Borrows; returns what it was before, to be put back. */
const char *moire__memory_purpose(const char *what);

typedef struct moire__arena_chunk moire__arena_chunk;

/* Zero-initialise: `moire__arena arena = {0};` draws from the heap. Not thread-safe. */
typedef struct moire__arena {
  const moire__allocator *allocator; /* borrows; NULL means moire__heap() */
  moire__arena_chunk *chunks;
  char *next, *end;
} moire__arena;

void *moire__arena_alloc(moire__arena *arena, size_t bytes); /* zeroed, aligned to 16 bytes */
void *moire__arena_array(moire__arena *arena, size_t n, size_t size);
char *moire__arena_copy_string(moire__arena *arena, const char *text);
char *moire__arena_printf(moire__arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void moire__arena_free(moire__arena *arena); /* frees everything; the arena is as new */

/* Growable arrays in an arena: `MOIRE__PUSH(arena, items, count, capacity, value)`. The old array stays in the
 * arena until it is freed, so pointers into it stay readable. */
void *moire__arena_grow(moire__arena *arena, void *items, int count, int *capacity, size_t size);
#define MOIRE__PUSH(arena, items, count, capacity, value)                                                      \
  do {                                                                                                         \
    if ((count) == (capacity))                                                                                 \
      (items) = moire__arena_grow((arena), (items), (count), &(capacity), sizeof *(items));                    \
    (items)[(count)++] = (value);                                                                              \
  } while (0)

#endif
