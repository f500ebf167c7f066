/* Where tables lie that are stepped by rows. See trainer_tables.h. */
#include "runtime/train/trainer_tables.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/files/file.h"
#include "runtime/run/store.h"

#include <string.h>

const char *moire__trainer_tables_folder(const moire_config *training, const char *directory) {
  const char *table = moire_config_string(training, "table");
  if (!strcmp(table, "memory")) return NULL;
  return strcmp(table, "file") ? table : directory;
}

/* Behind "adam.m." or "adam.v.", if it begins so. */
static const char *without_moment(const char *state) {
  static const char *const prefixes[] = {"adam.m.", "adam.v."};
  for (int i = 0; i < 2; i++) {
    size_t n = strlen(prefixes[i]);
    if (!strncmp(state, prefixes[i], n)) return state + n;
  }
  return state;
}

bool moire__trainer_is_table(const moire_plan *plan, const char *state) {
  const char *table = without_moment(state);
  size_t n = strlen(MOIRE__SINCE_PREFIX);
  for (int i = 0; i < plan->n_states; i++) {
    const char *name = plan->states[i].name;
    if (!strncmp(name, MOIRE__SINCE_PREFIX, n) && !strcmp(name + n, table)) return true;
  }
  return false;
}

moire_status moire__trainer_place_tables(moire_store *store, const moire_plan *plan,
                                         const moire_config *training, const char *directory,
                                         moire_error *error) {
  const char *folder = moire__trainer_tables_folder(training, directory);
  if (!folder) return MOIRE_OK;
  if (folder != directory && !strchr(folder, '/'))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "table is %s: wanted memory, file, or the path of a folder, with a /", folder);
  int n = 0;
  const char **names = moire__allocate_array((size_t)plan->n_states + 1, sizeof *names);
  for (int i = 0; i < plan->n_states; i++) {
    if (moire__trainer_is_table(plan, plan->states[i].name)) names[n++] = plan->states[i].name;
  }
  moire_status status = MOIRE_OK;
  if (!n)
    status =
        moire_fail(error, MOIRE_ERROR_ARGUMENT,
                   "table: tables in files are stepped by rows alone: wanted sparse: exact or lazy, or table: "
                   "memory");
  if (!status) status = moire__file_make_directories(folder, error);
  if (!status) moire__store_put_in_files(store, folder, names, n);
  moire__release(names);
  return status;
}
