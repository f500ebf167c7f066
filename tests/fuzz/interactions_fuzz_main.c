/* Fuzzes the reader of interactions: texts in every form, with changes, and gzip files. Whatever comes in, a
 * status with a sentence comes out; what is read is consistent, and is read again by its own map as the same.
 *
 *   interactions_fuzz_main [SECONDS [SEED]]       2 seconds, and a seed of the time, which is printed
 *
 * Worth most under AddressSanitizer. */
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/stream.h"
#include "tasks/interactions/interactions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { LARGEST = 1 << 12 };

typedef struct fuzzer {
  moire__random random;
  char bytes[LARGEST];
  size_t n;
  int64_t rounds, read, packed;
} fuzzer;

static uint64_t below(fuzzer *f, uint64_t bound) { return moire__random_below(&f->random, bound); }

static void stop(const char *what, const char *detail) {
  printf("FAILED: %s: %s\n", what, detail);
  exit(1);
}

static void add(fuzzer *f, const char *text) {
  for (; *text && f->n < LARGEST; text++) f->bytes[f->n++] = *text;
}

static void add_id(fuzzer *f, uint64_t most) {
  static const char *const odd[] = {
      "0", "-1", "+3", "007", "x", "\xc3\xa9", "2147483647", "99999999999999999999", "a b"};
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, 1 + below(f, most));
  add(f, below(f, 40) ? text : odd[below(f, sizeof odd / sizeof *odd)]);
}

static void make_text(fuzzer *f) {
  static const char *const separators[] = {"\t", ",", "::", " "}, *const ends[] = {"\n", "\r\n"};
  static const char *const headers[] = {"user_id:token\titem_id:token\trating:float\ttimestamp:float\n",
                                        "userId,movieId,rating,timestamp\n", "\xef\xbb\xbfitem user\n"};
  const char *separator = separators[below(f, 4)], *end = ends[below(f, 2)];
  bool users = !below(f, 3);
  f->n = 0;
  if (!below(f, 4)) add(f, headers[below(f, 3)]);
  uint64_t fields = 2 + below(f, 3);
  for (uint64_t i = 0, n = below(f, 12); i < n; i++) {
    add_id(f, users ? 1000000 : 4);
    for (uint64_t k = 1, last = users ? below(f, 6) : fields; k < last; k++) {
      add(f, separator);
      add_id(f, k == 1 || users ? 9 : 2000000);
    }
    add(f, end);
  }
}

static void change(fuzzer *f) {
  static const char likely[] = "\t ,:\n\r\"0123456789.-+eabusritem\xc3\xff";
  for (uint64_t i = below(f, 4); i > 0 && f->n; i--)
    f->bytes[below(f, f->n)] =
        below(f, 3) ? likely[below(f, sizeof likely - 1)] : (char)moire__random_bits(&f->random);
  if (!below(f, 6)) f->n = below(f, f->n + 1);
}

static void check(const moire__interactions *x, int64_t fewest) {
  if (x->n_users < 1 || x->first[0] || x->first[x->n_users] != x->n || x->users.n != x->n_users)
    stop("users", "do not add up");
  for (int64_t u = 0; u < x->n_users; u++) {
    if (x->first[u + 1] - x->first[u] < fewest) stop("a user", "has too few");
    for (int64_t i = x->first[u] + 1; x->times && i < x->first[u + 1]; i++)
      if (x->times[i] < x->times[i - 1]) stop("times", "are not sorted");
  }
  for (int64_t i = 0; i < x->n; i++)
    if (x->items[i] < 1 || x->items[i] >= x->item_size || (x->names.n && x->items[i] > x->names.n))
      stop("an item", "is none");
}

/* By its own map the file is read as the same. */
static void read_again(const fuzzer *f, const char *bytes, const moire__interactions *x,
                       moire__interactions_options options) {
  moire__interactions again;
  moire_error error = {0};
  char *map = moire__interactions_map(&x->names);
  options.known = true;
  options.map = map;
  if (moire__interactions_parse("fuzz", bytes, f->n, &options, &again, &error))
    stop("read again", error.message);
  if (again.n != x->n || memcmp(again.items, x->items, (size_t)x->n * sizeof *x->items) != 0)
    stop("read again", "by its own map it is something else");
  moire__interactions_free(&again);
  moire__release(map);
}

static void try_text(fuzzer *f) {
  static const char *const formats[] = {"auto", "auto", "users", "interactions"};
  moire__interactions_options options = {.format = formats[below(f, 4)], .fewest = 1 + (int64_t)below(f, 3)};
  moire__interactions x;
  moire_error error = {0};
  char *copy = memcpy(moire__allocate(f->n ? f->n : 1), f->bytes, f->n);
  moire_status status = moire__interactions_parse("fuzz", copy, f->n, &options, &x, &error);
  if ((status == MOIRE_OK) != !error.message[0]) stop("a status", "without its sentence");
  if (!status) {
    check(&x, options.fewest);
    if (!x.form.interactions || !x.names.n || !memchr(copy, '+', f->n)) f->read++;
    bool written_otherwise = memchr(copy, '+', f->n) || memchr(copy, '0', f->n); /* +3 and 03 are called 3 */
    if (x.names.n ? !written_otherwise : x.item_size <= 65536) read_again(f, copy, &x, options);
    moire__interactions_free(&x);
  }
  moire__release(copy);
}

/* A gzip file, changed at times, gives its text or a sentence. */
static void try_packed(fuzzer *f) {
  z_stream z = {0};
  size_t room = f->n + 256;
  char *packed = moire__allocate(room), *data = NULL;
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)f->bytes;
  z.avail_in = (uInt)f->n;
  z.next_out = (Bytef *)packed;
  z.avail_out = (uInt)room;
  deflate(&z, Z_FINISH);
  size_t length = room - z.avail_out, n = 0;
  deflateEnd(&z);
  bool whole = below(f, 2);
  if (!whole && below(f, 2)) length = below(f, length);
  if (!whole) packed[below(f, room)] ^= (char)(1 << below(f, 8));
  moire_error error = {0};
  moire_status status = moire__stream_unpack("fuzz", packed, length, &data, &n, &error);
  if ((status == MOIRE_OK) != !error.message[0]) stop("gzip", "a status without its sentence");
  if (whole && (status || n != f->n || memcmp(data, f->bytes, n) != 0)) stop("gzip", "gives another text");
  if (!status) moire__release(data);
  f->packed++;
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  static fuzzer f;
  f.random = moire__random_start(seed, 0);
  printf("seed %" PRIu64 "\n", seed);
  clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
  while (clock() < end) {
    make_text(&f);
    if (below(&f, 3)) change(&f);
    try_text(&f);
    if (!below(&f, 8)) try_packed(&f);
    f.rounds++;
  }
  printf("%" PRId64 " texts, %" PRId64 " read, %" PRId64 " through gzip\n", f.rounds, f.read, f.packed);
  return f.read ? 0 : 1;
}
