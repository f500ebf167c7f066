/* What a step of training on ratings is given. See ratings.h. */
#include "tasks/ratings/ratings.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"

#include <stdio.h>
#include <string.h>

typedef struct rated_samples {
  const moire__ratings *data;
  int32_t *users, *positives, *negatives, *hidden; /* [batch], and hidden [batch, S] */
  double mask_probability;
  bool hold_out, unseen;
  uint64_t seed;
  int64_t step, first; /* first: samples of the step before those that are given */
  bool drawn;          /* for the whole step; false: whoever gives draws */
} rated_samples;

typedef struct given {
  const char *name;
  const void *values;
  int64_t n;
} given;

static moire_status give_all(moire_runner *runner, const given *all, size_t n, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (size_t i = 0; i < n && !status; i++)
    if (moire_runner_has_input(runner, all[i].name))
      status = moire_runner_set_input(runner, all[i].name, all[i].values, all[i].n, error);
  return status;
}

moire_status moire__ratings_give_items(const moire__ratings *data, moire_runner *runner, moire_error *error) {
  const moire__ratings_items *x = &data->items;
  const given all[] = {{"overview", x->overview, x->ids.n * x->width},
                       {"reviews", x->reviews, x->n_reviews * x->width},
                       {"review_items", x->review_items, x->n_reviews},
                       {"reviewed", x->reviewed, x->n_reviewed},
                       {"context", x->context, x->ids.n * x->n_features}};
  moire_status status = give_all(runner, all, sizeof all / sizeof *all, error);
  for (int r = 0; r < x->n_relations && !status; r++) {
    char name[512];
    snprintf(name, sizeof name, "edges.%s", x->relations[r]);
    const given edges = {name, x->edges[r], 2 * x->edge_counts[r]};
    status = give_all(runner, &edges, 1, error);
  }
  return status;
}

static int32_t draw_negative(const rated_samples *s, int32_t user, moire__random *random) {
  int64_t n = s->data->items.ids.n;
  const uint8_t *not = (s->unseen ? s->data->seen : s->data->liked) + user * n;
  int32_t item = (int32_t)moire__random_below(random, (uint64_t)n);
  while (not[item]) item = (int32_t)moire__random_below(random, (uint64_t)n);
  return item;
}

/* Where all would be hidden, nothing is. */
static void hide(const rated_samples *s, int32_t user, int32_t positive, int32_t *hidden,
                 moire__random *random) {
  const moire__ratings_histories *h = &s->data->histories;
  bool some = false;
  for (int64_t i = 0; i < h->length; i++) {
    int64_t at = user * h->length + i;
    bool drawn = h->mask[at] && moire__random_real(random) < s->mask_probability;
    hidden[i] = h->mask[at] && (drawn || (s->hold_out && h->ids[at] == positive));
    some = some || (h->mask[at] && !hidden[i]);
  }
  if (!some) memset(hidden, 0, (size_t)h->length * sizeof *hidden);
}

static void draw(rated_samples *s, const int64_t *samples, int64_t n) {
  int64_t length = s->data->histories.length;
  moire__random random = moire__random_start(s->seed, moire__hash_name("ratings") ^ (uint64_t)s->step);
  for (int64_t i = 0; i < n; i++) {
    s->users[i] = s->data->positives[2 * samples[i]];
    s->positives[i] = s->data->positives[2 * samples[i] + 1];
    s->negatives[i] = draw_negative(s, s->users[i], &random);
    hide(s, s->users[i], s->positives[i], s->hidden + i * length, &random);
  }
}

static void begin_step(void *context, int64_t number, const int64_t *samples, int64_t n) {
  rated_samples *s = context;
  s->step = number;
  s->first = 0;
  draw(s, samples, n);
  s->drawn = true;
}

static void begin_part(void *context, int64_t first) { ((rated_samples *)context)->first = first; }

static moire_status give(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                         moire_error *error) {
  rated_samples *s = context;
  const moire__ratings_histories *h = &s->data->histories;
  int64_t first = s->first;
  if (!s->drawn) draw(s, samples, n);
  const given all[] = {{"users", s->users + first, n},
                       {"positives", s->positives + first, n},
                       {"negatives", s->negatives + first, n},
                       {"hidden", s->hidden + first * h->length, n * h->length},
                       {"history_ids", h->ids, h->n * h->length},
                       {"history_ratings", h->ratings, h->n * h->length},
                       {"history_times", h->times, h->n * h->length},
                       {"history_mask", h->mask, h->n * h->length}};
  moire_status status = give_all(runner, all, sizeof all / sizeof *all, error);
  return status ? status : moire__ratings_give_items(s->data, runner, error);
}

static void release(void *context) {
  rated_samples *s = context;
  moire__release(s->users);
  moire__release(s->positives);
  moire__release(s->negatives);
  moire__release(s->hidden);
  moire__release(s);
}

moire__samples moire__ratings_samples(const moire__setup *setup, int64_t batch) {
  const moire__ratings *data = setup->data;
  rated_samples *s = moire__allocate(sizeof *s);
  size_t n = (size_t)(batch < data->n_positives ? batch : data->n_positives) + 1;
  *s = (rated_samples){.data = data,
                       .mask_probability = moire_config_real(setup->training, "history_mask_prob"),
                       .hold_out = !strcmp(moire_config_string(setup->training, "history_leak"), "held_out"),
                       .unseen = !strcmp(moire_config_string(setup->training, "negatives"), "unseen"),
                       .seed = (uint64_t)moire_config_int(setup->training, "seed")};
  s->users = moire__allocate_array(n, sizeof *s->users);
  s->positives = moire__allocate_array(n, sizeof *s->positives);
  s->negatives = moire__allocate_array(n, sizeof *s->negatives);
  s->hidden = moire__allocate_array(n * (size_t)data->histories.length, sizeof *s->hidden);
  return (moire__samples){.context = s,
                          .n = data->n_positives,
                          .give = give,
                          .release = release,
                          .begin_step = begin_step,
                          .begin_part = begin_part};
}
