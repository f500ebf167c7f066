/* The library's models, and the loading of a user's own from a shared object. A loaded object stays loaded: its
 * descriptor is used to the end of the program. */
#include "moire/model.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define MODELS(MODEL)                                                                                          \
  MODEL(qia)                                                                                                   \
  MODEL(pswrec_v13)                                                                                            \
  MODEL(pswrec_v13_vam)                                                                                        \
  MODEL(pswrec_v13_softmag)                                                                                    \
  MODEL(pswrec_v1111)                                                                                          \
  MODEL(pm_ssd)                                                                                                \
  MODEL(wearec)                                                                                                \
  MODEL(semantic_id)                                                                                           \
  MODEL(indra)                                                                                                 \
  MODEL(llama)                                                                                                 \
  MODEL(hybrid)                                                                                                \
  MODEL(hybrid_text)                                                                                           \
  MODEL(hybrid_graph)

#define DECLARE(name) extern const moire_model moire_model_##name;
MODELS(DECLARE)
#undef DECLARE

#define ENTRY(name) &moire_model_##name,
static const moire_model *const models[] = {MODELS(ENTRY)};
#undef ENTRY

int moire_model_count(void) { return (int)(sizeof models / sizeof *models); }

const moire_model *moire_model_at(int index) {
  return index >= 0 && index < moire_model_count() ? models[index] : NULL;
}

static bool is_path(const char *name) {
  size_t length = strlen(name);
  return strchr(name, '/') || (length > 3 && !strcmp(name + length - 3, ".so"));
}

enum { BEFORE_CONTEXT = 2 }; /* the version whose descriptor ends at `build` */

static bool can_build(const moire_model *model) {
  return model->build || (model->abi > BEFORE_CONTEXT && model->build_from);
}

void moire_model_build(const moire_model *model, moire_graph *g, const moire_config *config) {
  if (model->abi > BEFORE_CONTEXT && model->build_from)
    model->build_from(g, config, model->context);
  else
    model->build(g, config);
}

/* What the command and the trainer rely on. */
static moire_status check_loaded(const char *path, const moire_model *model, moire_error *error) {
  if (!model) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: moire_model_main returned no model", path);
  if (model->abi != MOIRE_MODEL_ABI && model->abi != BEFORE_CONTEXT) {
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: was built for version %d of the model descriptor, but this is version %d", path,
                      model->abi, MOIRE_MODEL_ABI);
  }
  if (model->task && model->name && model->summary && can_build(model) && model->n_fields >= 0 &&
      (!model->n_fields || model->fields))
    return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted a model with task, name, summary and build", path);
}

/* dlopen looks for a name without a slash in the library path; a model's is meant as a file. */
static void *open_library(const char *path) {
  char local[4096];
  if (strchr(path, '/')) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
  snprintf(local, sizeof local, "./%s", path);
  return dlopen(local, RTLD_NOW | RTLD_LOCAL);
}

static const moire_model *load(const char *path, moire_error *error) {
  void *library = open_library(path);
  if (!library) {
    moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be loaded as a model: %s", path, dlerror());
    return NULL;
  }
  /* ISO C has no conversion from an object pointer to a function's; POSIX promises that the bits agree. */
  const moire_model *(*main_function)(void) = NULL;
  void *symbol = dlsym(library, "moire_model_main");
  if (!symbol) {
    moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no function moire_model_main", path);
    dlclose(library);
    return NULL;
  }
  memcpy(&main_function, &symbol, sizeof symbol);
  const moire_model *model = main_function();
  if (!check_loaded(path, model, error)) return model;
  dlclose(library);
  return NULL;
}

const moire_model *moire_model_find(const char *name, moire_error *error) {
  if (is_path(name)) return load(name, error);
  for (int i = 0; i < moire_model_count(); i++) {
    if (!strcmp(models[i]->name, name)) return models[i];
  }
  char known[512] = "";
  for (int i = 0; i < moire_model_count(); i++) {
    size_t length = strlen(known);
    snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "", models[i]->name);
  }
  moire_fail(error, MOIRE_ERROR_ARGUMENT,
             "there is no model %.80s; there are %s, or the path of a shared object", name, known);
  return NULL;
}
