/* The heap with a hook for failure, and arenas of doubling chunks on top of it. */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct moire__arena_chunk {
  moire__arena_chunk *previous;
  size_t bytes;
};

enum { ALIGNMENT = 16, FIRST_CHUNK = 4096, LARGEST_CHUNK = 1 << 20 };

static void *heap_resize(void *context, void *block, size_t bytes) {
  (void)context;
#ifdef MOIRE_HOSTILE
  static long until_failure = -1;
  if (until_failure < 0) {
    const char *wanted = getenv("MOIRE_FAIL_ALLOCATION");
    until_failure = wanted ? atol(wanted) : 0;
  }
  if (bytes && until_failure > 0 && --until_failure == 0) return NULL;
#endif
  if (bytes == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, bytes);
}

static _Thread_local const char *purpose;

const char *moire__memory_purpose(const char *what) {
  const char *before = purpose;
  purpose = what;
  return before;
}

static void heap_out_of_memory(void *context, size_t bytes) {
  (void)context;
  fprintf(stderr, "moire: out of memory: %zu bytes could not be had%s%s\n", bytes, purpose ? " for " : "",
          purpose ? purpose : "");
  exit(1);
}

const moire__allocator *moire__heap(void) {
  static const moire__allocator heap = {NULL, heap_resize, heap_out_of_memory};
  return &heap;
}

static void *resize_or_fail(const moire__allocator *from, void *block, size_t bytes) {
  void *result = from->resize(from->context, block, bytes ? bytes : 1);
  if (!result) {
    from->out_of_memory(from->context, bytes);
    abort();
  }
  return result;
}

void *moire__allocate(size_t bytes) {
  void *block = resize_or_fail(moire__heap(), NULL, bytes);
  memset(block, 0, bytes);
  return block;
}

void *moire__allocate_array(size_t n, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(n, size, &bytes)) bytes = SIZE_MAX;
  if (bytes > PTRDIFF_MAX) {
    moire__heap()->out_of_memory(NULL, bytes);
    abort();
  }
  return moire__allocate(bytes);
}

void *moire__resize(void *block, size_t bytes) { return resize_or_fail(moire__heap(), block, bytes); }

void moire__release(void *block) {
  if (block) moire__heap()->resize(NULL, block, 0);
}

/* The word before the aligned address holds the pointer that the heap gave. */
static void *mark(void *start, char *block, size_t bytes) {
  memcpy((char *)start - sizeof(void *), &block, sizeof block);
#ifdef MOIRE_HOSTILE
  memset(start, 0xff, bytes);
#else
  (void)bytes;
#endif
  return start;
}

/* ---- Large blocks ----
 *
 * They ask for pages of 2 MiB, which the system gives where it may: a stream over pages of 4 KiB waits for the
 * next one's address every 64 lines, since a processor's prefetcher ends with its page. They begin at different
 * lines of a cache's period, since loops walk several of them at once.
 */

enum { HUGE_PAGE = 1 << 21, LARGE = 2 * HUGE_PAGE, LINE = 64, STARTS = 61, LINES_APART = 17 };

static size_t next_start(void) {
  static atomic_uint n;
  return (size_t)(atomic_fetch_add_explicit(&n, 1, memory_order_relaxed) % STARTS) * LINES_APART * LINE;
}

static void *allocate_large(size_t bytes, size_t alignment) {
  size_t offset = (next_start() + alignment - 1) / alignment * alignment;
  size_t room = bytes + offset + HUGE_PAGE + sizeof(void *);
  char *block = moire__resize(NULL, room);
  uintptr_t first = ((uintptr_t)block + sizeof(void *) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
#ifdef MADV_HUGEPAGE
  madvise((void *)first, (offset + bytes) / HUGE_PAGE * HUGE_PAGE,
          MADV_HUGEPAGE); /* no harm where it is refused */
#endif
  return mark((void *)(first + offset), block, bytes);
}

void *moire__allocate_aligned_unset(size_t bytes, size_t alignment) {
  if (bytes >= LARGE && bytes < PTRDIFF_MAX / 2 && alignment <= HUGE_PAGE)
    return allocate_large(bytes, alignment);
  char *block = moire__resize(NULL, bytes + alignment + sizeof(void *));
  uintptr_t start = ((uintptr_t)block + sizeof(void *) + alignment - 1) / alignment * alignment;
  return mark((void *)start, block, bytes);
}

void *moire__allocate_aligned(size_t bytes, size_t alignment) {
  void *block = moire__allocate_aligned_unset(bytes, alignment);
  memset(block, 0, bytes);
  return block;
}

void moire__release_aligned(void *block) {
  if (!block) return;
  void *start = NULL;
  memcpy(&start, (char *)block - sizeof(void *), sizeof start);
  moire__release(start);
}

static void add_chunk(moire__arena *arena, size_t bytes) {
  size_t header = (sizeof(moire__arena_chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  size_t size = arena->chunks ? arena->chunks->bytes * 2 : FIRST_CHUNK;
  if (size > LARGEST_CHUNK) size = LARGEST_CHUNK;
#ifdef MOIRE_HOSTILE
  size = 0; /* every allocation is a chunk, so that each can fail and none hides an overrun of another */
#endif
  if (size < bytes + header) size = bytes + header;
  const moire__allocator *from = arena->allocator ? arena->allocator : moire__heap();
  moire__arena_chunk *chunk = resize_or_fail(from, NULL, size);
  chunk->previous = arena->chunks;
  chunk->bytes = size;
  arena->chunks = chunk;
  arena->next = (char *)chunk + header;
  arena->end = (char *)chunk + size;
}

void *moire__arena_alloc(moire__arena *arena, size_t bytes) {
  const moire__allocator *from = arena->allocator ? arena->allocator : moire__heap();
  if (bytes > PTRDIFF_MAX) {
    from->out_of_memory(from->context, bytes);
    abort();
  }
  size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (!arena->next || (size_t)(arena->end - arena->next) < rounded) add_chunk(arena, rounded);
  void *block = arena->next;
  arena->next += rounded;
  memset(block, 0, rounded);
  return block;
}

void *moire__arena_array(moire__arena *arena, size_t n, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX) {
    const moire__allocator *from = arena->allocator ? arena->allocator : moire__heap();
    from->out_of_memory(from->context, SIZE_MAX);
    abort();
  }
  return moire__arena_alloc(arena, bytes);
}

char *moire__arena_copy_string(moire__arena *arena, const char *text) {
  size_t bytes = strlen(text) + 1;
  return memcpy(moire__arena_alloc(arena, bytes), text, bytes);
}

char *moire__arena_printf(moire__arena *arena, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *text = moire__arena_alloc(arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

void moire__arena_free(moire__arena *arena) {
  const moire__allocator *from = arena->allocator ? arena->allocator : moire__heap();
  while (arena->chunks) {
    moire__arena_chunk *previous = arena->chunks->previous;
    from->resize(from->context, arena->chunks, 0);
    arena->chunks = previous;
  }
  arena->next = arena->end = NULL;
}

void *moire__arena_grow(moire__arena *arena, void *items, int count, int *capacity, size_t size) {
  int larger = *capacity ? *capacity * 2 : 8;
  void *copy = moire__arena_array(arena, (size_t)larger, size);
  if (count) memcpy(copy, items, (size_t)count * size);
  *capacity = larger;
  return copy;
}
