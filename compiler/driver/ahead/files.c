/* The files of a library: sources, weights, objects and texts go to a folder, the C compiler makes libraries of
 * them (build.c), and what is for the caller is renamed into place. */
#include "compiler/driver/ahead/ahead.h"
#include "compiler/driver/ahead/python/module.h"
#include "compiler/driver/ahead/python/wheel.h"

#include <stdio.h>
#include <string.h>

static moire_status write_text(const moire__ahead_folder *folder, const char *path, moire__text *text,
                               moire_error *error) {
  moire_status status = moire__ahead_folder_write(folder, path, moire__text_string(text), text->length, error);
  moire__text_free(text);
  return status;
}

static bool is_python(const moire__ahead_source *source) { return strstr(source->path, ".py") != NULL; }

static moire_status write_sources(const moire__ahead *a, const moire__ahead_folder *folder,
                                  moire_error *error) {
  moire_status status = MOIRE_OK;
  char name[MOIRE__AHEAD_LONGEST_NAME + 8];
  for (int i = 0; i < moire__ahead_source_count && !status; i++) {
    const moire__ahead_source *source = &moire__ahead_sources[i];
    moire__text text = {0};
    if (is_python(source)) continue;
    if (!strcmp(source->path, "runtime/aot/library.h")) {
      moire__ahead_write_header(a, &text);
      snprintf(name, sizeof name, "%s.h", a->options->name);
      status = moire__ahead_folder_write(folder, name, text.data, text.length, error);
    } else {
      moire__ahead_rename(a, source->text, (size_t)(source->end - source->text), &text);
    }
    if (!status) status = write_text(folder, source->path, &text, error);
    moire__text_free(&text);
  }
  moire__text tables = {0}, package = {0};
  moire__ahead_write_tables(a, &tables);
  moire__ahead_write_package(a, &package);
  snprintf(name, sizeof name, "%s.pc", a->options->name);
  if (!status) status = write_text(folder, "tables.c", &tables, error);
  if (!status) status = write_text(folder, name, &package, error);
  moire__text_free(&tables);
  moire__text_free(&package);
  return status;
}

static void put_word(unsigned char *at, uint64_t word) {
  for (int i = 0; i < 8; i++) at[i] = (unsigned char)(word >> (8 * i));
}

/* Into the library, or as a file: see runtime/aot/model.h. */
static moire_status write_weights(const moire__ahead *a, const moire__ahead_folder *folder,
                                  moire_error *error) {
  if (!a->model->weights) return MOIRE_OK;
  size_t n = (size_t)a->weight_bytes;
  if (!a->options->external_weights)
    return moire__ahead_folder_write(folder, "weights", n ? (const void *)a->weights : "", n, error);
  enum { HEAD = 64, FORMAT = 1 };
  unsigned char *file = moire__allocate(HEAD + n);
  memcpy(file, "moire wt", 8);
  put_word(file + 8, FORMAT);
  put_word(file + 16, a->signature);
  put_word(file + 24, n);
  put_word(file + 32, a->weight_hash);
  if (n) memcpy(file + HEAD, a->weights, n);
  char name[MOIRE__AHEAD_LONGEST_NAME + 16];
  snprintf(name, sizeof name, "%s.weights", a->options->name);
  moire_status status = moire__ahead_folder_write(folder, name, file, HEAD + n, error);
  moire__release(file);
  return status;
}

/* All plans of a level are compiled with the same switches. */
static moire__codegen_options options_of(const moire__ahead *a, const moire__ahead_level *level) {
  moire__codegen_options how = {.symbols = (const char *const *)level->symbols,
                                .debug_info = a->options->debug_info};
  for (int i = 0; i < MOIRE__AHEAD_PLANS; i++) how.flush |= level->modules[i] && level->modules[i]->plan.flush;
  return how;
}

static moire_status write_objects(const moire__ahead *a, const moire__ahead_folder *folder, int *n_objects,
                                  moire_error *error) {
  int threads = a->options->threads < 1 ? 1 : a->options->threads;
  moire_status status = MOIRE_OK;
  for (int i = 0; i < a->n_levels && !status; i++) {
    const moire__ahead_level *level = &a->levels[i];
    int n = level->n_kernels;
    moire__object *objects = moire__allocate_array((size_t)n + 1, sizeof *objects);
    moire__codegen_options how = options_of(a, level);
    status = moire__codegen_compile_parallel((const moire__loop_kernel *const *)level->kernels, n,
                                             &level->target, &how, threads, objects, error);
    for (int k = 0; k < n && !status; k++) {
      char name[32];
      snprintf(name, sizeof name, "kernels%d.o", (*n_objects)++);
      status = moire__ahead_folder_write(folder, name, objects[k].bytes, objects[k].size, error);
    }
    for (int k = 0; k < n; k++) moire__object_free(&objects[k]);
    moire__release(objects);
  }
  return status;
}

