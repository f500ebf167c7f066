/* Writing tables of items. See table.h. */
#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/output.h"
#include "runtime/items/items.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PANEL = MOIRE__ITEMS_PANEL };

/* A section on the way to the file. */
typedef struct stream {
  uint64_t at, sum;
  size_t n;
  char *bytes; /* [MOIRE__ITEMS_PIECE] */
} stream;

typedef struct writing {
  const moire_items_contents *c;
  moire__output *output;
  moire__items_head head;
  stream streams[MOIRE__ITEMS_SECTIONS];
  int64_t n_old;
  uint64_t *retired; /* bits */
} writing;

static moire_status flush(writing *w, stream *s, moire_error *error) {
  if (!s->n) return MOIRE_OK;
  moire_status status = moire__output_write(w->output, s->at, s->bytes, s->n, error);
  s->sum = moire__items_checksum(s->sum, s->bytes, s->n);
  s->at += s->n;
  s->n = 0;
  return status;
}

static moire_status put(writing *w, moire__items_section section, const void *bytes, size_t n,
                        moire_error *error) {
  stream *s = &w->streams[section];
  moire_status status = MOIRE_OK;
  for (size_t done = 0; done < n && !status;) {
    size_t room = MOIRE__ITEMS_PIECE - s->n, some = n - done < room ? n - done : room;
    memcpy(s->bytes + s->n, (const char *)bytes + done, some);
    s->n += some;
    done += some;
    if (s->n == MOIRE__ITEMS_PIECE) status = flush(w, s, error);
  }
  return status;
}

static const float *row_of(const writing *w, int64_t i) {
  return i < w->n_old ? moire_items_row(w->c->old, i) : w->c->rows + (i - w->n_old) * w->head.width;
}

/* ---- Eight bits ---------------------------------------------------------------------------------------------
 */

/* One row: its scale, |c| and |w - s c| / s, both rounded up. Where a scale below the normal range would lose
 * its digits, it is NaN, and the row is looked at in float32 whenever its panel is. */
typedef struct coded {
  float scale, norm, off;
} coded;

static coded code_row(const float *w, int64_t width, int8_t *codes) {
  double most = 0, norm = 0, off = 0;
  for (int64_t k = 0; k < width; k++) most = fmax(most, fabs((double)w[k]));
  float scale = (float)(most / 127);
  if (most == 0) return (coded){0};
  if (scale < FLT_MIN * 1024) return (coded){NAN, 0, 0};
  for (int64_t k = 0; k < width; k++) {
    double c = fmax(-127, fmin(127, rint((double)w[k] / (double)scale)));
    double left = (double)w[k] - (double)scale * c;
    codes[k] = (int8_t)c;
    norm += c * c;
    off += left * left;
  }
  return (coded){scale, (float)(sqrt(norm) * (1 + 1e-6)), (float)(sqrt(off) / (double)scale * (1 + 1e-6))};
}

static moire_status put_panel(writing *w, int64_t panel, int8_t *codes, uint8_t *bytes, moire_error *error) {
  int64_t stride = w->head.stride, width = w->head.width;
  float scales[PANEL] = {0}, bounds[2] = {0};
  memset(codes, 0, (size_t)(PANEL * stride));
  for (int r = 0; r < PANEL && panel * PANEL + r < w->head.rows; r++) {
    coded c = code_row(row_of(w, panel * PANEL + r), width, codes + r * stride);
    scales[r] = c.scale;
    bounds[0] = fmaxf(bounds[0], c.norm);
    bounds[1] = fmaxf(bounds[1], c.off);
  }
  for (int64_t k = 0; k < stride; k += 4)
    for (int r = 0; r < PANEL; r++)
      for (int b = 0; b < 4; b++)
        bytes[k * PANEL + r * 4 + b] = (uint8_t)(codes[r * stride + k + b] + MOIRE__ITEMS_OFFSET);
  moire_status status = put(w, MOIRE__ITEMS_CODES, bytes, (size_t)(PANEL * stride), error);
  if (!status) status = put(w, MOIRE__ITEMS_SCALES, scales, sizeof scales, error);
  return status ? status : put(w, MOIRE__ITEMS_BOUNDS, bounds, sizeof bounds, error);
}

/* ---- Rows and names -----------------------------------------------------------------------------------------
 */

static moire_status put_row(writing *w, int64_t i, float *row, moire_error *error) {
  const float *from = row_of(w, i);
  double norm = 0;
  for (int64_t k = 0; k < w->head.width; k++) {
    if (!isfinite(from[k]))
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "row %" PRId64 " of the items holds %s", i,
                        isnan(from[k]) ? "a NaN" : "an infinity");
    row[k] = from[k];
    norm += (double)from[k] * (double)from[k];
  }
  w->head.most_norm = fmax(w->head.most_norm, sqrt(norm) * (1 + 1e-9));
  return put(w, MOIRE__ITEMS_ROWS, row, (size_t)w->head.stride * sizeof *row, error);
}

static bool has_names(const writing *w) { return w->c->names || (w->c->old && w->c->old->table.name_ends); }

