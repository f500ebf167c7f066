/* moire recommend: the best items for each user, what they had excluded. */
#include "tasks/sequences/sequences.h"

#include "runtime/base/memory.h"
#include "runtime/base/printable.h"
#include "runtime/train/log.h"

#include <string.h>

enum { SHOWN_HISTORY = 5, BATCH = 256 };

/* A whole number as JSON writes it, so that it may stand for itself. */
static bool is_number(const char *name) {
  size_t n = strspn(name, "0123456789");
  return n && !name[n] && n <= 15 && (name[0] != '0' || n == 1);
}

static bool are_numbers(const moire__id_names *names) {
  bool all = true;
  for (int64_t i = 0; i < names->n && all; i++) all = is_number(moire__id_names_at(names, i));
  return all;
}

/* Users and items by what the file calls them; `data` also says whether names are numbers. */
typedef struct printer {
  const moire__dataset *data;
  bool user_numbers, item_numbers; /* in JSON without quotes */
  FILE *out;
} printer;

static void add_item(const printer *p, moire__text *text, int32_t item) {
  if (p->data->names.n)
    moire__text_add(text, "%s", moire__id_names_at(&p->data->names, item - 1));
  else
    moire__text_add(text, "%d", (int)item);
}

/* A name as JSON: a number where all are, else a string. */
static void add_json(moire__text *text, const char *name, bool number) {
  if (number)
    moire__text_add(text, "%s", name);
  else
    moire__log_add_string(text, name);
}

static void print_user(const printer *p, int64_t user, const int32_t *items, int k) {
  int64_t n = 0;
  const int32_t *history = moire__dataset_history(p->data, MOIRE__SPLIT_NEXT, user, &n);
  moire__text text = {0};
  moire__text_add(&text, "user %s:%s", moire__id_names_at(&p->data->users, user),
                  n > SHOWN_HISTORY ? " ..." : "");
  for (int64_t i = n > SHOWN_HISTORY ? n - SHOWN_HISTORY : 0; i < n; i++) {
    moire__text_add_char(&text, ' ');
    add_item(p, &text, history[i]);
  }
  moire__text_add(&text, "  ->");
  for (int i = 0; i < k && items[i]; i++) {
    moire__text_add_char(&text, ' ');
    add_item(p, &text, items[i]);
  }
  moire__make_printable(text.data); /* names are the file's */
  fprintf(p->out, "%s\n", text.data);
  moire__text_free(&text);
}

static void print_user_json(const printer *p, int64_t user, const int32_t *items, const float *scores, int k) {
  moire__text text = {0}, item = {0};
  moire__text_add(&text, "{\"user\":");
  add_json(&text, moire__id_names_at(&p->data->users, user), p->user_numbers);
  moire__text_add(&text, ",\"items\":[");
  for (int i = 0; i < k && items[i]; i++) {
    if (i) moire__text_add_char(&text, ',');
    moire__text_clear(&item);
    add_item(p, &item, items[i]);
    add_json(&text, item.data, p->item_numbers);
  }
  moire__text_add(&text, "],\"scores\":[");
  for (int i = 0; i < k && items[i]; i++) {
    if (i) moire__text_add_char(&text, ',');
    moire__config_add_real(&text, (double)scores[i]);
  }
  fprintf(p->out, "%s]}\n", text.data);
  moire__text_free(&item);
  moire__text_free(&text);
}

moire_status moire__sequences_recommend(moire__predictor *p, const moire__recommend_job *job,
                                        moire_error *error) {
  moire__data_files files = job->files;
  files.unmeasured = true;
  moire_status status = moire__sequences_open(p, &files, error);
  if (status) return status;
  const moire__dataset *data = p->setup.data;
  int64_t all = job->users && job->users < data->n_users ? job->users : data->n_users, begin = 0, n = 0;
  moire__part_take(job->part, MOIRE__PART_LINES, "user", all, 1, &begin, &n);
  size_t places = (size_t)n * (size_t)job->top;
  int32_t *items = moire__allocate_array(places, sizeof *items);
  float *scores = moire__allocate_array(places, sizeof *scores);
  moire__scoring scoring = {p->runner, p->threads, data, moire_config_int(p->setup.config, "item_size"),
                            BATCH,     "users"};
  status = moire__scoring_top(&scoring, begin, n, job->top, items, scores, error);
  printer lines = {data, are_numbers(&data->users), are_numbers(&data->names), job->out};
  for (int64_t user = 0; user < n && !status; user++) {
    int64_t first = user * job->top;
    if (job->json) print_user_json(&lines, begin + user, items + first, scores + first, job->top);
    if (!job->json) print_user(&lines, begin + user, items + first, job->top);
  }
  moire__release(items);
  moire__release(scores);
  return status;
}
