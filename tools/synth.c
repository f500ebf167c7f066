/* moire synth: data sets made up: sequences with planted bursts and rhythms, or radio signals. */
#include "tools/tool.h"

#include "tasks/sequences/synth.h"
#include "tasks/tensors/signals.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct arguments {
  moire__synth_options sequences;
  moire__signals_options signals;
  bool wants_signals;
  const char *out;
  const char *of_sequences, *of_signals; /* an option that came of this kind alone, or NULL */
} arguments;

enum { KIND = 0x100, LENGTH, SEED };
enum { USERS = 0x200, ITEMS, RING, CYCLE, PERIOD, CLUSTERS, BURST };
enum { RECORDS = 0x300, LEAST_SNR, MOST_SNR, FREQUENCY };

static const struct argp_option options[] = {
    {"kind", KIND, "KIND", 0, "sequences (the default) or signals", 1},
    {"out", 'o', "FILE", 0, "Write FILE; sequences are printed without it", 1},
    {"length", LENGTH, "N", 0, "Items a user, in the mean (20); samples of a signal (128)", 1},
    {"seed", SEED, "N", 0, "Seed (1)", 1},
    {NULL, 0, NULL, 0, "Sequences:", 2},
    {"users", USERS, "N", 0, "Users (600)", 2},
    {"items", ITEMS, "N", 0, "Items (400)", 2},
    {"ring", RING, "N", 0, "Items of a topic, which bursts walk through (8)", 2},
    {"cycle", CYCLE, "N", 0, "Items of a rhythm (20)", 2},
    {"period", PERIOD, "N", 0, "Positions from one rhythm item to the next (4)", 2},
    {"clusters", CLUSTERS, "N", 0, "Groups of topics, one of which is a user's home (5)", 2},
    {"burst", BURST, "P", 0, "Probability of a burst where nothing else is due (0.6)", 2},
    {NULL, 0, NULL, 0, "Signals:", 3},
    {"records", RECORDS, "N", 0, "Records (40000)", 3},
    {"least-snr", LEAST_SNR, "DB", 0, "Signal to noise of the worst records (-10)", 3},
    {"most-snr", MOST_SNR, "DB", 0, "Signal to noise of the best, in 2 dB steps (20)", 3},
    {"frequency", FREQUENCY, "F", 0, "Largest frequency offset, in cycles a sample (0.01)", 3},
    {0}};

static const char *name_of(int key) {
  for (const struct argp_option *option = options; option->key || option->doc; option++) {
    if (option->key == key) return option->name;
  }
  return NULL;
}

static void take_kind(struct argp_state *state, arguments *a, const char *text) {
  a->wants_signals = !strcmp(text, "signals");
  if (!a->wants_signals && strcmp(text, "sequences") != 0)
    argp_error(state, "--kind: wanted sequences or signals, but '%s' came", text);
}

/* What the kinds do not share must be of the one that is made. */
static void check_kind(struct argp_state *state, const arguments *a) {
  const char *foreign = a->wants_signals ? a->of_sequences : a->of_signals;
  if (foreign)
    argp_error(state, "--%s: is of --kind %s, but %s are made", foreign,
               a->wants_signals ? "sequences" : "signals", a->wants_signals ? "signals" : "sequences");
  if (a->wants_signals && !a->out)
    argp_error(state, "--out: wanted a file for the signals, which are not printed");
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  static const int64_t most = 10000000;
  if (key >= USERS && key <= BURST) a->of_sequences = name_of(key);
  if (key >= RECORDS && key <= FREQUENCY) a->of_signals = name_of(key);
  switch (key) {
    case 'o': a->out = tool_path_argument(state, "--out", "a file or folder", text); return 0;
    case KIND: take_kind(state, a, text); return 0;
    case LENGTH:
      a->sequences.mean_length = a->signals.length = tool_int_argument(state, "--length", text, 1, most);
      return 0;
    case SEED:
      a->sequences.seed = a->signals.seed = (uint64_t)tool_int_argument(state, "--seed", text, 0, INT64_MAX);
      return 0;
    case USERS: a->sequences.users = tool_int_argument(state, "--users", text, 1, most); return 0;
    case ITEMS: a->sequences.items = tool_int_argument(state, "--items", text, 1, most); return 0;
    case RING: a->sequences.ring = tool_int_argument(state, "--ring", text, 1, most); return 0;
    case CYCLE: a->sequences.cycle = tool_int_argument(state, "--cycle", text, 1, most); return 0;
    case PERIOD: a->sequences.period = tool_int_argument(state, "--period", text, 1, most); return 0;
    case CLUSTERS: a->sequences.clusters = tool_int_argument(state, "--clusters", text, 1, most); return 0;
    case BURST: a->sequences.burst = tool_real_argument(state, "--burst", text, 0, 1); return 0;
    case RECORDS: a->signals.records = tool_int_argument(state, "--records", text, 1, 10 * most); return 0;
    case LEAST_SNR: a->signals.least_snr = tool_real_argument(state, "--least-snr", text, -100, 100); return 0;
    case MOST_SNR: a->signals.most_snr = tool_real_argument(state, "--most-snr", text, -100, 100); return 0;
    case FREQUENCY: a->signals.frequency = tool_real_argument(state, "--frequency", text, 0, 0.5); return 0;
    case ARGP_KEY_END: check_kind(state, a); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static int write_sequences(const arguments *a) {
  moire_error error = {0};
  if (a->out) return moire__synth_write(&a->sequences, a->out, &error) ? tool_fail("synth", &error) : 0;
  moire__text text = {0};
  moire_status status = moire__synth_text(&a->sequences, &text, &error);
  if (!status) fwrite(text.data, 1, text.length, stdout);
  moire__text_free(&text);
  return status ? tool_fail("synth", &error) : 0;
}

int tool_synth(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      NULL,
      "Writes a synthetic data set, which depends on the options alone.\v"
      "Sequences have one user a line, with bursts of neighbouring items and items that return in a rhythm. "
      "Signals are a safetensors file of I/Q records of eight modulations, with random phase, frequency, "
      "timing "
      "and noise: iq c64[N, length], label i32[N], snr f32[N].",
      NULL,
      NULL,
      NULL};
  arguments a = {.sequences = moire__synth_defaults(), .signals = moire__signals_defaults()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  if (!a.wants_signals) return write_sequences(&a);
  moire_error error = {0};
  return moire__signals_write(&a.signals, a.out, &error) ? tool_fail("synth", &error) : 0;
}
