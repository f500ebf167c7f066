/* Profiles in the formats of other tools. */
#include "compiler/profile/report.h"

#include <string.h>

static const char *member(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text ? text : "";
}

static json_int_t number(const json_t *object, const char *name) {
  return json_integer_value(json_object_get(object, name));
}

/* ---- the Trace Event Format of Chromium ---- */

/* Whole steps stand above the threads. */
enum { PROCESS = 1, STEPS = 0, FIRST_THREAD = 1 };

static void name_row(json_t *events, json_int_t row, const char *name, json_int_t number_of_it) {
  char text[32];
  snprintf(text, sizeof text, row == STEPS ? "%s" : "%s %lld", name, (long long)number_of_it);
  json_array_append_new(events, json_pack("{s:s, s:s, s:i, s:I, s:{s:s}}", "ph", "M", "name", "thread_name",
                                          "pid", (int)PROCESS, "tid", row, "args", "name", text));
}

static void add_event(json_t *events, const char *name, const char *category, json_int_t row, double begin_ns,
                      double end_ns, json_t *args) {
  json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:i, s:I, s:f, s:f, s:o}", "ph", "X", "name", name,
                                          "cat", category, "pid", (int)PROCESS, "tid", row, "ts",
                                          begin_ns / 1000, "dur", (end_ns - begin_ns) / 1000, "args", args));
}

static json_t *arguments_of(const json_t *kernel) {
  json_t *args = json_pack("{s:s}", "scope", member(kernel, "scope")), *lines = json_array(), *line;
  static const char *const copied[] = {"id", "flop", "bytes", "roofline", "pieces", "block"};
  for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
    json_t *value = json_object_get(kernel, copied[i]);
    if (value) json_object_set(args, copied[i], value);
  }
  size_t i;
  json_array_foreach(json_object_get(kernel, "lines"), i, line) {
    json_array_append_new(lines,
                          json_sprintf("%s:%lld", member(line, "file"), (long long)number(line, "line")));
  }
  json_object_set_new(args, "lines", lines);
  return args;
}

static void add_sample(json_t *events, const json_t *profile, const json_t *sample) {
  const json_t *kernels = json_object_get(profile, "kernels"), *span;
  double begin = (double)number(sample, "begin_ns");
  size_t i;
  add_event(events, member(profile, "mode"), "step", STEPS, begin, begin + (double)number(sample, "end_ns"),
            json_pack("{s:I}", "step", number(sample, "step")));
  json_array_foreach(json_object_get(sample, "spans"), i, span) {
    const json_t *kernel = json_array_get(kernels, (size_t)json_integer_value(json_array_get(span, 0)));
    add_event(events, member(kernel, "name"), member(kernel, "direction"),
              FIRST_THREAD + json_integer_value(json_array_get(span, 1)),
              begin + (double)json_integer_value(json_array_get(span, 2)),
              begin + (double)json_integer_value(json_array_get(span, 3)), arguments_of(kernel));
  }
}

json_t *moire__report_trace(const json_t *profile) {
  json_t *events = json_array(), *sample;
  size_t i;
  name_row(events, STEPS, "steps", 0);
  for (json_int_t t = 0; t < number(profile, "threads"); t++) name_row(events, FIRST_THREAD + t, "thread", t);
  json_array_foreach(json_object_get(profile, "timeline"), i, sample) add_sample(events, profile, sample);
  return json_pack("{s:s, s:o}", "displayTimeUnit", "ns", "traceEvents", events);
}

/* ---- folded stacks ---- */

static void add_frames(moire__text *stacks, const char *path, char separator) {
  for (; *path; path++) moire__text_add_char(stacks, *path == separator || *path == ';' ? ';' : *path);
}

void moire__report_stacks(const json_t *profile, moire__text *stacks) {
  json_t *kernel;
  size_t i;
  json_array_foreach(json_object_get(profile, "kernels"), i, kernel) {
    const char *name = member(kernel, "name"), *scope = member(kernel, "scope");
    const char *what = strstr(name, ": ") ? strstr(name, ": ") + 2 : name;
    moire__text_add(stacks, "%s;", member(profile, "model"));
    add_frames(stacks, scope, '.');
    moire__text_add(stacks, "%s%s %lld\n", *scope ? ";" : "", what, (long long)number(kernel, "total_ns"));
  }
}