/* ---- Python ----------------------------------------------------------------------------------------- */

static moire_status write_python(moire__ahead *a, const moire__ahead_folder *folder, moire_error *error) {
  moire__text text = {0};
  char path[MOIRE__AHEAD_LONGEST_NAME + 16];
  moire_status status = moire__ahead_write_python(a, &text, error);
  snprintf(path, sizeof path, "%s/__init__.py", a->options->name);
  if (!status) status = moire__ahead_folder_write(folder, path, text.data, text.length, error);
  snprintf(path, sizeof path, "%s/items.txt", a->options->name);
  const char *items = a->model->items;
  if (!status && items) status = moire__ahead_folder_write(folder, path, items, strlen(items), error);
  moire__text_free(&text);
  return status;
}

/* ---- Texts for readers ------------------------------------------------------------------------------ */

typedef struct file_list {
  const char *names[4 + 4 + 3 * MOIRE__AHEAD_MOST_CPUS + 1];
  int n;
} file_list;

static const char *add_file(file_list *files, moire__ahead *a, const char *middle, const char *end) {
  return files->names[files->n++] =
             moire__arena_printf(&a->arena, "%s%s%s%s", a->options->name, *middle ? "." : "", middle, end);
}

static moire_status write_level_texts(moire__ahead *a, const moire__ahead_level *level, file_list *files,
                                      const moire__ahead_folder *folder, moire_error *error) {
  const struct {
    unsigned wanted;
    const char *end;
    moire__codegen_text_kind kind;
  } kinds[] = {{MOIRE_AHEAD_LLVM, ".ll", MOIRE__CODEGEN_LLVM_OPTIMIZED},
               {MOIRE_AHEAD_ASSEMBLY, ".s", MOIRE__CODEGEN_ASSEMBLY}};
  moire_status status = MOIRE_OK;
  moire__text text = {0};
  if (a->options->texts & MOIRE_AHEAD_LOOPS) {
    for (int i = 0; i < level->n_kernels; i++) moire__loop_print(level->kernels[i], &text);
    status = write_text(folder, add_file(files, a, level->target.name, ".loops.txt"), &text, error);
  }
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !status; i++) {
    moire__codegen_options how = options_of(a, level);
    if (!(a->options->texts & kinds[i].wanted)) continue;
    status = moire__codegen_emit_text((const moire__loop_kernel *const *)level->kernels, level->n_kernels,
                                      &level->target, &how, kinds[i].kind, &text, error);
    if (!status)
      status = write_text(folder, add_file(files, a, level->target.name, kinds[i].end), &text, error);
    moire__text_free(&text);
  }
  return status;
}

/* ---- All of it --------------------------------------------------------------------------------------- */

moire_status moire__ahead_write_files(moire__ahead *a, const moire__ahead_folder *folder, moire_error *error) {
  file_list files = {0};
  int n_objects = 0;
  /* With a wheel, too: where only NAME.so lies, Python would import that. */
  const bool python = a->options->python || a->options->wheel;
  moire_status status = write_sources(a, folder, error);
  if (!status) status = moire__ahead_try_header(a, folder, error);
  if (!status && python) status = write_python(a, folder, error);
  if (!status) status = write_weights(a, folder, error);
  if (!status) status = write_objects(a, folder, &n_objects, error);
  if (!status) status = moire__ahead_build(a, folder, n_objects, error);
  if (!status && a->options->wheel)
    status = moire__ahead_write_wheel(a, folder, &files.names[files.n++], error);
  if (a->options->external_weights && a->model->weights) add_file(&files, a, "", ".weights");
  for (int i = 0; i < a->n_levels && !status; i++)
    status = write_level_texts(a, &a->levels[i], &files, folder, error);
  if (python && a->model->items) add_file(&files, a, "", "/items.txt");
  if (python) add_file(&files, a, "", "/__init__.py");
  add_file(&files, a, "", ".so");
  add_file(&files, a, "", ".a");
  add_file(&files, a, "", ".pc");
  add_file(&files, a, "", ".h");
  if (status) return status;
  return moire__ahead_folder_publish(folder, a->options->directory, files.names, error);
}
