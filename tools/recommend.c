/* moire recommend: the best items for each user, what they had excluded. */
#include "tools/tool.h"

#include "runtime/base/memory.h"
#include "tasks/sequences/scoring.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct arguments {
  tool_sources sources;
  int64_t users; /* 0: all */
  int top;
  bool json;
} arguments;

enum { DATA = 0x100, TOP, USERS, JSON };
enum { SHOWN_HISTORY = 5, BATCH = 256 };

static const struct argp_option options[] = {{"data", DATA, "FILE", 0, "Data set: one user a line", 0},
                                             {"top", TOP, "K", 0, "Items for each user (10)", 0},
                                             {"users", USERS, "N", 0, "The first N users only", 0},
                                             {"json", JSON, NULL, 0, "Print JSON, one line a user", 0},
                                             {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case DATA: a->sources.data = text; return 0;
    case JSON: a->json = true; return 0;
    case TOP: a->top = (int)tool_int_argument(state, "--top", text, 1, 10000); return 0;
    case USERS: a->users = tool_int_argument(state, "--users", text, 1, INT64_MAX); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->sources.data)
        argp_error(state, "wanted --checkpoint FILE and --data FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static void print_user(int64_t user, const int32_t *history, int64_t n, const int32_t *items, int k) {
  printf("user %" PRId64 ":", user + 1);
  if (n > SHOWN_HISTORY) printf(" ...");
  for (int64_t i = n > SHOWN_HISTORY ? n - SHOWN_HISTORY : 0; i < n; i++) printf(" %d", (int)history[i]);
  printf("  ->");
  for (int i = 0; i < k && items[i]; i++) printf(" %d", (int)items[i]);
  printf("\n");
}

static void print_user_json(int64_t user, const int32_t *items, const float *scores, int k) {
  moire__text text = {0};
  moire__text_add(&text, "{\"user\":%" PRId64 ",\"items\":[", user + 1);
  for (int i = 0; i < k && items[i]; i++) moire__text_add(&text, i ? ",%d" : "%d", (int)items[i]);
  moire__text_add(&text, "],\"scores\":[");
  for (int i = 0; i < k && items[i]; i++) {
    if (i) moire__text_add_char(&text, ',');
    moire__config_add_real(&text, (double)scores[i]);
  }
  printf("%s]}\n", text.data);
  moire__text_free(&text);
}

static moire_status recommend(const arguments *a, tool_scorer *scorer, moire_error *error) {
  moire_status status = tool_scorer_open(scorer, &a->sources, error);
  if (status) return status;
  const moire__dataset *data = scorer->setup.dataset;
  int64_t n = a->users && a->users < data->n_users ? a->users : data->n_users;
  size_t places = (size_t)n * (size_t)a->top;
  int32_t *items = moire__allocate_array(places, sizeof *items);
  float *scores = moire__allocate_array(places, sizeof *scores);
  moire__scoring scoring = {scorer->runner, scorer->threads, data, scorer->item_size, BATCH, "users"};
  status = moire__scoring_top(&scoring, n, a->top, items, scores, error);
  for (int64_t user = 0; user < n && !status; user++) {
    int64_t n_history = 0, first = user * a->top;
    const int32_t *history = moire__dataset_history(data, MOIRE__SPLIT_NEXT, user, &n_history);
    if (a->json) print_user_json(user, items + first, scores + first, a->top);
    if (!a->json) print_user(user, history, n_history, items + first, a->top);
  }
  moire__release(items);
  moire__release(scores);
  return status;
}

int tool_recommend(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --data FILE",
      "Lists for each user the items that come next with the highest scores, without those the user had. A "
      "line "
      "shows the number of the user, the end of the history, and the items, best first.",
      tool_sources_arguments,
      NULL,
      NULL};
  arguments a = {.top = 10, .sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  tool_scorer scorer = {0};
  moire_error error = {0};
  moire_status status = recommend(&a, &scorer, &error);
  tool_scorer_free(&scorer);
  return status ? tool_fail("recommend", &error) : 0;
}
