/* What a training run leaves on disk, and how it is read back. */
#include "runtime/train/trainer_files.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/files/file.h"
#include "runtime/train/average.h"
#include "runtime/train/trainer_tables.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

/* ---- Paths ------------------------------------------------------------------------------------------------
 */

static char *path_in(const char *directory, const char *name) {
  moire__text text = {0};
  moire__text_add(&text, "%s/%s", directory, name);
  return text.data;
}

/* The files of a first epoch, until they take their places. */
static moire__trainer_files staged_files(const moire__trainer_files *files) {
  const char *directory = files->job->directory;
  return (moire__trainer_files){.job = files->job,
                                .best = path_in(directory, "best.safetensors.first"),
                                .last = path_in(directory, "last.safetensors.first"),
                                .part = path_in(directory, "part.safetensors.first"),
                                .metrics = path_in(directory, "metrics.jsonl.first")};
}

static void discard_staged(const moire__trainer_files *staged) {
  char *const paths[] = {staged->best, staged->last, staged->part, staged->metrics};
  for (int i = 0; i < 4; i++) {
    moire__file_remove_leftovers(paths[i]);
    unlink(paths[i]);
  }
}

moire_status moire__trainer_files_open(moire__trainer_files *files, const moire__trainer_job *job,
                                       moire_error *error) {
  *files = (moire__trainer_files){.job = job,
                                  .best = path_in(job->directory, "best.safetensors"),
                                  .last = path_in(job->directory, "last.safetensors"),
                                  .part = path_in(job->directory, "part.safetensors"),
                                  .metrics = path_in(job->directory, "metrics.jsonl")};
  moire_status status = moire__file_make_directories(job->directory, error);
  if (status) return status;
  moire__file_remove_leftovers(files->best);
  moire__file_remove_leftovers(files->last);
  moire__file_remove_leftovers(files->part);
  moire__file_remove_leftovers(files->metrics);
  moire__trainer_files staged = staged_files(files);
  discard_staged(&staged);
  moire__trainer_files_close(&staged);
  return MOIRE_OK;
}

void moire__trainer_files_close(moire__trainer_files *files) {
  moire__release(files->best);
  moire__release(files->last);
  moire__release(files->part);
  moire__release(files->metrics);
  moire__text_free(&files->journal);
}

/* ---- Metrics ----------------------------------------------------------------------------------------------
 */

static moire_status write_journal(const moire__trainer_files *files, moire_error *error) {
  return moire__file_write_atomic(files->metrics, moire__text_string(&files->journal), files->journal.length,
                                  error);
}

void moire__trainer_files_add_record(const moire__epoch_record *record, moire__text *out) {
  moire__text_add(out, "\"epoch\":%" PRId64 ",\"train_loss\":", record->epoch);
  moire__config_add_real(out, record->train_loss);
  moire__text_add(out, ",\"train_seconds\":%.3f,\"valid\":", record->train_seconds);
  moire__measures_to_json(&record->valid, out);
  moire__text_add(out, ",\"valid_seconds\":%.3f", record->valid_seconds);
}

moire_status moire__trainer_files_add_epoch(moire__trainer_files *files, const moire__epoch_record *record,
                                            moire_error *error) {
  const moire__trainer_task *task = files->job->task;
  if (task->lines) task->lines(task->context, &files->journal);
  moire__text_add_char(&files->journal, '{');
  moire__trainer_files_add_record(record, &files->journal);
  moire__text_add(&files->journal, "}\n");
  return write_journal(files, error);
}

moire_status moire__trainer_files_add_test(moire__trainer_files *files, const moire__measures *test,
                                           const moire__trained *trained, moire_error *error) {
  moire__text_add(&files->journal, "{\"best_epoch\":%" PRId64 ",\"test\":", trained->best_epoch);
  moire__measures_to_json(test, &files->journal);
  moire__text_add(&files->journal, "}\n");
  return write_journal(files, error);
}

