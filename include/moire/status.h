/* Status codes and error sentences: how every fallible call of Moire reports.
 *
 * A fallible function returns a moire_status and takes a `moire_error *` as its last argument (which may be
 * NULL). On MOIRE_OK the error is untouched. Otherwise the error holds the status and one sentence that names
 * the file, key, tensor or op, what was wanted and what came. The first failure wins: an error that already
 * holds a failure is never overwritten, so the first cause survives clean-up code.
 */
#ifndef MOIRE_STATUS_H
#define MOIRE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moire_status {
  MOIRE_OK = 0,
  MOIRE_ERROR_ARGUMENT,    /* a value of the caller's is out of range or of the wrong kind */
  MOIRE_ERROR_SHAPE,       /* extents do not fit together */
  MOIRE_ERROR_TYPE,        /* element types do not fit together */
  MOIRE_ERROR_FORMAT,      /* a file or text is malformed */
  MOIRE_ERROR_IO,          /* the operating system refused: no such file, no permission, disk full */
  MOIRE_ERROR_MEMORY,      /* memory could not be had */
  MOIRE_ERROR_UNSUPPORTED, /* valid, but not possible here (CPU feature, op without lowering) */
  MOIRE_ERROR_INTERNAL,    /* a defect of Moire itself */
} moire_status;

/* One failure. Zero-initialise before use: `moire_error error = {0};`. Plain data, copied freely. */
typedef struct moire_error {
  moire_status status;
  char message[1000]; /* one sentence, NUL-terminated, UTF-8, no newline at its end */
} moire_error;

/* The short lower-case name of a status ("shape"), never NULL. Static storage. */
const char *moire_status_name(moire_status status);

/* Records a failure (printf style) in `error` unless it holds one already, and returns `status`, so that a
 * caller can write `return moire_fail(error, MOIRE_ERROR_SHAPE, ...)`. `error` may be NULL. */
moire_status moire_fail(moire_error *error, moire_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
