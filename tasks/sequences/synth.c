/* The writer of synthetic sequences.
 *
 * Items are numbered inside from 0: topics first, ring after ring, then rhythms, then what is left over. A
 * random permutation gives them their ids, so that an id says nothing about its neighbours. */
#include "tasks/sequences/synth.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/file.h"

#include <inttypes.h>
#include <stdbool.h>

enum { SHORTEST_BURST = 3, LONGEST_BURST = 6, MILLIONS = 10000000, LONGEST_MEAN = 10000 };

typedef struct world {
  moire__synth_options o;
  int64_t topics, rhythms, first_rhythm;
  int64_t *id;        /* [items], from 0 */
  double *cumulative; /* [items]: Zipf weights of the noise, summed up */
  int64_t *seen_by;   /* [items]: the last user (from 1) who had the item */
  moire__random random;
} world;

/* One user's sequence while it grows. */
typedef struct walk {
  int64_t user; /* from 1 */
  int64_t cluster, rhythm_first, rhythm_step;
  int64_t burst_first, burst_step, burst_left;
} walk;

moire__synth_options moire__synth_defaults(void) {
  return (moire__synth_options){
      .users = 600,
      .items = 400,
      .mean_length = 20,
      .ring = 8,
      .cycle = 20,
      .period = 4,
      .clusters = 5,
      .burst = 0.6,
      .seed = 1,
  };
}

static moire_status check(const char *name, int64_t value, int64_t least, int64_t most, moire_error *error) {
  if (value >= least && value <= most) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "synthetic data: %s: wanted a whole number from %" PRId64 " to %" PRId64 ", but %" PRId64
                    " came",
                    name, least, most, value);
}

static int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }

static moire_status check_options(const moire__synth_options *o, moire_error *error) {
  moire_status status = check("users", o->users, 1, MILLIONS, error);
  if (!status) status = check("mean length", o->mean_length, 6, LONGEST_MEAN, error);
  if (!status) status = check("ring", o->ring, 3, MILLIONS / 4, error);
  if (!status) status = check("cycle", o->cycle, 2, MILLIONS / 4, error);
  if (!status) status = check("period", o->period, 2, MILLIONS, error);
  int64_t least = largest(4 * largest(o->mean_length, o->cycle), 2 * o->ring);
  if (!status) status = check("items", o->items, least, MILLIONS, error);
  if (!status) status = check("clusters", o->clusters, 1, o->items * 3 / 4 / o->ring, error);
  if (!status && !(o->burst >= 0 && o->burst <= 1)) {
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "synthetic data: burst: wanted a probability from 0 to 1, but %g came", o->burst);
  }
  return status;
}

static int64_t draw(world *w, int64_t bound) {
  return (int64_t)moire__random_below(&w->random, (uint64_t)bound);
}

static world make_world(const moire__synth_options *options) {
  size_t items = (size_t)options->items;
  world w = {.o = *options, .random = moire__random_start(options->seed, 0)};
  w.topics = options->items * 3 / 4 / options->ring;
  w.first_rhythm = w.topics * options->ring;
  w.rhythms = (options->items - w.first_rhythm) / options->cycle;
  w.id = moire__allocate_array(items, sizeof *w.id);
  w.cumulative = moire__allocate_array(items, sizeof *w.cumulative);
  w.seen_by = moire__allocate_array(items, sizeof *w.seen_by);
  moire__permutation(options->seed, 0, options->items, w.id);
  double sum = 0;
  for (size_t i = 0; i < items; i++) w.cumulative[i] = sum += 1 / ((double)w.id[i] + 1);
  return w;
}

static void free_world(world *w) {
  moire__release(w->id);
  moire__release(w->cumulative);
  moire__release(w->seen_by);
}

static bool is_seen(const world *w, const walk *u, int64_t item) { return w->seen_by[item] == u->user; }

/* An unseen item, by popularity at first; after many misses by a walk from the last one, which cannot fail
 * since no sequence holds half of the items. */
static int64_t noise(world *w, const walk *u) {
  enum { TRIES = 50 };
  int64_t item = 0;
  for (int i = 0; i < TRIES; i++) {
    double at = moire__random_real(&w->random) * w->cumulative[w->o.items - 1];
    int64_t low = 0, high = w->o.items - 1;
    while (low < high) {
      int64_t middle = low + (high - low) / 2;
      if (w->cumulative[middle] > at) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    item = low;
    if (!is_seen(w, u, item)) return item;
  }
  while (is_seen(w, u, item)) item = (item + 1) % w->o.items;
  return item;
}

/* The next unseen item of the user's rhythm; noise once all of it is used up. */
static int64_t rhythm(world *w, walk *u) {
  for (int64_t i = 0; i < w->o.cycle; i++) {
    int64_t item = u->rhythm_first + u->rhythm_step++ % w->o.cycle;
    if (!is_seen(w, u, item)) return item;
  }
  return noise(w, u);
}

static void start_burst(world *w, walk *u) {
  int64_t in_cluster = (w->topics - u->cluster + w->o.clusters - 1) / w->o.clusters;
  u->burst_first = (u->cluster + draw(w, in_cluster) * w->o.clusters) * w->o.ring;
  u->burst_step = draw(w, w->o.ring);
  u->burst_left = SHORTEST_BURST + draw(w, LONGEST_BURST - SHORTEST_BURST + 1);
}

/* The next item of the burst under way; a seen item ends it. */
static int64_t burst(world *w, walk *u) {
  int64_t item = u->burst_first + u->burst_step++ % w->o.ring;
  u->burst_left--;
  if (!is_seen(w, u, item)) return item;
  u->burst_left = 0;
  return noise(w, u);
}

static int64_t next_item(world *w, walk *u, int64_t position) {
  if (position % w->o.period == w->o.period - 1) return rhythm(w, u);
  if (u->burst_left == 0 && moire__random_real(&w->random) < w->o.burst) start_burst(w, u);
  return u->burst_left > 0 ? burst(w, u) : noise(w, u);
}

static void write_user(world *w, int64_t user, moire__text *out) {
  walk u = {.user = user, .cluster = draw(w, w->o.clusters)};
  u.rhythm_first = w->first_rhythm + draw(w, w->rhythms) * w->o.cycle;
  u.rhythm_step = draw(w, w->o.cycle);
  int64_t shortest = w->o.mean_length / 2;
  int64_t length = shortest + draw(w, 2 * (w->o.mean_length - shortest) + 1);
  moire__text_add(out, "%" PRId64, user);
  for (int64_t position = 0; position < length; position++) {
    int64_t item = next_item(w, &u, position);
    w->seen_by[item] = user;
    moire__text_add(out, " %" PRId64, w->id[item] + 1);
  }
  moire__text_add_char(out, '\n');
}

moire_status moire__synth_text(const moire__synth_options *options, moire__text *out, moire_error *error) {
  moire_status status = check_options(options, error);
  if (status) return status;
  world w = make_world(options);
  for (int64_t user = 1; user <= options->users; user++) write_user(&w, user, out);
  free_world(&w);
  return MOIRE_OK;
}

moire_status moire__synth_write(const moire__synth_options *options, const char *path, moire_error *error) {
  moire__text text = {0};
  moire_status status = moire__synth_text(options, &text, error);
  if (!status) status = moire__file_write_atomic(path, moire__text_string(&text), text.length, error);
  moire__text_free(&text);
  return status;
}
