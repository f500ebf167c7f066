/* moire generate: lets a language model go on. */
#include "tools/parts/call.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <stdio.h>
#include <string.h>

typedef struct arguments {
  moire__sources sources;
  tool_call call;
  moire__generate_job job;
  moire__prompt *prompts;
  int n, capacity;
  const char *file;
  moire__arena arena;
} arguments;

enum {
  IDS = 0x100,
  PROMPT,
  PROMPTS,
  TOKENIZER,
  MAX,
  TEMPERATURE,
  TOP_K,
  TOP_P,
  PENALTY,
  SEED,
  EOS,
  BATCH,
  JSON
};

static const struct argp_option options[] = {
    {"prompt", PROMPT, "TEXT", 0, "A text to go on with; may come often", 0},
    {"tokenizer", TOKENIZER, "FILE", 0, "Makes words of text, if the checkpoint keeps none", 0},
    {"ids", IDS, "IDS", 0, "A prompt as ids of words, \"1 403 407\"; may come often", 0},
    {"prompts", PROMPTS, "FILE", 0, "Prompts, one a line", 0},
    {"max", MAX, "N", 0, "Most tokens that are added (128)", 0},
    {"temperature", TEMPERATURE, "T", 0, "Draw words, with logits divided by T; 0: take the best (0)", 0},
    {"top-k", TOP_K, "K", 0, "Draw among the K best; 0: all (0)", 0},
    {"top-p", TOP_P, "P", 0, "Draw among the best that have P of the mass (1)", 0},
    {"repetition-penalty", PENALTY, "R", 0, "Divide the logits of words that were seen (1)", 0},
    {"seed", SEED, "N", 0, "Of what is drawn (42)", 0},
    {"eos", EOS, "ID", 0, "The word that ends a text; -1: none (as the tokenizer says)", 0},
    {"batch", BATCH, "N", 0, "Prompts that are continued together (32)", 0},
    {"json", JSON, NULL, 0, "Print JSON, a line for each prompt", 0},
    {0}};

static void add_prompt(arguments *a, const char *text, bool is_ids) {
  const moire__prompt prompt = {text, is_ids};
  MOIRE__PUSH(&a->arena, a->prompts, a->n, a->capacity, prompt);
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &a->sources;
      state->child_inputs[1] = &a->call;
      return 0;
    case IDS:
    case PROMPT: add_prompt(a, text, key == IDS); return 0;
    case TOKENIZER: a->job.tokenizer = tool_path_argument(state, "--tokenizer", "a file", text); return 0;
    case PROMPTS: a->file = tool_path_argument(state, "--prompts", "a file", text); return 0;
    case MAX: a->job.most = tool_int_argument(state, "--max", text, 1, 1000000); return 0;
    case TEMPERATURE:
      a->job.sampling.temperature = tool_real_argument(state, "--temperature", text, 0, 1000);
      return 0;
    case TOP_K: a->job.sampling.top_k = tool_int_argument(state, "--top-k", text, 0, 16777216); return 0;
    case TOP_P: a->job.sampling.top_p = tool_real_argument(state, "--top-p", text, 0, 1); return 0;
    case PENALTY:
      a->job.sampling.repetition_penalty = tool_real_argument(state, "--repetition-penalty", text, 0.01, 100);
      return 0;
    case SEED: a->job.seed = (uint64_t)tool_int_argument(state, "--seed", text, 0, INT64_MAX); return 0;
    case EOS: a->job.eos = tool_int_argument(state, "--eos", text, -1, 16777215); return 0;
    case BATCH: a->job.batch = tool_int_argument(state, "--batch", text, 1, 65536); return 0;
    case JSON: a->job.json = true; return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || (!a->n && !a->file))
        argp_error(state, "wanted --checkpoint FILE and --prompt TEXT, --prompts FILE or --ids IDS");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status read_file(arguments *a, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(a->file, (size_t)1 << 28, &bytes, &n, error);
  if (status) return status;
  for (const char *at = bytes; at < bytes + n;) {
    const char *end = memchr(at, '\n', (size_t)(bytes + n - at));
    size_t length = end ? (size_t)(end - at) : (size_t)(bytes + n - at);
    const char *line = moire__arena_printf(&a->arena, "%.*s", (int)length, at);
    if (length) add_prompt(a, line, false);
    at += length + 1;
  }
  moire__release(bytes);
  return a->n ? MOIRE_OK : moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no prompts", a->file);
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  moire__generate_verb *generate = predictor->setup.task->generate;
  return generate ? generate(predictor, job, error) : moire__task_refuse(&predictor->setup, "generate", error);
}

/* What decides about the texts. */
static void describe(arguments *a) {
  const moire__generate_job *job = &a->job;
  uint64_t hash = MOIRE__FNV_START;
  for (int i = 0; i < a->n; i++) {
    for (const char *c = a->prompts[i].text; *c; c++) hash = moire__fnv(hash, (uint8_t)*c);
    hash = moire__fnv(hash, a->prompts[i].is_ids ? 256 : 257);
  }
  a->call.verb = "generate";
  a->call.sources = &a->sources;
  a->call.out = &a->job.out;
  a->call.job_part = &a->job.part;
  a->call.files[0] = job->tokenizer;
  tool_call_say(&a->call, "prompts=%016llx batch=%lld max=%lld eos=%lld json=%d", (unsigned long long)hash,
                (long long)job->batch, (long long)job->most, (long long)job->eos, job->json);
  tool_call_say(&a->call, "temperature=%.17g top-k=%lld top-p=%.17g repetition-penalty=%.17g seed=%llu",
                job->sampling.temperature, (long long)job->sampling.top_k, job->sampling.top_p,
                job->sampling.repetition_penalty, (unsigned long long)job->seed);
}

int tool_generate(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "--checkpoint FILE --prompt TEXT...",
                                     "Continues texts by a language model, several at once. What is printed of "
                                     "one comes as it is made; time to the first token and tokens a second "
                                     "go to stderr.",
                                     tool_call_arguments,
                                     NULL,
                                     NULL};
  arguments a = {.sources.threads = tool_default_threads(),
                 .job = {.batch = 32, .most = 128, .seed = 42, .eos = -2, .sampling = {0, 0, 1, 1}}};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  a.job.greedy = a.job.sampling.temperature == 0;
  moire_error error = {0};
  int status = a.file && read_file(&a, &error) ? tool_fail("generate", &error) : 0;
  a.job.prompts = a.prompts;
  a.job.n_prompts = a.n;
  describe(&a);
  if (!status) status = tool_call_ask(&a.call, ask, &a.job);
  moire__arena_free(&a.arena);
  return status;
}
