/* The table of tasks, and what a model must have for its own. */
#include "tasks/task.h"

#include <string.h>

#define MOIRE__TASK(name) extern const moire__task moire__task_##name;
#include "tasks/tasks.def"
#undef MOIRE__TASK

#define MOIRE__TASK(name) &moire__task_##name,
static const moire__task *const tasks[] = {
#include "tasks/tasks.def"
};
#undef MOIRE__TASK

int moire__task_count(void) { return (int)(sizeof tasks / sizeof *tasks); }

const moire__task *moire__task_at(int index) { return tasks[index]; }

const moire__task *moire__task_find(const char *name) {
  for (int i = 0; i < moire__task_count(); i++) {
    if (!strcmp(tasks[i]->name, name)) return tasks[i];
  }
  return NULL;
}

static bool has_key(const moire_model *model, const moire__task_need *need) {
  for (int i = 0; i < model->n_fields; i++) {
    if (!strcmp(model->fields[i].key, need->key)) return model->fields[i].kind == need->kind;
  }
  return false;
}

static moire_status check_needs(const moire__task *task, const moire_model *model, const char *where,
                                moire_error *error) {
  moire__text keys = {0};
  bool good = true;
  for (int i = 0; i < task->n_needs; i++) {
    good = good && has_key(model, &task->needs[i]);
    moire__text_add(&keys, "%s%s", !i ? "" : i + 1 == task->n_needs ? " and " : ", ", task->needs[i].key);
  }
  moire_status status =
      good ? MOIRE_OK
           : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s is of the task %s: wanted the keys %s%s", where,
                        model->name, task->name, moire__text_string(&keys), task->needs_hint);
  moire__text_free(&keys);
  return status;
}

const moire__task *moire__task_of(const moire_model *model, const char *where, moire_error *error) {
  const moire__task *task = moire__task_find(model->task);
  if (task) return check_needs(task, model, where, error) ? NULL : task;
  moire__text known = {0};
  for (int i = 0; i < moire__task_count(); i++) moire__text_add(&known, "%s%s", i ? ", " : "", tasks[i]->name);
  moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s is of the task %.80s; there are %s", where, model->name,
             model->task, moire__text_string(&known));
  moire__text_free(&known);
  return NULL;
}

moire_status moire__task_refuse(const moire__setup *setup, const char *verb, moire_error *error) {
  const moire__task *t = setup->task;
  const struct {
    const char *verb;
    bool answered;
  } verbs[] = {
      {"train", t->train != NULL},       {"eval", t->eval != NULL},     {"recommend", t->recommend != NULL},
      {"predict", t->predict != NULL},   {"encode", t->encode != NULL}, {"decode", t->decode != NULL},
      {"generate", t->generate != NULL}, {"teach", t->teach != NULL},   {"compile", t->interface != NULL}};
  moire__text known = {0};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    if (verbs[i].answered) moire__text_add(&known, "%s`moire %s`", known.length ? ", " : "", verbs[i].verb);
  }
  moire_status status =
      moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s is %s, which `moire %s` is not for; it is for %s",
                 setup->model->name, t->title, verb, moire__text_string(&known));
  moire__text_free(&known);
  return status;
}
