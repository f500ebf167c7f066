/* Asking a model, as a whole or in parts. See call.h. */
#include "tools/parts/call.h"

#include "compiler/codegen/codegen.h"
#include "moire/version.h"
#include "runtime/base/hash.h"
#include "runtime/base/memory.h"
#include "tools/parts/manifest.h"
#include "tools/parts/output.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Options ----------------------------------------------------------------------------------------------
 */

enum { PART = 0x100 };

static const struct argp_option options[] = {
    {"part", PART, "I/N", 0, "Compute part I of N alone, into FILE.I-of-N; `moire merge` joins them", 0},
    {"output", 'o', "FILE", 0, "Where the result goes (stdout)", 0},
    {0}};

static void read_part(const struct argp_state *state, const char *text, moire__part *part) {
  char *slash = NULL, *end = NULL;
  long long index = strtoll(text, &slash, 10), count = *slash == '/' ? strtoll(slash + 1, &end, 10) : 0;
  if (slash == text || !end || end == slash + 1 || *end || index < 1 || index > count || count > 1000000)
    argp_error(state, "--part: wanted I/N with I from 1 to N, such as 3/8, but '%s' came", text);
  part->index = index;
  part->count = count;
}

static error_t parse(int key, char *text, struct argp_state *state) {
  tool_call *c = state->input;
  switch (key) {
    case PART: read_part(state, text, &c->part); return 0;
    case 'o': c->output = tool_path_argument(state, "--output", "a file", text); return 0;
    case ARGP_KEY_END:
      if (c->part.count && !c->output)
        argp_error(state, "--part: wanted -o FILE too: part I of N goes to FILE.I-of-N");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp parser = {options, parse, NULL, NULL, NULL, NULL, NULL};

const struct argp_child tool_call_arguments[] = {{&tool_sources_argp, 0, NULL, 0}, {&parser, 0, NULL, 0}, {0}};

void tool_call_say(tool_call *c, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  char *text = moire__allocate((size_t)n + 1);
  vsnprintf(text, (size_t)n + 1, format, again);
  moire__text_add(&c->text, "%s%s", c->text.length ? " " : "", text);
  moire__release(text);
  va_end(again);
  va_end(args);
}

/* ---- What decides about a result ---------------------------------------------------------------------------
 */

typedef struct hasher {
  uint64_t hash;
} hasher;

static void add_text(hasher *h, const char *text) {
  for (const char *c = text ? text : ""; *c; c++) h->hash = moire__fnv(h->hash, (uint8_t)*c);
  h->hash = moire__fnv(h->hash, text ? 256 : 257);
}

static moire_status add_path(hasher *h, const char *path, moire_error *error);

static moire_status add_file(hasher *h, const char *path, moire_error *error) {
  tool_hash_text text;
  int64_t bytes = 0;
  moire_status status = tool_hash_file(path, text, &bytes, error);
  if (!status) add_text(h, text);
  return status;
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* The files of a folder by their names; folders in it are passed over. */
static moire_status add_folder(hasher *h, const char *path, moire_error *error) {
  struct dirent **entries = NULL;
  int n = scandir(path, &entries, is_visible, alphasort);
  moire_status status = n < 0 ? moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be read", path) : MOIRE_OK;
  for (int i = 0; i < n; i++) {
    moire__text inside = {0};
    struct stat about;
    moire__text_add(&inside, "%s/%s", path, entries[i]->d_name);
    if (!status && !stat(inside.data, &about) && S_ISREG(about.st_mode)) {
      add_text(h, entries[i]->d_name);
      status = add_file(h, inside.data, error);
    }
    moire__text_free(&inside);
    free(entries[i]);
  }
  free(entries);
  return status;
}

/* "x=a.npy,y=b.npy" */
static moire_status add_list(hasher *h, const char *path, moire_error *error) {
  moire_status status = MOIRE_OK;
  char *copy = moire__allocate(strlen(path) + 1), *rest = NULL;
  memcpy(copy, path, strlen(path) + 1);
  for (char *word = strtok_r(copy, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest)) {
    char *equals = strchr(word, '=');
    if (equals) *equals = 0;
    add_text(h, equals ? word : "");
    status = add_path(h, equals ? equals + 1 : word, error);
  }
  moire__release(copy);
  return status;
}

/* A file, a folder, or a list of files. */
static moire_status add_path(hasher *h, const char *path, moire_error *error) {
  struct stat about;
  if (stat(path, &about)) {
    if (strchr(path, '=')) return add_list(h, path, error);
    return moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be opened", path);
  }
  if (S_ISDIR(about.st_mode)) return add_folder(h, path, error);
  if (!S_ISREG(about.st_mode))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: is no file: parts are told apart by what files hold",
                      path);
  return add_file(h, path, error);
}

/* Weights, and what else makes a model of them. */
static moire_status hash_model(const moire__predictor *p, tool_hash_text out, moire_error *error) {
  const moire__sources *s = p->sources;
  hasher h = {MOIRE__FNV_START};
  add_text(&h, p->setup.model->name);
  add_text(&h, moire__safetensors_metadata(p->file, "config"));
  for (int i = 0; i < moire__safetensors_count(p->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(p->file, i);
    add_text(&h, t->name);
    h.hash = moire__fnv(h.hash, (uint64_t)t->dtype);
    for (int a = 0; a < t->rank; a++) h.hash = moire__fnv(h.hash, (uint64_t)t->shape[a]);
    h.hash = moire__fnv(h.hash, moire__hash_bytes(t->data, (size_t)t->count * moire__st_dtype_size(t->dtype)));
  }
  add_text(&h, s->precision);
  for (int i = 0; i < s->n_assignments; i++) add_text(&h, s->assignments[i]);
  const char *files[] = {s->config, p->config_path,
                         s->model && moire__setup_is_path(s->model) ? s->model : NULL,
                         moire_import_is(s->checkpoint) ? s->checkpoint : NULL};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < 4 && !status; i++) {
    add_text(&h, files[i] ? "file" : NULL);
    if (files[i]) status = add_path(&h, files[i], error);
  }
  snprintf(out, sizeof(tool_hash_text), "%016" PRIx64, h.hash);
  return status;
}

static moire_status hash_data(const tool_call *c, tool_hash_text out, moire_error *error) {
  hasher h = {MOIRE__FNV_START};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < TOOL_CALL_FILES && !status; i++) {
    add_text(&h, c->files[i] ? "file" : NULL);
    if (c->files[i]) status = add_path(&h, c->files[i], error);
  }
  snprintf(out, sizeof(tool_hash_text), "%016" PRIx64, h.hash);
  return status;
}

/* ---- Asking -----------------------------------------------------------------------------------------------
 */

/* The part's file is complete: so says its manifest from now on. */
static moire_status seal(const tool_call *c, const moire__predictor *p, const char *path, const char *model,
                         const char *data, moire_error *error) {
  tool_hash_text checksum;
  moire__target target = moire__target_host();
  char program[64];
  snprintf(program, sizeof program, "%s %s", MOIRE_VERSION, target.name);
  tool_manifest m = {.verb = c->verb,
                     .task = p->setup.task->name,
                     .checksum = checksum,
                     .model = model,
                     .data = data,
                     .call = moire__text_string(&c->text),
                     .program = program,
                     .column = c->column ? c->column : "",
                     .part = c->part};
  moire_status status = tool_hash_file(path, checksum, &m.bytes, error);
  return status ? status : tool_manifest_write(path, &m, error);
}

static moire_status answer(tool_call *c, const char *path, tool_question *ask, const void *job,
                           moire_error *error) {
  moire__predictor predictor = {0};
  tool_hash_text model = "", data = "";
  tool_output *output = NULL;
  moire_status status = moire__predictor_open(&predictor, c->sources, error);
  if (!status && c->part.count) status = hash_model(&predictor, model, error);
  if (!status && c->part.count) status = hash_data(c, data, error);
  if (!status && c->out) {
    output = tool_output_open(path, error);
    if (output) *c->out = tool_output_file(output);
    if (!output) status = MOIRE_ERROR_IO;
  }
  if (c->path) *c->path = path;
  if (!status) status = ask(&predictor, job, error);
  status = tool_output_close(output, status, error);
  if (!status && c->part.count) status = seal(c, &predictor, path, model, data, error);
  moire__predictor_free(&predictor);
  return status;
}

int tool_call_ask(tool_call *c, tool_question *ask, const void *job) {
  moire_error error = {0};
  moire__text path = {0};
  if (c->output) moire__text_add(&path, "%s", c->output);
  if (c->part.count) moire__text_add(&path, ".%" PRId64 "-of-%" PRId64, c->part.index, c->part.count);
  if (c->part.count && c->job_part) *c->job_part = &c->part;
  moire_status status = answer(c, path.data, ask, job, &error);
  moire__text_free(&path);
  moire__text_free(&c->text);
  return status ? tool_fail(c->verb, &error) : 0;
}
