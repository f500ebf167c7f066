/* moire recommend: the best items for each user, what they had excluded. */
#include "tasks/sequences/sequences.h"

#include "moire/items.h"

#include "runtime/base/memory.h"
#include "runtime/base/printable.h"
#include "runtime/train/log.h"

#include <inttypes.h>
#include <string.h>

enum { SHOWN_HISTORY = 5, BATCH = 256 };

static const char query_output[] = "query";

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
  const moire_items *table;        /* has items beyond the model's; NULL: there is none */
  bool user_numbers, item_numbers; /* in JSON without quotes */
  FILE *out;
} printer;

static void add_item(const printer *p, moire__text *text, int64_t item) {
  int n = 0;
  const char *name = p->table ? moire_items_name(p->table, item, &n) : NULL;
  if (name)
    moire__text_add_bytes(text, name, (size_t)n);
  else if (item >= 1 && item <= p->data->names.n)
    moire__text_add(text, "%s", moire__id_names_at(&p->data->names, item - 1));
  else
    moire__text_add(text, "%" PRId64, item);
}

/* A name as JSON: a number where all are, else a string. */
static void add_json(moire__text *text, const char *name, bool number) {
  if (number)
    moire__text_add(text, "%s", name);
  else
    moire__log_add_string(text, name);
}

static void print_user(const printer *p, int64_t user, const int64_t *items, int k) {
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
  for (int i = 0; i < k && items[i] > 0; i++) {
    moire__text_add_char(&text, ' ');
    add_item(p, &text, items[i]);
  }
  moire__make_printable(text.data); /* names are the file's */
  fprintf(p->out, "%s\n", text.data);
  moire__text_free(&text);
}

static void print_user_json(const printer *p, int64_t user, const int64_t *items, const float *scores, int k) {
  moire__text text = {0}, item = {0};
  moire__text_add(&text, "{\"user\":");
  add_json(&text, moire__id_names_at(&p->data->users, user), p->user_numbers);
  moire__text_add(&text, ",\"items\":[");
  for (int i = 0; i < k && items[i] > 0; i++) {
    if (i) moire__text_add_char(&text, ',');
    moire__text_clear(&item);
    add_item(p, &item, items[i]);
    add_json(&text, item.data, p->item_numbers);
  }
  moire__text_add(&text, "],\"scores\":[");
  for (int i = 0; i < k && items[i] > 0; i++) {
    if (i) moire__text_add_char(&text, ',');
    moire__config_add_real(&text, (double)scores[i]);
  }
  fprintf(p->out, "%s]}\n", text.data);
  moire__text_free(&item);
  moire__text_free(&text);
}

/* What the model scores: items by the columns of its logits. */
static moire_status list_own(moire__predictor *p, const moire__recommend_job *job, int64_t begin, int64_t n,
                             int64_t *items, float *scores, moire_error *error) {
  size_t places = (size_t)n * (size_t)job->top;
  int32_t *columns = moire__allocate_array(places + 1, sizeof *columns);
  moire__scoring scoring = {
      p->runner, p->threads, p->setup.data, moire_config_int(p->setup.config, "item_size"), BATCH, "users"};
  moire_status status = moire__scoring_top(&scoring, begin, n, job->top, columns, scores, error);
  for (size_t i = 0; i < places; i++) items[i] = columns[i];
  moire__release(columns);
  return status;
}

/* What a table has, found for the queries of n users, BATCH of them at a time. What a user had is banned, and
 * so is row 0, the padding's. */
