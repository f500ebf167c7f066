/* moire recommend: the best items for each user. */
#include "tools/parts/call.h"

typedef struct arguments {
  moire__sources sources;
  tool_call call;
  moire__recommend_job job;
} arguments;

enum { DATA = 0x100, FORMAT, TOP, USERS, ITEMS, JSON };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "What the users had, as `moire train` reads it", 0},
    {"format", FORMAT, "FORMAT", 0, "What a line is: users, interactions, or auto", 0},
    {"top", TOP, "K", 0, "Items for each user (10)", 0},
    {"users", USERS, "N", 0, "The first N users only", 0},
    {"items", ITEMS, "TABLE", 0, "Find them in this table of items (`moire items`), not in the model", 0},
    {"json", JSON, NULL, 0, "Print JSON, one line a user", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &a->sources;
      state->child_inputs[1] = &a->call;
      return 0;
    case DATA: a->job.files.data = text; return 0;
    case FORMAT: a->job.files.format = tool_format_argument(state, text); return 0;
    case ITEMS: a->job.items = tool_path_argument(state, "--items", "a file", text); return 0;
    case JSON: a->job.json = true; return 0;
    case TOP: a->job.top = (int)tool_int_argument(state, "--top", text, 1, 10000); return 0;
    case USERS: a->job.users = tool_int_argument(state, "--users", text, 1, INT64_MAX); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->job.files.data)
        argp_error(state, "wanted --checkpoint FILE and --data FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  moire__recommend_verb *recommend = predictor->setup.task->recommend;
  return recommend ? recommend(predictor, job, error)
                   : moire__task_refuse(&predictor->setup, "recommend", error);
}

int tool_recommend(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --data FILE",
      "Lists for each user the items that come next with the highest scores, without those the user had. A "
      "line "
      "shows the user, as the data call it, the end of the history, and the items, best first.",
      tool_call_arguments,
      NULL,
      NULL};
  arguments a = {.job = {.top = 10}, .sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  a.call.verb = "recommend";
  a.call.sources = &a.sources;
  a.call.out = &a.job.out;
  a.call.job_part = &a.job.part;
  a.call.files[0] = a.job.files.data;
  a.call.files[1] = a.job.items;
  tool_call_say(&a.call, "top=%d users=%lld json=%d format=%s", a.job.top, (long long)a.job.users, a.job.json,
                a.job.files.format ? a.job.files.format : "");
  return tool_call_ask(&a.call, ask, &a.job);
}
