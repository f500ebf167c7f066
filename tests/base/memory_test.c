/* The heap, arenas, and what happens when memory runs out. The arenas of most cases draw from an allocator that
 * counts what is out and fails on demand; its hook jumps back into the test. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdlib.h>
#include <string.h>

typedef struct counter {
  int calls;   /* requests so far */
  int fail_at; /* the request that fails; 0: none does */
  int out;     /* blocks that were handed out and not given back */
  size_t wanted;
  jmp_buf back;
} counter;

static void *count_resize(void *context, void *block, size_t bytes) {
  counter *c = context;
  if (bytes == 0) {
    if (block) c->out--;
    free(block);
    return NULL;
  }
  if (++c->calls == c->fail_at) return NULL;
  if (!block) c->out++;
  return realloc(block, bytes);
}

static void count_out_of_memory(void *context, size_t bytes) {
  counter *c = context;
  c->wanted = bytes;
  longjmp(c->back, 1);
}

static moire__allocator counting(counter *c) {
  return (moire__allocator){c, count_resize, count_out_of_memory};
}

static bool all_zero(const void *block, size_t bytes) {
  const char *p = block;
  for (size_t i = 0; i < bytes; i++)
    if (p[i]) return false;
  return true;
}

Test(heap, blocks_are_zeroed_and_keep_their_contents_when_resized) {
  char *block = moire__allocate(100);
  cr_assert(all_zero(block, 100), "fresh memory is zero");
  memset(block, 7, 100);
  block = moire__resize(block, 10000);
  for (int i = 0; i < 100; i++) cr_assert_eq(block[i], 7);
  moire__release(block);

  char *fresh = moire__resize(NULL, 8);
  cr_assert_not_null(fresh);
  moire__release(fresh);
  moire__release(NULL);
}

Test(heap, nothing_is_a_block_too) {
  void *a = moire__allocate(0), *b = moire__allocate_array(0, 8), *c = moire__resize(NULL, 0);
  cr_assert_not_null(a);
  cr_assert_not_null(b);
  cr_assert_not_null(c);
  moire__release(a);
  moire__release(b);
  moire__release(c);
}

Test(heap, aligned_blocks_are_aligned_and_zeroed) {
  for (size_t alignment = 1; alignment <= 4096; alignment *= 2)
    for (size_t bytes = 0; bytes < 200; bytes += 33) {
      char *block = moire__allocate_aligned(bytes, alignment);
      cr_assert_eq((uintptr_t)block % alignment, 0, "%zu bytes at %zu", bytes, alignment);
      cr_assert(all_zero(block, bytes), "%zu bytes at %zu", bytes, alignment);
      memset(block, 1, bytes);
      moire__release_aligned(block);
    }
  moire__release_aligned(NULL);
}

Test(heap, a_product_that_overflows_ends_the_program, .exit_code = 1) {
  moire__allocate_array(SIZE_MAX / 2, 3);
}

Test(heap, a_product_past_the_address_space_ends_the_program, .exit_code = 1) {
  moire__allocate_array(SIZE_MAX / 4, 3);
}

Test(heap, what_the_memory_was_for_is_told) {
  int ends[2];
  cr_assert_eq(pipe(ends), 0);
  pid_t child = fork();
  if (!child) {
    dup2(ends[1], 2);
    moire__memory_purpose("bread");
    const char *before = moire__memory_purpose("butter");
    moire__memory_purpose(before);
    moire__allocate_array(SIZE_MAX / 4, 3);
    _exit(0);
  }
  close(ends[1]);
  char text[200] = {0};
  ssize_t n = read(ends[0], text, sizeof text - 1);
  int status = 0;
  waitpid(child, &status, 0);
  close(ends[0]);
  cr_assert_gt(n, 0);
  cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  cr_assert(strstr(text, "out of memory") && strstr(text, "could not be had for bread\n"), "%s", text);
}

#ifdef MOIRE_HOSTILE
Test(heap, the_nth_allocation_fails_in_a_hostile_build, .exit_code = 1) {
  setenv("MOIRE_FAIL_ALLOCATION", "3", 1);
  for (int i = 0; i < 2; i++) moire__release(moire__allocate(8)); /* releasing does not count */
  moire__allocate(8);
  cr_assert_fail("the third allocation has not failed");
}
#endif

Test(arena, pieces_are_zeroed_aligned_and_apart) {
  counter c = {0};
  moire__allocator from = counting(&c);
  moire__arena arena = {.allocator = &from};
  static char *pieces[2000];
  for (int i = 0; i < 2000; i++) {
    size_t bytes = (size_t)(i * 7 % 300);
    pieces[i] = moire__arena_alloc(&arena, bytes);
    cr_assert_eq((uintptr_t)pieces[i] % 16, 0);
    cr_assert(all_zero(pieces[i], bytes), "piece %d", i);
    memset(pieces[i], i % 100 + 1, bytes);
  }
  for (int i = 0; i < 2000; i++)
    for (int j = 0; j < i * 7 % 300; j++) cr_assert_eq(pieces[i][j], i % 100 + 1, "piece %d, byte %d", i, j);
#ifndef MOIRE_HOSTILE
  cr_assert_lt(c.calls, 20, "chunks grow: %d calls", c.calls);
#endif
  moire__arena_free(&arena);
  cr_assert_eq(c.out, 0, "everything is given back");
}

