/* The page: tools/report/page.html with style, scripts, the profile and the model's files in their places.
 *
 * The page draws itself from the profile; here nothing is known of it but its places, words between @. JSON
 * stands in a script element, so every < in it is written as an escape.
 */
#include "compiler/profile/report.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <stdlib.h>
#include <string.h>

static const moire__asset *find_asset(const char *path) {
  for (int i = 0; i < moire__asset_count; i++) {
    if (!strcmp(moire__assets[i].path, path)) return &moire__assets[i];
  }
  return NULL;
}

static void add_asset(const char *path, moire__text *page) {
  const moire__asset *asset = find_asset(path);
  if (asset) moire__text_add_bytes(page, asset->begin, (size_t)(asset->end - asset->begin));
}

static void add_json(const json_t *value, moire__text *page) {
  char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6));
  for (const char *at = text; at && *at;) {
    size_t n = strcspn(at, "<");
    moire__text_add_bytes(page, at, n);
    at += n;
    if (*at) moire__text_add_bytes(page, "\\u003c", 6);
    at += *at != 0;
  }
  free(text);
}

/* ---- the model's files ---- */

/* The library's own come with the command; a user's is read where the model's build saw it. */
static void add_source(json_t *sources, const char *file) {
  enum { MOST_BYTES = 1 << 20 };
  if (!file || json_object_get(sources, file)) return;
  const moire__asset *asset = find_asset(file);
  char *text = NULL;
  size_t n = 0;
  json_t *content = NULL;
  if (asset) {
    content = json_stringn(asset->begin, (size_t)(asset->end - asset->begin));
  } else if (moire__file_read(file, MOST_BYTES, &text, &n, NULL) == MOIRE_OK) {
    content = json_stringn(text, n); /* NULL if it is no UTF-8 */
  }
  if (content) json_object_set_new(sources, file, content);
  moire__release(text);
}

static json_t *sources_of(const json_t *profile) {
  json_t *sources = json_object(), *kernel, *line;
  size_t i, j;
  json_array_foreach(json_object_get(profile, "lines"), i, line) {
    add_source(sources, json_string_value(json_object_get(line, "file")));
  }
  json_array_foreach(json_object_get(profile, "kernels"), i, kernel) {
    json_array_foreach(json_object_get(kernel, "lines"), j, line) {
      add_source(sources, json_string_value(json_object_get(line, "file")));
    }
  }
  return sources;
}

/* ---- the page ---- */

static void fill_place(const char *place, size_t n, const json_t *profile, moire__text *page) {
  static const char *const scripts[] = {"tools/report/charts.js", "tools/report/code.js",
                                        "tools/report/report.js"};
  if (n == 5 && !strncmp(place, "STYLE", n)) add_asset("tools/report/style.css", page);
  if (n == 7 && !strncmp(place, "PROFILE", n)) add_json(profile, page);
  if (n == 7 && !strncmp(place, "SOURCES", n)) {
    json_t *sources = sources_of(profile);
    add_json(sources, page);
    json_decref(sources);
  }
  for (size_t i = 0; n == 6 && !strncmp(place, "SCRIPT", n) && i < sizeof scripts / sizeof *scripts; i++)
    add_asset(scripts[i], page);
}

void moire__report_page(const json_t *profile, moire__text *page) {
  const moire__asset *form = find_asset("tools/report/page.html");
  const char *at = form ? form->begin : "";
  while (*at) {
    size_t n = strcspn(at, "@");
    moire__text_add_bytes(page, at, n);
    at += n;
    if (!*at) return;
    size_t place = strcspn(at + 1, "@");
    fill_place(at + 1, place, profile, page);
    at += place + 2;
  }
}

/* ---- files ---- */

static moire_status write_file(const char *directory, const char *name, const moire__text *text,
                               moire_error *error) {
  moire__text path = {0};
  moire__text_add(&path, "%s/%s", directory, name);
  moire_status status = moire__file_write_atomic(path.data, moire__text_string(text), text->length, error);
  moire__text_free(&path);
  return status;
}

moire_status moire__report_write(const json_t *profile, const char *directory, moire_error *error) {
  moire__text page = {0}, stacks = {0}, events = {0};
  moire__report_page(profile, &page);
  moire__report_stacks(profile, &stacks);
  json_t *trace = moire__report_trace(profile);
  char *text = json_dumps(trace, JSON_COMPACT | JSON_REAL_PRECISION(12));
  moire__text_add_bytes(&events, text, strlen(text));
  moire_status status = write_file(directory, "report.html", &page, error);
  if (!status) status = write_file(directory, "trace.json", &events, error);
  if (!status) status = write_file(directory, "stacks.txt", &stacks, error);
  free(text);
  json_decref(trace);
  moire__text_free(&page);
  moire__text_free(&stacks);
  moire__text_free(&events);
  return status;
}
