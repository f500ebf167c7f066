/* moire eval: ranks each user's target among all items, by a trained model. */
#include "tools/tool.h"

#include "runtime/base/memory.h"
#include "tasks/sequences/scoring.h"
#include "runtime/train/trainer_files.h"

#include <stdio.h>
#include <string.h>

typedef struct arguments {
  tool_sources sources;
  moire__split split;
  int64_t batch;
  bool json;
  const char *ranks;
} arguments;

enum { DATA = 0x100, SPLIT, RANKS, BATCH, JSON };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Data set: one user a line", 0},
    {"split", SPLIT, "test|valid", 0, "Which targets to rank (test)", 0},
    {"ranks", RANKS, "FILE", 0, "Write each user's rank, one a line, in the order of the data set", 0},
    {"batch", BATCH, "N", 0, "Users that are scored at once (256)", 0},
    {"json", JSON, NULL, 0, "Print JSON", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case DATA: a->sources.data = text; return 0;
    case RANKS: a->ranks = text; return 0;
    case JSON: a->json = true; return 0;
    case BATCH: a->batch = tool_int_argument(state, "--batch", text, 1, 1000000); return 0;
    case SPLIT:
      if (strcmp(text, "test") != 0 && strcmp(text, "valid") != 0) {
        argp_error(state, "--split: wanted test or valid, but '%s' came", text);
      }
      a->split = strcmp(text, "test") ? MOIRE__SPLIT_VALID : MOIRE__SPLIT_TEST;
      return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->sources.data)
        argp_error(state, "wanted --checkpoint FILE and --data FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status evaluate(const arguments *a, tool_scorer *scorer, moire_error *error) {
  moire_status status = tool_scorer_open(scorer, &a->sources, error);
  if (status) return status;
  const moire__dataset *data = scorer->setup.dataset;
  int64_t *ranks = moire__allocate_array((size_t)data->n_users, sizeof *ranks);
  moire__scoring scoring = {scorer->runner, scorer->threads, data, scorer->item_size, a->batch, "users"};
  status = moire__scoring_ranks(&scoring, a->split, ranks, error);
  moire__metrics metrics = moire__scoring_metrics(ranks, data->n_users);
  moire__measures measures = moire__metrics_measures(&metrics);
  if (!status && a->ranks) status = moire__scoring_write_ranks(a->ranks, ranks, data->n_users, error);
  moire__release(ranks);
  if (status) return status;
  if (a->json) {
    moire__text text = {0};
    moire__measures_to_json(&measures, &text);
    printf("%s\n", text.data);
    moire__text_free(&text);
    return MOIRE_OK;
  }
  tool_print_measures((const char *const[]){a->split == MOIRE__SPLIT_TEST ? "test" : "validation"}, &measures,
                      1);
  return MOIRE_OK;
}

int tool_eval(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --data FILE",
      "Ranks each user's target among all items and prints hit rate and NDCG. The last item of a user is the "
      "test's "
      "target, the one before that the validation's; items of the history count as score 0.",
      tool_sources_arguments,
      NULL,
      NULL};
  arguments a = {.split = MOIRE__SPLIT_TEST, .batch = 256, .sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  tool_scorer scorer = {0};
  moire_error error = {0};
  moire_status status = evaluate(&a, &scorer, &error);
  tool_scorer_free(&scorer);
  return status ? tool_fail("eval", &error) : 0;
}