/* ---- Checkpoints ------------------------------------------------------------------------------------------
 */

/* All but what may change from one run to its continuation. */
static void trained_to_json(const moire__trainer_files *files, const moire__trained *trained,
                            moire__text *out) {
  moire__text_add(out,
                  "{\"epochs\":%" PRId64 ",\"steps\":%" PRId64 ",\"best_epoch\":%" PRId64 ",\"best_value\":",
                  trained->epochs, trained->steps, trained->best_epoch);
  moire__config_add_real(out, trained->best_value);
  if (trained->part) {
    moire__text_add(out, ",\"part\":%" PRId64 ",\"part_seconds\":%.3f,\"part_loss\":", trained->part,
                    trained->part_seconds);
    moire__config_add_real(out, trained->part_loss);
  }
  moire__text_add(out, ",\"data\":\"%016" PRIx64 "\"}", files->job->task->fingerprint);
}

static moire_status save(const moire__trainer_files *files, const char *path, const moire_store *store,
                         moire__checkpoint_part part, const moire__st_metadata *more, int n_more,
                         moire_error *error) {
  moire__text config = {0};
  moire__config_to_json(files->job->config, &config);
  moire__st_metadata metadata[8] = {
      {"format", MOIRE__CHECKPOINT_FORMAT}, {"model", files->job->model}, {"config", config.data}};
  int n = 3;
  for (int i = 0; i < n_more; i++) metadata[n++] = more[i];
  const moire__trainer_task *task = files->job->task;
  for (int i = 0; i < 2; i++)
    if (task->kept[i].value) metadata[n++] = task->kept[i];
  const moire__state_dict *dict = part == MOIRE__CHECKPOINT_MODEL ? files->job->dict : NULL;
  moire_status status = dict ? moire__checkpoint_save_dict(path, store, dict, metadata, n, error)
                             : moire__checkpoint_save(path, store, part, metadata, n, error);
  moire__text_free(&config);
  return status;
}

moire_status moire__trainer_files_save_best(const moire__trainer_files *files, moire_store *store,
                                            int64_t epoch, moire_error *error) {
  char number[32];
  snprintf(number, sizeof number, "%" PRId64, epoch);
  const moire__st_metadata more[] = {{"epoch", number}};
  moire__average_swap(store);
  moire_status status = save(files, files->best, store, MOIRE__CHECKPOINT_MODEL, more, 1, error);
  moire__average_swap(store);
  return status;
}

/* A file of another hand may have its numbers anywhere, and is then read. */
static bool is_aligned(const moire__safetensors *file) {
  bool aligned = true;
  for (int i = 0; i < moire__safetensors_count(file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(file, i);
    aligned = aligned && (uintptr_t)t->data % (uintptr_t)moire__st_dtype_size(t->dtype) == 0;
  }
  return aligned;
}

moire_status moire__trainer_files_read(const moire__trainer_files *files, const char *path,
                                       moire__safetensors **file, moire_error *error) {
  const moire__trainer_job *job = files->job;
  if (!moire__trainer_tables_folder(job->training, job->directory))
    return moire__safetensors_open(path, file, error);
  moire_status status = moire__safetensors_map(path, file, error);
  if (status || is_aligned(*file)) return status;
  moire__safetensors_close(*file);
  *file = NULL;
  return moire__safetensors_open(path, file, error);
}

moire_status moire__trainer_files_load_best(const moire__trainer_files *files, moire_store *store,
                                            moire_error *error) {
  moire__safetensors *file = NULL;
  moire_status status = moire__trainer_files_read(files, files->best, &file, error);
  if (!status) status = moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_MODEL, error);
  moire__safetensors_close(file);
  return status;
}