/* The name of a row, which is its number where nobody has said another. */
static const char *name_of(const writing *w, int64_t i, char *number, size_t room, size_t *n) {
  int length = 0;
  const char *name = i < w->n_old ? moire_items_name(w->c->old, i, &length) : NULL;
  if (name) {
    *n = (size_t)length;
    return name;
  }
  if (i >= w->n_old && w->c->names) {
    *n = strlen(w->c->names[i - w->n_old]);
    return w->c->names[i - w->n_old];
  }
  *n = (size_t)snprintf(number, room, "%" PRId64, i);
  return number;
}

static int64_t bytes_of_names(const writing *w) {
  if (!has_names(w)) return -1;
  int64_t all = 0;
  for (int64_t i = 0; i < w->head.rows; i++) {
    char number[24];
    size_t n;
    name_of(w, i, number, sizeof number, &n);
    all += (int64_t)n;
  }
  return all;
}

static moire_status put_names(writing *w, moire_error *error) {
  uint64_t end = 0;
  moire_status status = MOIRE_OK;
  for (int64_t i = 0; i < w->head.rows && !status && has_names(w); i++) {
    char number[24];
    size_t n;
    const char *name = name_of(w, i, number, sizeof number, &n);
    end += n;
    status = put(w, MOIRE__ITEMS_NAME_ENDS, &end, sizeof end, error);
    if (!status) status = put(w, MOIRE__ITEMS_NAMES, name, n, error);
  }
  return status;
}

static moire_status mark_retired(writing *w, moire_error *error) {
  for (int64_t i = 0; i < w->n_old; i++)
    if (moire__items_retired(&w->c->old->table, i)) w->retired[i / 64] |= UINT64_C(1) << (i % 64);
  for (int64_t j = 0; j < w->c->n_retired; j++) {
    int64_t i = w->c->retired[j];
    if (i < 0 || i >= w->head.rows)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "row %" PRId64 " cannot be retired: there are %" PRId64 " rows", i, w->head.rows);
    w->retired[i / 64] |= UINT64_C(1) << (i % 64);
  }
  w->head.live = w->head.rows;
  for (int64_t i = 0; i < (w->head.rows + 63) / 64; i++) w->head.live -= __builtin_popcountll(w->retired[i]);
  return put(w, MOIRE__ITEMS_RETIRED, w->retired, w->head.bytes[MOIRE__ITEMS_RETIRED], error);
}

static moire_status put_all(writing *w, moire_error *error) {
  size_t stride = (size_t)w->head.stride;
  int8_t *codes = moire__allocate(PANEL * stride);
  uint8_t *bytes = moire__allocate(PANEL * stride);
  float *row = moire__allocate_array(stride, sizeof *row);
  moire_status status = MOIRE_OK;
  for (int64_t i = 0; i < w->head.rows && !status; i++) status = put_row(w, i, row, error);
  for (int64_t p = 0; p < w->head.panels && !status; p++) status = put_panel(w, p, codes, bytes, error);
  if (!status) status = mark_retired(w, error);
  if (!status) status = put_names(w, error);
  for (int s = 0; s < MOIRE__ITEMS_SECTIONS && !status; s++) {
    status = flush(w, &w->streams[s], error);
    w->head.checksums[s] = w->streams[s].sum;
  }
  w->head.checksum = moire__items_head_checksum(&w->head);
  if (!status) status = moire__output_write(w->output, 0, &w->head, sizeof w->head, error);
  moire__release(codes);
  moire__release(bytes);
  moire__release(row);
  return status;
}

moire_status moire_items_write(const char *path, const moire_items_contents *c, moire_error *error) {
  writing w = {.c = c, .n_old = c->old ? c->old->table.head.rows : 0, .head = {.magic = MOIRE__ITEMS_MAGIC}};
  int64_t width = c->n || !c->old ? c->width : c->old->table.head.width;
  if (c->old && c->old->table.head.width != width)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: has rows of %" PRId64 " numbers, not of %" PRId64,
                      c->old->path, c->old->table.head.width, width);
  if (width < 1 || width > MOIRE_ITEMS_MOST_WIDTH || c->n < 0 || w.n_old + c->n < 1)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: a table has 1 row at least, of 1 to %d numbers", path,
                      MOIRE_ITEMS_MOST_WIDTH);
  w.head.rows = w.n_old + c->n;
  w.head.width = width;
  moire__items_lay_out(&w.head, bytes_of_names(&w));
  moire__file_remove_leftovers(path);
  moire_status status = moire__output_open(path, &w.output, error);
  if (status) return status;
  for (int s = 0; s < MOIRE__ITEMS_SECTIONS; s++) {
    w.streams[s].bytes = moire__allocate(MOIRE__ITEMS_PIECE);
    w.streams[s].at = w.head.begins[s];
  }
  w.retired = moire__allocate_array((size_t)(w.head.rows + 63) / 64, sizeof *w.retired);
  status = put_all(&w, error);
  /* The file is as long as its head says, and a page at least. */
  for (int s = 0; s < MOIRE__ITEMS_SECTIONS; s++) moire__release(w.streams[s].bytes);
  moire__release(w.retired);
  if (!status) {
    uint64_t last = w.head.begins[MOIRE__ITEMS_NAMES];
    if (!w.head.bytes[MOIRE__ITEMS_NAMES]) status = moire__output_write(w.output, last, "\n", 1, error);
  }
  if (!status) return moire__output_commit(w.output, error);
  moire__output_discard(w.output);
  return status;
}
