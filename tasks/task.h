/* Tasks: what a kind of model is trained on, measured by and asked for.
 *
 * A model names its task (moire/model.h); the task is one row of tasks/tasks.def and one folder. Whoever
 * trains, measures, profiles or compiles a model asks its task, and nobody asks which one it is: what a task
 * does not do is NULL in its descriptor, and refused with a sentence by moire__task_refuse.
 */
#ifndef MOIRE_TASKS_TASK_H
#define MOIRE_TASKS_TASK_H

#include "moire/ahead.h"
#include "tasks/setup.h"
#include "tasks/predictor.h"
#include "tasks/verbs.h"

#include "runtime/train/trainer_task.h"

/* A key that the task reads of its models' configurations. */
typedef struct moire__task_need {
  const char *key;
  moire_config_kind kind;
} moire__task_need;

/* Takes what a golden's tensor is off by, ||got - want|| / ||want||. */
typedef struct moire__golden_report {
  void *context;
  void (*add)(void *context, const moire__st_tensor *want, double off);
} moire__golden_report;

struct moire__task {
  const char *name;          /* "sequences" */
  const char *title;         /* "a sequential model", in messages */
  moire__config_fields keys; /* of a training's configuration; the first is "model" */
  const moire__task_need *needs;
  int n_needs;
  const char *needs_hint; /* where a model's author gets them from, for messages; or "" */
  const char *size_key;   /* the key of the model that the data say where nothing else does, or NULL */
  const char *interface;  /* of its ahead-of-time library (moire/ahead.h); NULL: it has none */
  const char *map; /* the metadata of its checkpoints that names the items, one a line; NULL: none does */
  /* What the library computes, where that is not the model as it is: `served` becomes a setup of its own with
   * the graph's configuration, and what it has as states and was computed of the data is added to `weights`,
   * which is made. The predictor is open; its data are read here, from `data`. NULL: of the model itself. */
  moire_status (*library)(moire__predictor *predictor, const char *data, moire__setup *served,
                          moire_store **weights, moire_error *error);
  /* What its library has beside the graph, into `model`; what that points to lies in the arena. `file` is the
   * checkpoint, `tokenizer` the file that --tokenizer names, each NULL: none. NULL: nothing, and no tokenizer.
   */
  moire_status (*equip)(const moire__setup *setup, const moire__safetensors *file, const char *tokenizer,
                        moire_ahead_model *model, moire__arena *arena, moire_error *error);
  bool takes_teacher;   /* eval compares with another model's outputs */
  bool has_baselines;   /* eval can measure what its models have to beat */
  const char *headline; /* the measure that tables compare by; NULL: the one that the run monitors */
  /* The measures that a table of runs shows, of those that there are, NULL after the last; NULL: all. */
  const char *const *shown;
  /* Whether a measure is the better the less it is. NULL: none is. */
  bool (*is_least)(const char *measure);

  /* Reads the data and builds the setup's configurations, which the data may complete (moire__setup_build).
   * What it read goes to setup->data, and is freed by free_data. */
  moire_status (*read)(moire__setup *setup, const moire__data_files *files, const char *where,
                       moire_error *error);
  void (*free_data)(void *data);

  /* What the model is asked for once it is trained, and what the trainer reads of a step, "loss" first. Names
   * in the arena; NULL with a sentence. The setup is built; its data may be missing. */
  const char *const *(*served)(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error);
  const char *const *(*step)(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error);

  /* Samples of training, and what the trained model is asked about, at most `batch` at once. Both borrow the
   * setup's data. `data` has at least one of them. */
  moire__samples (*samples)(const moire__setup *setup, int64_t batch);
  moire__samples (*queries)(const moire__setup *setup, int64_t batch);

  /* Compiles what the training runs beside its step, and makes what the trainer asks. It borrows the setup. */
  moire_status (*train)(const moire__setup *setup, int threads, moire__trainer_task *task, moire_error *error);

  /* Names of the files that the training's test leaves in a run's folder, NULL after the last; NULL: none. They
   * are removed where another run begins. */
  const char *const *leaves;

  /* Keys of the configuration that the tensors of a state dict say, or those of a golden; NULL: none. */
  moire_status (*complete)(moire__setup *setup, const moire__safetensors *file, moire_error *error);
  /* Is this what the input `name` of a golden may hold? NULL: anything. */
  moire_status (*check_input)(const moire__setup *setup, const char *path, const char *name,
                              const double *values, int64_t n, moire_error *error);
  /* Goldens that are of no model but of the task, by what stands where a model's name would: compares them, or
   * sets *known to false. `data` is where the data lie, or NULL. The function is NULL where there are none. */
  moire_status (*golden)(const char *kind, const moire__safetensors *file, const moire__config_table *config,
                         const char *data, const moire__golden_report *report, bool *known, moire_error *error);
  /* values[0 .. *n) of one measure, one a sample of the test: owned (moire__release). `path` is a run's folder,
   * or a file that the verb `eval` left. NULL without an error where the folder has none. The function is NULL
   * where the task has no such values. */
  double *(*values)(const char *path, const char *measure, int64_t *n, moire_error *error);

  /* The most positions of a row, of a task whose rows grow; NULL: it has none. */
  int64_t (*positions)(const moire__setup *setup);
  /* Whether a checkpoint may have a tensor of this name though the model has no such state. NULL: none may. */
  bool (*ignores)(const char *tensor);

  /* The verbs: see verbs.h. */
  moire__eval_verb *eval;
  /* The measures that the terms of `eval` make, and the file of each sample's that --ranks or --values names;
   * both where there is `eval`. */
  moire_status (*measure)(const moire__terms *terms, moire__measures *measures, moire_error *error);
  moire_status (*leave)(const moire__terms *terms, const char *path, moire_error *error);
  /* Writes what `encode` would have written of all rows, of the files of its parts, in order; where lines want
   * more than to be put one after the other (MOIRE__PART_CODES). */
  moire_status (*join)(const char *const *paths, int n, FILE *out, moire_error *error);
  moire__recommend_verb *recommend;
  moire__encode_verb *encode;
  moire__decode_verb *decode;
  moire__predict_verb *predict;
  moire__generate_verb *generate;
  moire__teach_verb *teach;
};

int moire__task_count(void);
const moire__task *moire__task_at(int index);
/* NULL if there is none of that name. */
const moire__task *moire__task_find(const char *name);
/* The task of a model, which has the keys that its task needs; NULL with a sentence that names `where`. */
const moire__task *moire__task_of(const moire_model *model, const char *where, moire_error *error);

/* MOIRE_ERROR_UNSUPPORTED: "semantic_id is a coder of items, which does not recommend: it is for train, encode
 * …". */
moire_status moire__task_refuse(const moire__setup *setup, const char *verb, moire_error *error);

#endif
