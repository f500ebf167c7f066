/* Pictures of a training: lines over steps, as SVG. See charts.h. */
#include "tasks/tokens/charts.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static const char *const names[] = {MOIRE__TOKENS_CHARTS};

enum { WIDTH = 760, HEIGHT = 360, LEFT = 70, RIGHT = 20, TOP = 40, BOTTOM = 50, MOST_LINES = 4 };

typedef struct chart {
  const char *title;
  const char *keys[MOST_LINES]; /* NULL after the last */
} chart;

static const chart charts[] = {{"Total loss", {"total"}},
                               {"Cross entropy against the teacher's term", {"ce", "kd"}},
                               {"Magnitude and phase of the states: mean and deviation",
                                {"mag_mean", "mag_std", "phase_mean", "phase_std"}}};
static const char *const colours[MOST_LINES] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728"};

typedef struct points {
  double *x, *y;
  int n, capacity, y_capacity;
} points;

typedef struct frame {
  double first, last, low, high; /* of steps and of values */
} frame;

/* What the lines have under each key of the chart. */
static void read_points(moire__arena *arena, json_t *const *lines, int n, const chart *c, points *out) {
  for (int k = 0; k < MOST_LINES && c->keys[k]; k++) {
    for (int i = 0; i < n; i++) {
      const json_t *value = json_object_get(lines[i], c->keys[k]);
      if (!json_is_number(value)) continue;
      points *p = &out[k];
      int at = p->n;
      MOIRE__PUSH(arena, p->x, p->n, p->capacity, json_number_value(json_object_get(lines[i], "step")));
      MOIRE__PUSH(arena, p->y, at, p->y_capacity, json_number_value(value));
    }
  }
}

static frame find_frame(const points *p) {
  frame f = {0, 1, 0, 0};
  bool any = false;
  for (int k = 0; k < MOST_LINES; k++) {
    for (int i = 0; i < p[k].n; i++) {
      double y = p[k].y[i];
      f.last = p[k].x[i] > f.last ? p[k].x[i] : f.last;
      f.low = !any || y < f.low ? y : f.low;
      f.high = !any || y > f.high ? y : f.high;
      any = true;
    }
  }
  if (f.high <= f.low) f.high = f.low + 1;
  return f;
}

static double x_of(const frame *f, double step) {
  return LEFT + (WIDTH - LEFT - RIGHT) * (step - f->first) / (f->last - f->first);
}

static double y_of(const frame *f, double value) {
  return TOP + (HEIGHT - TOP - BOTTOM) * (f->high - value) / (f->high - f->low);
}

static void draw_frame(moire__text *svg, const frame *f, const char *title) {
  moire__text_add(
      svg,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
      "<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>\n"
      "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#999\"/>\n",
      WIDTH, HEIGHT, LEFT, title, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
  for (int i = 0; i <= 4; i++) {
    double value = f->low + (f->high - f->low) * i / 4, step = f->first + (f->last - f->first) * i / 4;
    moire__text_add(svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", LEFT - 6,
                    y_of(f, value) + 4, value);
    moire__text_add(svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", x_of(f, step),
                    HEIGHT - BOTTOM + 18, step);
  }
}

static void draw_line(moire__text *svg, const frame *f, const points *p, const char *name, int k) {
  moire__text_add(svg, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colours[k]);
  for (int i = 0; i < p->n; i++) moire__text_add(svg, "%.1f,%.1f ", x_of(f, p->x[i]), y_of(f, p->y[i]));
  moire__text_add(svg, "\"/>\n<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", LEFT + 10 + 150 * k,
                  HEIGHT - 10, colours[k], name);
}

static moire_status draw(moire__arena *arena, const char *directory, json_t *const *lines, int n, int which,
                         moire_error *error) {
  const chart *c = &charts[which];
  points p[MOST_LINES] = {0};
  read_points(arena, lines, n, c, p);
  moire__text svg = {0};
  frame f = find_frame(p);
  int drawn = 0;
  draw_frame(&svg, &f, c->title);
  for (int k = 0; k < MOST_LINES && c->keys[k]; k++) {
    if (p[k].n) draw_line(&svg, &f, &p[k], c->keys[k], drawn++);
  }
  moire__text_add(&svg, "</svg>\n");
  const char *path = moire__arena_printf(arena, "%s/%s", directory, names[which]);
  moire__file_remove_leftovers(path);
  moire_status status = drawn ? moire__file_write_atomic(path, svg.data, svg.length, error) : MOIRE_OK;
  moire__text_free(&svg);
  return status;
}

moire_status moire__tokens_draw_charts(const char *directory, moire_error *error) {
  moire__arena arena = {0};
  json_t **lines = NULL;
  int n = 0, capacity = 0;
  char *bytes = NULL;
  size_t size = 0;
  const char *path = moire__arena_printf(&arena, "%s/metrics.jsonl", directory);
  moire_status status = moire__file_read(path, (size_t)1 << 30, &bytes, &size, error);
  for (const char *line = bytes; !status && line && line < bytes + size;) {
    const char *newline = memchr(line, '\n', (size_t)(bytes + size - line));
    size_t length = newline ? (size_t)(newline - line) : (size_t)(bytes + size - line);
    json_t *object = json_loadb(line, length, 0, NULL);
    if (json_is_number(json_object_get(object, "step")))
      MOIRE__PUSH(&arena, lines, n, capacity, object);
    else
      json_decref(object);
    line += length + 1;
  }
  for (int i = 0; i < 3 && !status && n; i++) status = draw(&arena, directory, lines, n, i, error);
  for (int i = 0; i < n; i++) json_decref(lines[i]);
  moire__release(bytes);
  moire__arena_free(&arena);
  return status;
}