static moire_status list_batch(const moire__predictor *p, const moire_items *table, int top, int64_t first,
                               int64_t n, int32_t *ids, int64_t *items, float *scores, moire_error *error) {
  const moire__dataset *data = p->setup.data;
  int64_t elements = 0;
  moire__dataset_eval_batch(data, MOIRE__SPLIT_NEXT, first, n, ids, NULL);
  moire_status status = moire_runner_set_extent(p->runner, "B", n, error);
  if (!status) status = moire_runner_set_input(p->runner, "input_ids", ids, n * data->max_length, error);
  if (!status) status = moire_runner_run(p->runner, error);
  if (status) return status;
  const float *queries = moire_runner_output(p->runner, query_output, &elements);
  if (elements != n * moire_items_width(table))
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "--items: the table has rows of %" PRId64
                      " numbers, but the model's queries have %" PRId64,
                      moire_items_width(table), elements / n);
  moire__arena arena = {0};
  moire_items_filter *filters = moire__arena_array(&arena, (size_t)n, sizeof *filters);
  for (int64_t u = 0; u < n; u++) {
    const int32_t *history = moire__dataset_history(data, MOIRE__SPLIT_NEXT, first + u, &filters[u].n_banned);
    int64_t *banned = moire__arena_array(&arena, (size_t)++filters[u].n_banned, sizeof *banned);
    for (int64_t i = 1; i < filters[u].n_banned; i++) banned[i] = history[i - 1];
    filters[u].banned = banned;
  }
  status = moire_items_search(table, queries, n, filters, top, items, scores, p->threads, error);
  moire__arena_free(&arena);
  return status;
}

static moire_status list_table(const moire__predictor *p, const moire_items *table, int top, int64_t begin,
                               int64_t n, int64_t *items, float *scores, moire_error *error) {
  const moire__dataset *data = p->setup.data;
  int32_t *ids = moire__allocate_array((size_t)(BATCH * data->max_length), sizeof *ids);
  moire_status status = MOIRE_OK;
  for (int64_t done = 0; done < n && !status; done += BATCH)
    status = list_batch(p, table, top, begin + done, n - done < BATCH ? n - done : BATCH, ids,
                        items + done * top, scores + done * top, error);
  moire__release(ids);
  return status;
}

/* Items of the model are the table's first. */
static moire_status open_table(const moire__predictor *p, const char *path, moire_items **out,
                               moire_error *error) {
  *out = moire_items_open(path, error);
  if (!*out) return MOIRE_ERROR_IO;
  int64_t known = moire_config_int(p->setup.config, "item_size");
  return moire_items_count(*out) >= known
             ? MOIRE_OK
             : moire_fail(error, MOIRE_ERROR_ARGUMENT,
                          "%s: has %" PRId64 " rows, fewer than the model's %" PRId64
                          " items, which are its first",
                          path, moire_items_count(*out), known);
}

moire_status moire__sequences_recommend(moire__predictor *p, const moire__recommend_job *job,
                                        moire_error *error) {
  moire__data_files files = job->files;
  moire_items *table = NULL;
  files.unmeasured = true;
  moire_status status = moire__sequences_open(p, &files, job->items ? query_output : "logits", error);
  if (!status && job->items) status = open_table(p, job->items, &table, error);
  if (status) {
    moire_items_close(table);
    return status;
  }
  const moire__dataset *data = p->setup.data;
  int64_t all = job->users && job->users < data->n_users ? job->users : data->n_users, begin = 0, n = 0;
  moire__part_take(job->part, MOIRE__PART_LINES, "user", all, 1, &begin, &n);
  size_t places = (size_t)n * (size_t)job->top;
  int64_t *items = moire__allocate_array(places + 1, sizeof *items);
  float *scores = moire__allocate_array(places + 1, sizeof *scores);
  status = table ? list_table(p, table, job->top, begin, n, items, scores, error)
                 : list_own(p, job, begin, n, items, scores, error);
  bool named = table && moire_items_name(table, 0, &(int){0});
  printer lines = {data, table, are_numbers(&data->users), !named && are_numbers(&data->names), job->out};
  for (int64_t user = 0; user < n && !status; user++) {
    int64_t first = user * job->top;
    if (job->json) print_user_json(&lines, begin + user, items + first, scores + first, job->top);
    if (!job->json) print_user(&lines, begin + user, items + first, job->top);
  }
  moire__release(items);
  moire__release(scores);
  moire_items_close(table);
  return status;
}
