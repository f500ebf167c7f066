/* moire models: what there is to train, and what can be said about each. */
#include "tools/tool.h"

#include "moire/import.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  bool json;
  const char *model;
} arguments;

static const struct argp_option options[] = {{"json", 'j', NULL, 0, "Print JSON", 0}, {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case 'j': a->json = true; return 0;
    case ARGP_KEY_ARG:
      if (a->model) argp_error(state, "wanted one model, but '%s' came too", text);
      a->model = text;
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static const char *kind_name(moire_config_kind kind) {
  switch (kind) {
    case MOIRE_CONFIG_INT: return "int";
    case MOIRE_CONFIG_REAL: return "real";
    case MOIRE_CONFIG_BOOL: return "bool";
    case MOIRE_CONFIG_STRING: return "string";
    case MOIRE_CONFIG_INTS: return "ints";
    case MOIRE_CONFIG_STRINGS: return "strings";
    case MOIRE_CONFIG_MAPS: return "maps";
    case MOIRE_CONFIG_REALS: return "reals";
    case MOIRE_CONFIG_ANY: return "any";
  }
  return "?";
}

static void print_fields(const moire_config_field *fields, int n) {
  for (int i = 0; i < n; i++) {
    const moire_config_field *f = &fields[i];
    const char *text = !f->text ? "(must be given)" : *f->text ? f->text : "(none)";
    printf("  %-30s %-7s %-16s %s\n", f->key, kind_name(f->kind), text, f->help ? f->help : "");
  }
}

static void print_model(const moire_model *model) {
  printf("%s (%s): %s\n", model->name, model->task, model->summary);
  print_fields(model->fields, model->n_fields);
}

static json_t *fields_json(const moire_config_field *fields, int n) {
  json_t *list = json_array();
  for (int i = 0; i < n; i++) {
    const moire_config_field *f = &fields[i];
    json_t *row = json_pack("{s:s, s:s, s:s?, s:s?}", "key", f->key, "kind", kind_name(f->kind), "default",
                            f->text, "help", f->help);
    if (f->kind == MOIRE_CONFIG_INT || f->kind == MOIRE_CONFIG_REAL || f->kind == MOIRE_CONFIG_INTS ||
        f->kind == MOIRE_CONFIG_REALS) {
      json_object_set_new(row, "min", json_real(f->min));
      json_object_set_new(row, "max", json_real(f->max));
    }
    if (f->choices && f->kind == MOIRE_CONFIG_STRING)
      json_object_set_new(row, "choices", json_string(f->choices));
    json_array_append_new(list, row);
  }
  return list;
}

static json_t *model_json(const moire_model *model) {
  return json_pack("{s:s, s:s, s:s, s:o}", "name", model->name, "task", model->task, "summary", model->summary,
                   "keys", fields_json(model->fields, model->n_fields));
}

/* A model whose task is not known has no training that could be listed. */
static bool is_listed(const moire__task *task, const moire_model *only) {
  return !only || !strcmp(only->task, task->name);
}

static void print_json(const moire_model *only) {
  json_t *models = json_array();
  if (only) json_array_append_new(models, model_json(only));
  for (int i = 0; !only && i < moire_model_count(); i++)
    json_array_append_new(models, model_json(moire_model_at(i)));
  json_t *root = json_pack("{s:o}", "models", models);
  json_t *tasks = json_array();
  for (int i = 0; i < moire__task_count(); i++) {
    const moire__task *task = moire__task_at(i);
    if (is_listed(task, only))
      json_array_append_new(tasks, json_pack("{s:s, s:s, s:o}", "name", task->name, "title", task->title,
                                             "keys", fields_json(task->keys.fields, task->keys.n)));
  }
  json_object_set_new(root, "tasks", tasks);
  char *text = json_dumps(root, JSON_INDENT(2));
  printf("%s\n", text);
  free(text);
  json_decref(root);
}

int tool_models(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "[MODEL]",
      "Lists the models and the keys of their configurations, with kind and default.\v"
      "MODEL is a name, or the path of a shared object with a model of your own, of a .pt2, or of a .mlir.",
      NULL,
      NULL,
      NULL};
  arguments a = {0};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_error error = {0};
  bool imports = a.model && moire_import_is(a.model);
  moire_import *imported = imports ? moire_import_open(a.model, &error) : NULL;
  const moire_model *only = imported              ? moire_import_model(imported)
                            : a.model && !imports ? moire_model_find(a.model, &error)
                                                  : NULL;
  if (a.model && !only) return tool_fail("models", &error);
  if (a.json) print_json(only);
  if (only && !a.json) print_model(only);
  for (int i = 0; !only && !a.json && i < moire_model_count(); i++) print_model(moire_model_at(i));
  for (int i = 0; i < moire__task_count() && !a.json; i++) {
    const moire__task *task = moire__task_at(i);
    if (!is_listed(task, only)) continue;
    printf("training of %s (task %s):\n", task->title, task->name);
    print_fields(task->keys.fields, task->keys.n);
  }
  moire_import_close(imported);
  return 0;
}
