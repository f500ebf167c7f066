/* Plots as SVG: curves of trainings, and a grid of two keys.
 *
 * One file each, without scripts or fonts of its own, drawn with numbers that are rounded to a tenth of a pixel
 * so that equal runs give equal files. */
#include "tools/runs/runs_table.h"

#include "tools/runs/run_folder.h"

#include "runtime/files/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 720, PANEL = 260, LEFT = 64, RIGHT = 24, TOP = 36, GAP = 56, LEGEND = 18, CELL = 96 };

static const char *const colors[] = {"#1f6f8b", "#d1495b", "#edae49", "#66a182", "#5b3f8c",
                                     "#2e4057", "#8d96a3", "#c06c84", "#3d5a80", "#7a9e1f"};
enum { N_COLORS = sizeof colors / sizeof *colors };

static void add_escaped(moire__text *svg, const char *text) {
  for (; *text; text++) {
    const char *entity = *text == '<' ? "&lt;" : *text == '&' ? "&amp;" : *text == '>' ? "&gt;" : NULL;
    if (entity) {
      moire__text_add(svg, "%s", entity);
    } else {
      moire__text_add_char(svg, *text);
    }
  }
}

static void add_text(moire__text *svg, double x, double y, const char *anchor, const char *text) {
  moire__text_add(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
  add_escaped(svg, text);
  moire__text_add(svg, "</text>\n");
}

static void begin_svg(moire__text *svg, int width, int height) {
  moire__text_add(
      svg,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"%d\" height=\"%d\" "
      "fill=\"white\"/>\n",
      width, height, width, height, width, height);
}

static moire_status end_svg(moire__text *svg, const char *path, moire_error *error) {
  moire__text_add(svg, "</svg>\n");
  moire_status status = moire__file_write_atomic(path, moire__text_string(svg), svg->length, error);
  moire__text_free(svg);
  return status;
}

/* ---- Curves ---------------------------------------------------------------------------------------------- */

typedef struct curve {
  double *loss, *value; /* [n], by epoch */
  int n, capacity, value_capacity;
  int row;
} curve;

/* The epochs of metrics.jsonl, as far as they can be read. */
static curve read_curve(tool_table *t, const tool_finished *run, const char *metric) {
  curve c = {.row = run->row};
  char *path = tool_path(run->folder, "metrics.jsonl"), *bytes = NULL;
  size_t size = 0;
  moire_error error = {0};
  if (!moire__file_read(path, (size_t)1 << 28, &bytes, &size, &error)) {
    for (char *line = strtok(bytes, "\n"); line; line = strtok(NULL, "\n")) {
      json_t *epoch = json_loads(line, 0, NULL);
      const json_t *loss = json_object_get(epoch, "train_loss");
      const json_t *value = json_object_get(json_object_get(epoch, "valid"), metric);
      if (json_is_number(loss) && json_is_number(value)) {
        int n = c.n;
        MOIRE__PUSH(&t->arena, c.loss, c.n, c.capacity, json_number_value(loss));
        MOIRE__PUSH(&t->arena, c.value, n, c.value_capacity, json_number_value(value));
      }
      json_decref(epoch);
    }
  }
  moire__release(bytes);
  moire__release(path);
  return c;
}

typedef struct axes {
  double top, low, high; /* of a panel, and the values at its edges */
  int epochs;
} axes;

static double x_of(const axes *a, int epoch) {
  return LEFT + (double)(WIDTH - LEFT - RIGHT) * epoch / (a->epochs > 1 ? a->epochs - 1 : 1);
}

static double y_of(const axes *a, double value) {
  return a->top + PANEL - PANEL * (value - a->low) / (a->high - a->low);
}

static void draw_frame(moire__text *svg, const axes *a, const char *title) {
  moire__text_add(svg, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#999\"/>\n",
                  LEFT, a->top, WIDTH - LEFT - RIGHT, PANEL);
  add_text(svg, LEFT, a->top - 8, "start", title);
  char number[40];
  for (int i = 0; i <= 4; i++) {
    double value = a->low + (a->high - a->low) * i / 4;
    snprintf(number, sizeof number, "%.4g", value);
    add_text(svg, LEFT - 6, y_of(a, value) + 4, "end", number);
  }
  add_text(svg, LEFT, a->top + PANEL + 16, "middle", "0");
  snprintf(number, sizeof number, "epoch %d", a->epochs - 1);
  add_text(svg, WIDTH - RIGHT, a->top + PANEL + 16, "end", number);
}

static void draw_panel(moire__text *svg, const curve *curves, int n, bool losses, double top,
                       const char *title) {
  axes a = {.top = top, .low = INFINITY, .high = -INFINITY};
  for (int i = 0; i < n; i++) {
    const double *values = losses ? curves[i].loss : curves[i].value;
    a.epochs = curves[i].n > a.epochs ? curves[i].n : a.epochs;
    for (int e = 0; e < curves[i].n; e++) {
      a.low = fmin(a.low, values[e]);
      a.high = fmax(a.high, values[e]);
    }
  }
  if (!(a.low <= a.high)) a.low = 0, a.high = 1;
  if (a.low == a.high) a.high = a.low + 1;
  draw_frame(svg, &a, title);
  for (int i = 0; i < n; i++) {
    const double *values = losses ? curves[i].loss : curves[i].value;
    moire__text_add(svg, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
                    colors[curves[i].row % N_COLORS]);
    for (int e = 0; e < curves[i].n; e++)
      moire__text_add(svg, "%s%.1f,%.1f", e ? " " : "", x_of(&a, e), y_of(&a, values[e]));
    moire__text_add(svg, "\"/>\n");
  }
}

moire_status tool_plot_curves(tool_table *t, const char *path, moire_error *error) {
  const char *metric = t->measures[t->metric];
  curve *curves = moire__arena_array(&t->arena, (size_t)t->n_runs, sizeof *curves);
  for (int i = 0; i < t->n_runs; i++) curves[i] = read_curve(t, &t->runs[i], metric);
  moire__text svg = {0};
  double legend = TOP + 2 * PANEL + 2 * GAP;
  begin_svg(&svg, WIDTH, (int)legend + LEGEND * t->n_rows);
  draw_panel(&svg, curves, t->n_runs, true, TOP, "training loss");
  draw_panel(&svg, curves, t->n_runs, false, TOP + PANEL + GAP,
             moire__arena_printf(&t->arena, "validation %s", metric));
  for (int row = 0; row < t->n_rows; row++) {
    double y = legend - 16 + LEGEND * row;
    moire__text_add(&svg, "<rect x=\"%d\" y=\"%.1f\" width=\"14\" height=\"3\" fill=\"%s\"/>\n", LEFT, y - 5,
                    colors[row % N_COLORS]);
    add_text(&svg, LEFT + 22, y, "start", tool_row_name(t, &t->rows[row]));
  }
  return end_svg(&svg, path, error);
}

/* ---- Grid ------------------------------------------------------------------------------------------------ */

/* The distinct cells of a column, numbers by value. */
static int distinct(tool_table *t, int column, const char ***values) {
  *values = moire__arena_array(&t->arena, (size_t)t->n_rows, sizeof **values);
  int n = 0;
  for (int row = 0; row < t->n_rows; row++) {
    const char *cell = t->rows[row].cells[column];
    bool known = false;
    for (int i = 0; i < n; i++) known = known || !strcmp((*values)[i], cell);
    if (known) continue;
    int at = n++;
    for (; at > 0 && strtod((*values)[at - 1], NULL) > strtod(cell, NULL); at--)
      (*values)[at] = (*values)[at - 1];
    (*values)[at] = cell;
  }
  return n;
}

static int index_of(const char *const *values, const char *value) {
  int i = 0;
  while (strcmp(values[i], value) != 0) i++;
  return i;
}

static void draw_cell(moire__text *svg, int x, int y, double part, const tool_row *row, int metric) {
  /* from white to the first color */
  int red = (int)(255 - part * (255 - 0x1f)), green = (int)(255 - part * (255 - 0x6f)),
      blue = (int)(255 - part * (255 - 0x8b));
  char number[40];
  moire__text_add(
      svg, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#%02x%02x%02x\" stroke=\"white\"/>\n", x,
      y, CELL, CELL / 2, red, green, blue);
  moire__text_add(svg, "<g fill=\"%s\">", part > 0.6 ? "white" : "#222");
  snprintf(number, sizeof number, "%.4f", row->mean[metric]);
  add_text(svg, x + CELL / 2, y + CELL / 4 + 4, "middle", number);
  moire__text_add(svg, "</g>\n");
}

moire_status tool_plot_grid(tool_table *t, const char *path, moire_error *error) {
  const char *metric = t->measures[t->metric];
  if (t->n_columns != 2) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: a grid is over two keys, but the runs differ in %d",
                      path, t->n_columns);
  }
  const char **down = NULL, **right = NULL;
  int n_down = distinct(t, 0, &down), n_right = distinct(t, 1, &right), which = t->metric;
  double low = INFINITY, high = -INFINITY;
  for (int row = 0; row < t->n_rows; row++) {
    low = fmin(low, t->rows[row].mean[which]);
    high = fmax(high, t->rows[row].mean[which]);
  }
  enum { HEAD = 150, TOP_OF_CELLS = 64 };
  moire__text svg = {0};
  begin_svg(&svg, HEAD + CELL * n_right + RIGHT, TOP_OF_CELLS + CELL / 2 * n_down + RIGHT);
  add_text(&svg, HEAD, 20, "start", moire__arena_printf(&t->arena, "test %s by %s", metric, t->columns[1]));
  add_text(&svg, 12, TOP_OF_CELLS - 8, "start", t->columns[0]);
  for (int i = 0; i < n_right; i++)
    add_text(&svg, HEAD + CELL * i + CELL / 2, TOP_OF_CELLS - 8, "middle", right[i]);
  for (int i = 0; i < n_down; i++)
    add_text(&svg, HEAD - 10, TOP_OF_CELLS + CELL / 2 * i + CELL / 4 + 4, "end", down[i]);
  for (int row = 0; row < t->n_rows; row++) {
    const tool_row *r = &t->rows[row];
    double part = high > low ? (r->mean[which] - low) / (high - low) : 0;
    draw_cell(&svg, HEAD + CELL * index_of(right, r->cells[1]),
              TOP_OF_CELLS + CELL / 2 * index_of(down, r->cells[0]), part, r, which);
  }
  return end_svg(&svg, path, error);
}
