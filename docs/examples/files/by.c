/* A measure of samples by what they are: its mean for each value that a tensor of the data takes, such as
 * accuracy by the signal to noise ratio, over the runs of several models.
 *
 *   by DATA TENSOR MEASURE OUT.svg NAME=VALUES,VALUES... [NAME=VALUES...]...
 *
 * DATA holds the tensor f32[n]; VALUES are files f32[n] of `moire eval --values`, one a run, for the same
 * samples. Prints a table, and draws the mean over the runs of each name with a band of one standard deviation.
 */
#include "moire/files.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  MOST_POINTS = 64,
  MOST_LINES = 6,
  WIDTH = 720,
  HEIGHT = 400,
  LEFT = 56,
  RIGHT = 24,
  TOP = 24,
  BOTTOM = 48
};

static const char *const colors[MOST_LINES] = {"#1f6f8b", "#d1495b", "#edae49",
                                               "#66a182", "#5b3f8c", "#2e4057"};

typedef struct line {
  const char *name;
  int runs;
  double mean[MOST_POINTS + 1], deviation[MOST_POINTS + 1]; /* at each point, then over all samples */
} line;

static int64_t n_samples;
static float *keys;               /* [n_samples] */
static float points[MOST_POINTS]; /* the distinct ones, ascending */
static int n_points;

static void stop(const char *what, const char *why) {
  fprintf(stderr, "by: %s: %s\n", what, why);
  exit(1);
}

/* A tensor f32[n], owned. */
static float *read_vector(const char *path, const char *name, int64_t *n) {
  moire_error error = {0};
  moire_tensors *file = moire_tensors_open(path, &error);
  if (!file) stop(path, error.message);
  int index = moire_tensors_find(file, name);
  moire_tensor t = moire_tensors_at(file, index);
  if (index < 0 || t.rank != 1 || t.shape[0] < 1)
    stop(path, "wanted a tensor of that name with one number a sample");
  float *values = malloc((size_t)t.shape[0] * sizeof *values);
  if (!values) stop(path, "does not fit into memory");
  if (moire_tensors_read(file, index, MOIRE_F32, values, t.shape[0], &error)) stop(path, error.message);
  *n = t.shape[0];
  moire_tensors_close(file);
  return values;
}

static int point_of(float key) {
  int i = 0;
  while (i < n_points && points[i] < key) i++;
  return i;
}

static void find_points(const char *path) {
  for (int64_t s = 0; s < n_samples; s++) {
    int at = point_of(keys[s]);
    if (at < n_points && points[at] == keys[s]) continue;
    if (n_points == MOST_POINTS || !(fabs((double)keys[s]) < 1e30))
      stop(path, "the tensor takes more than 64 values");
    memmove(points + at + 1, points + at, (size_t)(n_points++ - at) * sizeof *points);
    points[at] = keys[s];
  }
}

/* Adds the sums over runs, and over runs of squares, of the means of one run. */
static void add_run(line *l, const char *path, const char *measure) {
  double sums[MOST_POINTS + 1] = {0};
  int64_t counts[MOST_POINTS + 1] = {0}, n = 0;
  float *values = read_vector(path, measure, &n);
  if (n != n_samples) stop(path, "it has not as many samples as the data");
  for (int64_t s = 0; s < n; s++) {
    int at = point_of(keys[s]);
    sums[at] += (double)values[s], counts[at]++;
    sums[n_points] += (double)values[s], counts[n_points]++;
  }
  for (int i = 0; i <= n_points; i++) {
    double mean = sums[i] / (double)counts[i];
    l->mean[i] += mean, l->deviation[i] += mean * mean;
  }
  l->runs++;
  free(values);
}

static line read_line(char *argument, const char *measure) {
  char *files = strchr(argument, '=');
  line l = {.name = argument};
  if (!files) stop(argument, "wanted NAME=VALUES,VALUES...");
  *files++ = 0;
  for (char *path = strtok(files, ","); path; path = strtok(NULL, ",")) add_run(&l, path, measure);
  if (!l.runs) stop(argument, "has no files");
  for (int i = 0; i <= n_points; i++) { /* of a sample of runs: divided by one less than there are */
    l.mean[i] /= l.runs;
    double spread = l.deviation[i] - l.runs * l.mean[i] * l.mean[i];
    l.deviation[i] = l.runs > 1 ? sqrt(fmax(0, spread) / (l.runs - 1)) : 0;
  }
  return l;
}

