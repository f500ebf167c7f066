/* moire synth: a data set with planted bursts and rhythms. */
#include "tools/tool.h"

#include "tasks/sequences/synth.h"

#include <stdio.h>

typedef struct arguments {
  moire__synth_options synth;
  const char *out;
} arguments;

enum { USERS = 0x100, ITEMS, LENGTH, RING, CYCLE, PERIOD, CLUSTERS, BURST, SEED };

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "Write FILE instead of printing", 0},
    {"users", USERS, "N", 0, "Users (600)", 0},
    {"items", ITEMS, "N", 0, "Items (400)", 0},
    {"length", LENGTH, "N", 0, "Items a user, in the mean (20)", 0},
    {"ring", RING, "N", 0, "Items of a topic, which bursts walk through (8)", 0},
    {"cycle", CYCLE, "N", 0, "Items of a rhythm (20)", 0},
    {"period", PERIOD, "N", 0, "Positions from one rhythm item to the next (4)", 0},
    {"clusters", CLUSTERS, "N", 0, "Groups of topics, one of which is a user's home (5)", 0},
    {"burst", BURST, "P", 0, "Probability of a burst where nothing else is due (0.6)", 0},
    {"seed", SEED, "N", 0, "Seed (1)", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  static const int64_t most = 10000000;
  switch (key) {
    case 'o': a->out = text; return 0;
    case USERS: a->synth.users = tool_int_argument(state, "--users", text, 1, most); return 0;
    case ITEMS: a->synth.items = tool_int_argument(state, "--items", text, 1, most); return 0;
    case LENGTH: a->synth.mean_length = tool_int_argument(state, "--length", text, 1, most); return 0;
    case RING: a->synth.ring = tool_int_argument(state, "--ring", text, 1, most); return 0;
    case CYCLE: a->synth.cycle = tool_int_argument(state, "--cycle", text, 1, most); return 0;
    case PERIOD: a->synth.period = tool_int_argument(state, "--period", text, 1, most); return 0;
    case CLUSTERS: a->synth.clusters = tool_int_argument(state, "--clusters", text, 1, most); return 0;
    case BURST: a->synth.burst = tool_real_argument(state, "--burst", text, 0, 1); return 0;
    case SEED: a->synth.seed = (uint64_t)tool_int_argument(state, "--seed", text, 0, INT64_MAX); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int tool_synth(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     NULL,
                                     "Writes a synthetic data set, one user a line, with bursts of "
                                     "neighbouring items and items that return in a "
                                     "rhythm. The text depends on the options alone.",
                                     NULL,
                                     NULL,
                                     NULL};
  arguments a = {.synth = moire__synth_defaults()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_error error = {0};
  if (a.out) return moire__synth_write(&a.synth, a.out, &error) ? tool_fail("synth", &error) : 0;
  moire__text text = {0};
  moire_status status = moire__synth_text(&a.synth, &text, &error);
  if (!status) fwrite(text.data, 1, text.length, stdout);
  moire__text_free(&text);
  return status ? tool_fail("synth", &error) : 0;
}
