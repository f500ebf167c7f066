/* Wheels, by libzip. See wheel.h.
 *
 * A wheel is a ZIP archive of the package and a folder NAME-VERSION.dist-info that says what it is, and lists
 * every file with its hash. Entries are stored: weights do not get smaller, and the bytes depend on no version
 * of zlib. */
#include "compiler/driver/ahead/python/wheel.h"
#include "compiler/driver/ahead/python/sha256.h"
#include "moire/version.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#ifdef MOIRE_HAVE_LIBZIP

#include <zip.h>

/* ---- Names ------------------------------------------------------------------------------------------ */

static size_t digits(const char *text) { return strspn(text, "0123456789"); }

/* "1.2", "1.2rc1", "1.2.post1.dev2+local.3": what Python's packaging takes for a version, in its normal form.
 */
static bool is_version(const char *text) {
  static const char *const parts[] = {"a", "b", "rc", ".post", ".dev"};
  if (!digits(text) || strlen(text) > 64) return false;
  text += digits(text);
  while (*text == '.' && digits(text + 1)) text += 1 + digits(text + 1);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    size_t n = strlen(parts[i]);
    if (strncmp(text, parts[i], n) != 0 || !digits(text + n)) continue;
    text += n + digits(text + n);
    if (i < 2) i = 2; /* one of the three */
  }
  if (*text != '+') return !*text;
  do {
    size_t n = strspn(++text, "0123456789abcdefghijklmnopqrstuvwxyz");
    if (!n) return false;
    text += n;
  } while (*text == '.');
  return !*text;
}

moire_status moire__ahead_check_wheel(const moire_ahead_options *options, moire_error *error) {
  const char *name = options->name;
  if (name[strlen(name) - 1] == '_')
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "name \"%s\": a wheel's name ends with a letter or a digit, for pip to know it by", name);
  if (is_version(options->wheel)) return MOIRE_OK;
  return moire_fail(
      error, MOIRE_ERROR_ARGUMENT,
      "wheel version \"%.80s\": wanted one of Python's packaging, such as 1.2, 1.2rc1 or 1.2.post1",
      options->wheel);
}

/* How the names of files say a project's name: in lower case, without several _ in a row. */
static char *project_name(moire__ahead *a) {
  char *name = moire__arena_copy_string(&a->arena, a->options->name), *to = name;
  for (const char *c = name; *c; c++) {
    if (*c != '_' || c[1] != '_') *to++ = (char)tolower((unsigned char)*c);
  }
  *to = 0;
  return name;
}

static char *platform(moire__ahead *a) {
  const char *triple = a->levels[0].target.triple;
  return moire__arena_printf(&a->arena, "linux_%.*s", (int)strcspn(triple, "-"), triple);
}

/* ---- Entries ---------------------------------------------------------------------------------------- */

typedef struct wheel {
  moire__ahead *a;
  const moire__ahead_folder *folder;
  zip_t *zip;
  moire__text record; /* the list of files */
  moire_error *error;
} wheel;

/* "path,sha256=...,bytes": the hash in base64 for URLs, without padding. */
static void list_file(wheel *w, const char *path, moire__sha256 *sum) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned char digest[33] = {0};
  const uint64_t n = sum->n;
  moire__sha256_end(sum, digest);
  moire__text_add(&w->record, "%s,sha256=", path);
  for (int i = 0; i < 43; i++) {
    int bit = 6 * i, two = digest[bit / 8] << 8 | digest[bit / 8 + 1];
    moire__text_add_char(&w->record, letters[two >> (10 - bit % 8) & 63]);
  }
  moire__text_add(&w->record, ",%" PRIu64 "\n", n);
}

static moire_status fail(wheel *w, const char *path) {
  return moire_fail(w->error, MOIRE_ERROR_IO, "%s could not be packed into a wheel: %s", path,
                    zip_strerror(w->zip));
}

/* The same date and rights whenever and by whomever it is made. */
static moire_status add_entry(wheel *w, const char *path, zip_source_t *source, bool executable) {
  const zip_uint32_t rights = executable ? 0100755 : 0100644;
  const zip_uint16_t first_of_1980 = 1 << 5 | 1;
  zip_int64_t index = source ? zip_file_add(w->zip, path, source, ZIP_FL_ENC_UTF_8) : -1;
  if (index < 0) {
    zip_source_free(source);
    return fail(w, path);
  }
  if (zip_set_file_compression(w->zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) ||
      zip_file_set_dostime(w->zip, (zip_uint64_t)index, 0, first_of_1980, 0) ||
      zip_file_set_external_attributes(w->zip, (zip_uint64_t)index, 0, ZIP_OPSYS_UNIX, rights << 16))
    return fail(w, path);
  return MOIRE_OK;
}

/* `text` must live until the archive is closed. */
static moire_status add_text(wheel *w, const char *path, const moire__text *text) {
  moire__sha256 sum = moire__sha256_start();
  moire__sha256_add(&sum, moire__text_string(text), text->length);
  list_file(w, path, &sum);
  return add_entry(w, path, zip_source_buffer(w->zip, moire__text_string(text), text->length, 0), false);
}

