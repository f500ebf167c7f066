/* Profiles on disk. */
#include "compiler/profile/document.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"
#include "compiler/profile/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 30 };

static moire_status check(const json_t *profile, const char *path, moire_error *error) {
  const char *format = json_string_value(json_object_get(profile, "format"));
  const json_t *version = json_object_get(profile, "version");
  if (!format || strcmp(format, MOIRE__PROFILE_FORMAT) != 0 || !json_is_integer(version)) {
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no profile of `moire profile`", path);
  }
  if (json_integer_value(version) != MOIRE__PROFILE_VERSION) {
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: is a profile of version %lld; this program reads version %d", path,
                      (long long)json_integer_value(version), MOIRE__PROFILE_VERSION);
  }
  const json_t *step = json_object_get(json_object_get(profile, "time"), "step");
  if (!json_is_array(json_object_get(profile, "kernels")) || !json_is_object(step)) {
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is a profile without kernels or times", path);
  }
  return MOIRE_OK;
}

json_t *moire__profile_read(const char *path, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  if (moire__file_read(path, MOST_BYTES, &bytes, &n, error)) return NULL;
  json_error_t cause;
  json_t *profile = json_loadb(bytes, n, 0, &cause);
  moire__release(bytes);
  if (!profile) {
    moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%d: is no JSON: %s", path, cause.line, cause.text);
    return NULL;
  }
  if (!check(profile, path, error)) return profile;
  json_decref(profile);
  return NULL;
}

moire_status moire__profile_folder(const char *directory, moire_error *error) {
  moire_status status = moire__file_make_directories(directory, error);
  if (status || !access(directory, W_OK | X_OK)) return status;
  return moire_fail(error, MOIRE_ERROR_IO, "%s: no file can be made there: %s", directory, strerror(errno));
}

moire_status moire__profile_write(const json_t *profile, const char *directory, moire_error *error) {
  moire_status status = moire__file_make_directories(directory, error);
  if (status) return status;
  moire__text path = {0};
  moire__text_add(&path, "%s/profile.json", directory);
  char *text = json_dumps(profile, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
  status = moire__file_write_atomic(path.data, text, strlen(text), error);
  free(text);
  moire__text_free(&path);
  return status ? status : moire__report_write(profile, directory, error);
}
