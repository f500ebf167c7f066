/* The pool covers every index once, whatever the number of threads and indices, job after job. */
#include <criterion/criterion.h>

#include "moire/run.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 5000 };

typedef struct tally {
  atomic_int seen[MOST];
} tally;

static void count(void *context, int64_t begin, int64_t end) {
  tally *t = context;
  for (int64_t i = begin; i < end; i++) atomic_fetch_add(&t->seen[i], 1);
}

Test(threads, every_index_once) {
  static const int64_t sizes[] = {0, 1, 2, 3, 7, 16, 17, 100, 999, MOST};
  static tally t;
  for (int n = 1; n <= 5; n++) {
    moire_error error = {0};
    moire_threads *threads = moire_threads_create(n, &error);
    cr_assert_not_null(threads, "%s", error.message);
    cr_assert_eq(moire_threads_count(threads), n);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      memset(&t, 0, sizeof t);
      moire_threads_run(threads, sizes[s], count, &t);
      for (int64_t i = 0; i < MOST; i++) cr_assert_eq(t.seen[i], i < sizes[s] ? 1 : 0);
    }
    moire_threads_destroy(threads);
  }
}

/* A kernel's locals may fill 1 MiB. */
static void use_stack(void *context, int64_t begin, int64_t end) {
  volatile char block[1 << 20];
  for (size_t i = 0; i < sizeof block; i += 4096) block[i] = (char)end;
  atomic_fetch_add((atomic_int *)context, (int)(end - begin) + (block[4096] - (char)end));
}

Test(threads, stacks_are_deep) {
  moire_threads *threads = moire_threads_create(3, NULL);
  atomic_int total = 0;
  for (int i = 0; i < 50; i++) moire_threads_run(threads, 20, use_stack, &total);
  cr_assert_eq(total, 1000);
  moire_threads_destroy(threads);
}

Test(threads, a_wrong_number_is_refused) {
  static const int wrong[] = {-1, 0, 1025};
  for (size_t i = 0; i < 3; i++) {
    moire_error error = {0};
    cr_assert_null(moire_threads_create(wrong[i], &error));
    cr_assert_eq(error.status, MOIRE_ERROR_ARGUMENT);
    cr_assert(strstr(error.message, "from 1 to 1024"));
  }
  moire_threads_destroy(NULL);
}

/* The workers sleep, spin or are about to, when the process forks: none of them is in the child. */
Test(threads, a_forked_child_works_alone_and_ends, .timeout = 60) {
  for (int i = 0; i < 100; i++) {
    moire_threads *threads = moire_threads_create(4, NULL);
    atomic_int total = 0;
    moire_threads_run(threads, 20, use_stack, &total);
    if (i % 4 == 0) usleep(3000);
    pid_t child = fork();
    if (child == 0) {
      moire_threads_run(threads, 20, use_stack, &total);
      moire_threads_destroy(threads);
      _exit(atomic_load(&total) == 40 ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "try %d: status %d", i, status);
    moire_threads_destroy(threads);
  }
}