static moire_status add_file(wheel *w, const char *path, const char *file, bool executable) {
  char *whole = moire__arena_printf(&w->a->arena, "%s/%s", w->folder->path, file);
  unsigned char room[1 << 14];
  moire__sha256 sum = moire__sha256_start();
  FILE *in = fopen(whole, "rb");
  for (size_t n = 0; in && (n = fread(room, 1, sizeof room, in)) > 0;) moire__sha256_add(&sum, room, n);
  bool good = in && !ferror(in);
  int cause = errno;
  if (in) fclose(in);
  if (!good) return moire_fail(w->error, MOIRE_ERROR_IO, "%s: could not be read: %s", whole, strerror(cause));
  list_file(w, path, &sum);
  return add_entry(w, path, zip_source_file(w->zip, whole, 0, -1), executable);
}

/* ---- All of it -------------------------------------------------------------------------------------- */

typedef struct texts {
  moire__text typed, metadata, wheel;
} texts;

static moire_status add_package(wheel *w, const texts *t) {
  const char *name = w->a->options->name;
  moire__arena *arena = &w->a->arena;
  char *module = moire__arena_printf(arena, "%s/__init__.py", name);
  char *library = moire__arena_printf(arena, "%s.so", name);
  char *weights = moire__arena_printf(arena, "%s.weights", name);
  char *items = moire__arena_printf(arena, "%s/items.txt", name);
  moire_status status = add_file(w, module, module, false);
  if (!status) status = add_file(w, moire__arena_printf(arena, "%s/%s", name, library), library, true);
  if (!status && w->a->options->external_weights && w->a->model->weights)
    status = add_file(w, moire__arena_printf(arena, "%s/%s", name, weights), weights, false);
  if (!status && w->a->model->items) status = add_file(w, items, items, false);
  return status ? status : add_text(w, moire__arena_printf(arena, "%s/py.typed", name), &t->typed);
}

static void describe(const moire__ahead *a, const char *tag, texts *t) {
  moire__text_add(&t->metadata,
                  "Metadata-Version: 2.1\nName: %s\nVersion: %s\n"
                  "Summary: The model %s as a library, compiled by Moire %s\nRequires-Python: >=3.8\n",
                  a->options->name, a->options->wheel, a->model->name, MOIRE_VERSION);
  moire__text_add(&t->wheel,
                  "Wheel-Version: 1.0\nGenerator: moire %s\nRoot-Is-Purelib: false\nTag: py3-none-%s\n",
                  MOIRE_VERSION, tag);
}

static moire_status add_all(wheel *w, const texts *t, const char *info) {
  moire__arena *arena = &w->a->arena;
  moire_status status = add_package(w, t);
  if (!status) status = add_text(w, moire__arena_printf(arena, "%s/METADATA", info), &t->metadata);
  if (!status) status = add_text(w, moire__arena_printf(arena, "%s/WHEEL", info), &t->wheel);
  char *path = moire__arena_printf(arena, "%s/RECORD", info);
  moire__text_add(&w->record, "%s,,\n", path);
  if (!status)
    status = add_entry(w, path, zip_source_buffer(w->zip, w->record.data, w->record.length, 0), false);
  return status;
}

moire_status moire__ahead_write_wheel(moire__ahead *a, const moire__ahead_folder *folder, const char **file,
                                      moire_error *error) {
  const char *version = a->options->wheel, *project = project_name(a), *tag = platform(a);
  char *info = moire__arena_printf(&a->arena, "%s-%s.dist-info", project, version);
  *file = moire__arena_printf(&a->arena, "%s-%s-py3-none-%s.whl", project, version, tag);
  char *path = moire__arena_printf(&a->arena, "%s/%s", folder->path, *file);
  int code = 0;
  texts t = {.typed = {0}};
  wheel w = {.a = a, .folder = folder, .error = error, .zip = zip_open(path, ZIP_CREATE | ZIP_EXCL, &code)};
  if (!w.zip) return moire_fail(error, MOIRE_ERROR_IO, "%s: could not be made", path);
  describe(a, tag, &t);
  moire_status status = add_all(&w, &t, info);
  if (!status && zip_close(w.zip)) status = fail(&w, *file);
  if (status) zip_discard(w.zip);
  moire__text_free(&w.record);
  moire__text_free(&t.typed);
  moire__text_free(&t.metadata);
  moire__text_free(&t.wheel);
  return status;
}

#else

moire_status moire__ahead_check_wheel(const moire_ahead_options *options, moire_error *error) {
  return moire_fail(
      error, MOIRE_ERROR_UNSUPPORTED,
      "%s: this Moire was built without libzip, which makes wheels: install libzip-dev and build again",
      options->name);
}

/* No options pass the check. */
moire_status moire__ahead_write_wheel(moire__ahead *a, const moire__ahead_folder *folder, const char **file,
                                      moire_error *error) {
  (void)folder;
  *file = NULL;
  return moire__ahead_check_wheel(a->options, error);
}

#endif