Test(heap, large_blocks_are_aligned_zeroed_and_begin_at_different_lines) {
  enum { N = 8, BYTES = (4 << 20) + 100 };
  char *blocks[N];
  for (int i = 0; i < N; i++) {
    blocks[i] = moire__allocate_aligned(BYTES, 64);
    cr_assert_eq((uintptr_t)blocks[i] % 64, 0);
    cr_assert(all_zero(blocks[i], BYTES));
    memset(blocks[i], i + 1, BYTES);
    for (int j = 0; j < i; j++) cr_assert_neq((uintptr_t)blocks[i] % 4096, (uintptr_t)blocks[j] % 4096);
  }
  for (int i = 0; i < N; i++) {
    cr_assert_eq(blocks[i][0], i + 1);
    cr_assert_eq(blocks[i][BYTES - 1], i + 1);
    moire__release_aligned(blocks[i]);
  }
}

Test(arena, a_piece_may_be_larger_than_any_chunk) {
  counter c = {0};
  moire__allocator from = counting(&c);
  moire__arena arena = {.allocator = &from};
  char *small = moire__arena_alloc(&arena, 10);
  size_t bytes = (size_t)5 << 20;
  char *large = moire__arena_alloc(&arena, bytes);
  cr_assert(all_zero(large, bytes));
  memset(large, 1, bytes);
  cr_assert(all_zero(small, 10));
  char *after = moire__arena_alloc(&arena, 10);
  cr_assert(all_zero(after, 10));
  moire__arena_free(&arena);
  cr_assert_eq(c.out, 0);
}

Test(arena, once_freed_it_is_as_new) {
  counter c = {0};
  moire__allocator from = counting(&c);
  moire__arena arena = {.allocator = &from};
  moire__arena_free(&arena);
  for (int round = 0; round < 3; round++) {
    char *piece = moire__arena_alloc(&arena, 1000);
    cr_assert(all_zero(piece, 1000));
    memset(piece, 9, 1000);
    moire__arena_free(&arena);
    cr_assert_eq(c.out, 0);
  }
}

Test(arena, strings_are_copied_and_printed) {
  moire__arena arena = {0};
  char text[] = "layers.0";
  char *copy = moire__arena_copy_string(&arena, text);
  text[0] = 'L';
  cr_assert_str_eq(copy, "layers.0");
  cr_assert_str_eq(moire__arena_copy_string(&arena, ""), "");
  cr_assert_str_eq(moire__arena_printf(&arena, "%s.%d", "attn", 12), "attn.12");
  char *padded = moire__arena_printf(&arena, "%*d", 9000, 1);
  cr_assert_eq(strlen(padded), 9000);
  cr_assert_eq(padded[8999], '1');
  moire__arena_free(&arena);
}

Test(arena, arrays_grow_and_the_old_ones_stay_readable) {
  moire__arena arena = {0};
  int *items = NULL, count = 0, capacity = 0;
  for (int i = 0; i < 8; i++) MOIRE__PUSH(&arena, items, count, capacity, i);
  const int *before = items;
  for (int i = 8; i < 1000; i++) MOIRE__PUSH(&arena, items, count, capacity, i);
  cr_assert_eq(count, 1000);
  cr_assert_geq(capacity, count);
  for (int i = 0; i < count; i++) cr_assert_eq(items[i], i);
  for (int i = 0; i < 8; i++) cr_assert_eq(before[i], i);
  moire__arena_free(&arena);
}

/* Fills an arena with 4000 pieces, so that it needs several chunks. */
static void fill(moire__arena *arena) {
  for (int i = 0; i < 4000; i++) moire__arena_alloc(arena, 64);
}

Test(arena, whichever_request_fails_the_hook_is_called_and_all_can_be_freed) {
  static counter c; /* static: longjmp leaves changed automatic variables indeterminate */
  moire__allocator from = counting(&c);
  static moire__arena arena;
  arena.allocator = &from;
  fill(&arena);
  moire__arena_free(&arena);
  int requests = c.calls;
  cr_assert_gt(requests, 2);
  for (volatile int n = 1; n <= requests; n++) {
    c.calls = 0;
    c.fail_at = n;
    if (setjmp(c.back) == 0) {
      fill(&arena);
      cr_assert_fail("request %d should have failed", n);
    }
    cr_assert_geq(c.wanted, 64);
    cr_assert_eq(c.out, n - 1, "what was there before stays");
    moire__arena_free(&arena);
    cr_assert_eq(c.out, 0);
  }
}

Test(arena, a_product_that_overflows_calls_the_hook) {
  static counter c; /* static: longjmp leaves changed automatic variables indeterminate */
  moire__allocator from = counting(&c);
  static moire__arena arena;
  arena.allocator = &from;
  static const size_t products[][2] = {{SIZE_MAX, 2}, {SIZE_MAX / 2, 3}, {SIZE_MAX / 4, 3}, {2, SIZE_MAX / 3}};
  for (volatile int i = 0; i < 4; i++)
    if (setjmp(c.back) == 0) {
      moire__arena_array(&arena, products[i][0], products[i][1]);
      cr_assert_fail("product %d should have failed", i);
    }
  cr_assert_eq(c.calls, 0, "nothing is asked of the allocator");
  cr_assert_eq(c.out, 0);
}