static void print_table(const char *tensor, const line *lines, int n) {
  printf("| %s |", tensor);
  for (int i = 0; i < n; i++) printf(" %s |", lines[i].name);
  printf("\n|---|");
  for (int i = 0; i < n; i++) printf("---|");
  for (int p = 0; p <= n_points; p++) {
    if (p < n_points) printf("\n| %g |", (double)points[p]);
    if (p == n_points) printf("\n| all |");
    for (int i = 0; i < n; i++) printf(" %.4f ± %.4f |", lines[i].mean[p], lines[i].deviation[p]);
  }
  printf("\n");
}

static double x_of(int point) {
  double first = (double)points[0], last = (double)points[n_points - 1];
  return LEFT +
         (WIDTH - LEFT - RIGHT) * (last > first ? ((double)points[point] - first) / (last - first) : 0.5);
}

/* The axis of the measure goes from 0 to 1. */
static double y_of(double value) { return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value; }

static void draw_line(FILE *svg, const line *l, const char *color, int number) {
  fprintf(svg, "<polygon fill=\"%s\" fill-opacity=\"0.2\" points=\"", color);
  for (int p = 0; p < n_points; p++) fprintf(svg, "%.1f,%.1f ", x_of(p), y_of(l->mean[p] + l->deviation[p]));
  for (int p = n_points - 1; p >= 0; p--)
    fprintf(svg, "%.1f,%.1f ", x_of(p), y_of(l->mean[p] - l->deviation[p]));
  fprintf(svg, "\"/>\n<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", color);
  for (int p = 0; p < n_points; p++) fprintf(svg, "%.1f,%.1f ", x_of(p), y_of(l->mean[p]));
  int y = TOP + 20 + 18 * number;
  fprintf(svg, "\"/>\n<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"3\" fill=\"%s\"/>\n", LEFT + 12, y - 5,
          color);
  fprintf(svg, "<text x=\"%d\" y=\"%d\">%s: %.4f ± %.4f over all, %d run(s)</text>\n", LEFT + 32, y, l->name,
          l->mean[n_points], l->deviation[n_points], l->runs);
}

static void draw(const char *path, const char *tensor, const char *measure, const line *lines, int n) {
  FILE *svg = fopen(path, "w");
  if (!svg) stop(path, "cannot be written");
  fprintf(svg,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
          "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"%d\" height=\"%d\" "
          "fill=\"white\"/>\n",
          WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
  for (int i = 0; i <= 10; i++) {
    fprintf(svg, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, WIDTH - RIGHT,
            y_of(i / 10.0), y_of(i / 10.0));
    fprintf(svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>\n", LEFT - 6, y_of(i / 10.0) + 4,
            i / 10.0);
  }
  for (int p = 0; p < n_points; p++)
    fprintf(svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", x_of(p), HEIGHT - BOTTOM + 16,
            (double)points[p]);
  fprintf(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s over %s</text>\n", WIDTH / 2, HEIGHT - 10,
          measure, tensor);
  for (int i = 0; i < n; i++) draw_line(svg, &lines[i], colors[i], i);
  fprintf(svg, "</svg>\n");
  if (fclose(svg)) stop(path, "cannot be written");
}

int main(int argc, char **argv) {
  line lines[MOST_LINES];
  int n = argc - 5;
  if (n < 1 || n > MOST_LINES)
    return fprintf(stderr, "usage: by DATA TENSOR MEASURE OUT.svg NAME=VALUES,VALUES...\n"), 2;
  keys = read_vector(argv[1], argv[2], &n_samples);
  find_points(argv[1]);
  for (int i = 0; i < n; i++) lines[i] = read_line(argv[5 + i], argv[3]);
  print_table(argv[2], lines, n);
  draw(argv[4], argv[2], argv[3], lines, n);
  free(keys);
  return 0;
}