static moire_status save_everything(const moire__trainer_files *files, const char *path,
                                    const moire_store *store, const moire__trained *trained,
                                    moire_error *error) {
  moire__text state = {0}, training = {0};
  trained_to_json(files, trained, &state);
  moire__config_to_json(files->job->training, &training);
  const moire__st_metadata more[] = {{"training", training.data}, {"trained", state.data}};
  moire_status status = save(files, path, store, MOIRE__CHECKPOINT_EVERYTHING, more, 2, error);
  moire__text_free(&state);
  moire__text_free(&training);
  return status;
}

static moire_status remove_old(const char *path, const char *why, moire_error *error) {
  if (!unlink(path) || errno == ENOENT) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be removed %s: %s", path, why, strerror(errno));
}

moire_status moire__trainer_files_save_last(const moire__trainer_files *files, const moire_store *store,
                                            const moire__trained *trained, moire_error *error) {
  moire_status status = save_everything(files, files->last, store, trained, error);
  return status ? status : remove_old(files->part, "after a whole epoch", error);
}

/* ---- The first checkpoint ---------------------------------------------------------------------------------
 */

/* In an order in which every moment leaves something whole: the earlier run, which can be resumed as long as
 * its last.safetensors is there; then no run to resume. */
static moire_status remove_earlier(const moire__trainer_files *files, moire_error *error) {
  char *const paths[] = {files->part, files->last, files->metrics, files->best};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < 4 && !status; i++) status = remove_old(paths[i], "for a new run", error);
  return status;
}

static moire_status put_in_place(const moire__trainer_files *files, const moire__trainer_files *staged,
                                 moire_error *error) {
  moire_status status = remove_earlier(files, error);
  if (!status) status = moire__file_rename(staged->best, files->best, error);
  if (!status) status = moire__file_rename(staged->metrics, files->metrics, error);
  return status ? status : moire__file_rename(staged->last, files->last, error);
}

moire_status moire__trainer_files_save_first(moire__trainer_files *files, moire_store *store,
                                             const moire__epoch_record *record, const moire__trained *trained,
                                             moire_error *error) {
  moire__trainer_files staged = staged_files(files);
  const moire__trainer_job *job = files->job;
  moire_status status = moire__trainer_files_save_best(&staged, store, record->epoch, error);
  if (!status) status = moire__trainer_files_add_epoch(&staged, record, error);
  if (!status) status = moire__trainer_files_save_last(&staged, store, trained, error);
  if (!status && job->claim) status = job->claim(job->claim_context, error);
  if (!status) status = put_in_place(files, &staged, error);
  if (status) discard_staged(&staged);
  files->fresh = status != MOIRE_OK;
  moire__text_free(&files->journal);
  files->journal = staged.journal;
  staged.journal = (moire__text){0};
  moire__trainer_files_close(&staged);
  return status;
}

/* ---- Within an epoch --------------------------------------------------------------------------------------
 */

static moire_status save_first_part(moire__trainer_files *files, const moire_store *store,
                                    const moire__trained *trained, moire_error *error) {
  moire__trainer_files staged = staged_files(files);
  const moire__trainer_job *job = files->job;
  moire_status status = save_everything(files, staged.part, store, trained, error);
  if (!status && job->claim) status = job->claim(job->claim_context, error);
  if (!status) status = remove_earlier(files, error);
  if (!status) status = write_journal(files, error);
  if (!status) status = moire__file_rename(staged.part, files->part, error);
  if (status) discard_staged(&staged);
  files->fresh = status != MOIRE_OK;
  moire__trainer_files_close(&staged);
  return status;
}

moire_status moire__trainer_files_save_part(moire__trainer_files *files, const moire_store *store,
                                            const moire__trained *trained, moire_error *error) {
  const moire__trainer_task *task = files->job->task;
  if (task->lines) task->lines(task->context, &files->journal);
  if (files->fresh) return save_first_part(files, store, trained, error);
  moire_status status = write_journal(files, error);
  return status ? status : save_everything(files, files->part, store, trained, error);
}
