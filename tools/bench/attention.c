/* Interference attention, softmax(|q k^H|^2 scale + mask) v: forward, and with the gradients of q, k and v.
 *
 *   bench/attention [THREADS]       (all CPUs)
 *
 * Ours against OpenBLAS with our row kernels (blocks of query rows whose scores stay in cache, a head a
 * thread; with gradients, the forward pass and then the backward one, which has the scores to compute again,
 * since the gradient of y is known only after y), and, with MOIRE_PYTHON=PYTHON in the environment, against
 * compiled PyTorch (attention_torch.py). All in one run; ours and OpenBLAS in turns, after their results were
 * compared; medians, quartiles in brackets. Causal rows are those of the models, where half of the scores are
 * masked. Last, what longer and longer sequences add to the peak of memory.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "tools/bench/support/bench.h"

#include <cblas.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_RUNS = 41, PLANES = 8, GRADIENTS = 6 };

/* The shape, and planes [heads, length, d] of q, k, v and of the gradient of y. */
typedef struct task {
  int64_t heads, length, d;
  bool causal, backward;
  float *x[PLANES];
  float *peer[GRADIENTS]; /* what OpenBLAS gives: y, or the gradients of q, k, v */
  int threads;
} task;

static const char *const inputs[PLANES] = {"q.re", "q.im", "k.re", "k.im", "v.re", "v.im", "g.re", "g.im"};
static const double mask_value = -10000;

/* Of the processor, all threads together: what a machine with other work to do leaves comparable. */
static double work(void) { return bench_clock(CLOCK_PROCESS_CPUTIME_ID); }

static int64_t size_of(const task *t) { return t->heads * t->length * t->d; }
static double scale_of(const task *t) { return 1 / (double)t->d; }

/* ---- ours ------------------------------------------------------------------------------------------------ */

typedef struct ours {
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
} ours;

static ours finish(moire_graph *g, const moire_compile_options *options, moire_threads *threads) {
  moire_error error = {0};
  ours o = {.program = moire_compile(g, options, &error), .store = moire_store_create()};
  bench_require(error.status, &error);
  bench_require(moire_store_declare(o.store, moire_program_plan(o.program), 1, &error), &error);
  o.runner = moire_runner_create(moire_program_plan(o.program), o.store, threads, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(g);
  return o;
}

static void drop(ours *o) {
  moire_runner_destroy(o->runner);
  moire_store_destroy(o->store);
  moire_program_destroy(o->program);
}

/* q, k and v are parameters, so that they have gradients. */
static ours compile_ours(const task *t, moire_threads *threads) {
  moire_error error = {0};
  moire_graph *g = moire_graph_create("attention", MOIRE_TRAINING);
  static const int by_head[] = {0, 2, 1, 3};
  moire_shape shape = MOIRE_SHAPE(t->heads, t->length, 1, t->d); /* by position, as models have it */
  moire_value planes[GRADIENTS], x[3];
  for (int i = 0; i < GRADIENTS; i++) planes[i] = moire_parameter(g, inputs[i], shape, moire_init_constant(0));
  for (int i = 0; i < 3; i++) x[i] = moire_permute(moire_complex(planes[2 * i], planes[2 * i + 1]), 4, by_head);
  moire_attention_options options = {
      .score = MOIRE_SCORE_INTERFERENCE, .scale = scale_of(t), .mask_value = mask_value, .causal = t->causal};
  moire_value y = moire_permute(moire_attention(x[0], x[1], x[2], options), 4, by_head);
  moire_compile_options compiled = moire_compile_defaults();
  static const char *const outputs[] = {"y.re", "y.im"};
  if (t->backward) {
    moire_value re = moire_mul(moire_real(y), moire_input(g, "g.re", MOIRE_F32, shape));
    moire_value im = moire_mul(moire_imag(y), moire_input(g, "g.im", MOIRE_F32, shape));
    moire_output(g, "loss", moire_sum_all(moire_add(re, im)));
    compiled.loss = "loss";
    compiled.keep_gradients = true;
  } else {
    moire_output(g, "y.re", moire_real(y));
    moire_output(g, "y.im", moire_imag(y));
    compiled.outputs = outputs;
    compiled.n_outputs = 2;
  }
  ours o = finish(g, &compiled, threads);
  for (int i = 0; i < GRADIENTS; i++)
    memcpy(moire_store_data(o.store, inputs[i], NULL), t->x[i], (size_t)size_of(t) * sizeof(float));
  for (int i = GRADIENTS; i < PLANES && t->backward; i++)
    bench_require(moire_runner_set_input(o.runner, inputs[i], t->x[i], size_of(t), &error), &error);
  return o;
}

static void run(const ours *o) {
  moire_error error = {0};
  bench_require(moire_runner_run(o->runner, &error), &error);
}

/* ---- OpenBLAS with our row kernels ----------------------------------------------------------------------- */

/* Scores of a block of query rows of a head. Forward: s and mask -> p. Backward: also dp -> ds. */
typedef struct rows {
  ours kernel;
  moire_threads *one;
  int64_t n;
  float *s[2], *dp, *mask;
} rows;

static rows compile_rows(const task *t) {
  moire_error error = {0};
  rows r = {.n = t->length < 256 ? t->length : 256, .one = moire_threads_create(1, &error)};
  bench_require(error.status, &error);
  moire_graph *g = moire_graph_create("rows", MOIRE_INFERENCE);
  moire_shape shape = MOIRE_SHAPE(r.n, t->length);
  moire_value re = moire_input(g, "re", MOIRE_F32, shape), im = moire_input(g, "im", MOIRE_F32, shape);
  moire_value s = moire_scale(moire_abs2(moire_complex(re, im)), scale_of(t));
  if (t->causal) s = moire_add(s, moire_input(g, "mask", MOIRE_F32, shape));
  moire_value p = moire_softmax(s);
  moire_output(g, "p", p);
  if (t->backward) {
    moire_value dp = moire_input(g, "dp", MOIRE_F32, shape);
    moire_value slope = moire_mul(p, moire_sub(dp, moire_sum(moire_mul(p, dp), 1, true)));
    slope = moire_scale(slope, 2 * scale_of(t));
    moire_output(g, "ds.re", moire_mul(slope, re));
    moire_output(g, "ds.im", moire_mul(slope, im));
  }
  moire_compile_options options = moire_compile_defaults();
  static const char *const outputs[] = {"p", "ds.re", "ds.im"};
  options.outputs = outputs;
  options.n_outputs = t->backward ? 3 : 1;
  r.kernel = finish(g, &options, r.one);
  for (uint32_t p_ = 0; p_ < 2; p_++) r.s[p_] = bench_numbers(r.n * t->length, p_);
  r.dp = bench_numbers(r.n * t->length, 3);
  int64_t n = r.n * t->length;
  bench_require(moire_runner_set_input(r.kernel.runner, "re", r.s[0], n, &error), &error);
  bench_require(moire_runner_set_input(r.kernel.runner, "im", r.s[1], n, &error), &error);
  if (t->backward) bench_require(moire_runner_set_input(r.kernel.runner, "dp", r.dp, n, &error), &error);
  r.mask = t->causal ? bench_numbers(t->length * t->length, 4) : NULL;
  for (int64_t i = 0; i < t->length * t->length && t->causal; i++)
    r.mask[i] = i % t->length <= i / t->length ? 0 : (float)mask_value;
  return r;
}

static void drop_rows(rows *r) {
  drop(&r->kernel);
  moire_threads_destroy(r->one);
  for (int p = 0; p < 2; p++) free(r->s[p]);
  free(r->dp);
  free(r->mask);
}

typedef struct matrix {
  const float *x;
  int64_t width;
  bool transposed;
} matrix;

/* c[m, n] = alpha a[m, k] b[k, n] + beta c */
static void gemm(int64_t m, int64_t n, int64_t k, float alpha, matrix a, matrix b, float beta, float *c) {
  cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
              (int)m, (int)n, (int)k, alpha, a.x, (int)a.width, b.x, (int)b.width, beta, c, (int)n);
}

static void block_of_rows(const task *t, const rows *r, int64_t head, int64_t first) {
  moire_error error = {0};
  int64_t length = t->length, d = t->d, whole = head * length * d, part = whole + first * d;
  matrix q[2], g[2], k[2], v[2], kt[2], vt[2];
  for (int p = 0; p < 2; p++) {
    q[p] = (matrix){t->x[p] + part, d, false};
    k[p] = (matrix){t->x[2 + p] + whole, d, false};
    v[p] = (matrix){t->x[4 + p] + whole, d, false};
    g[p] = (matrix){t->x[6 + p] + part, d, false};
    kt[p] = (matrix){k[p].x, d, true};
    vt[p] = (matrix){v[p].x, d, true};
  }
  gemm(r->n, length, d, 1, q[0], kt[0], 0, r->s[0]);
  gemm(r->n, length, d, 1, q[1], kt[1], 1, r->s[0]);
  gemm(r->n, length, d, 1, q[1], kt[0], 0, r->s[1]);
  gemm(r->n, length, d, -1, q[0], kt[1], 1, r->s[1]);
  if (t->backward) {
    gemm(r->n, length, d, 1, g[0], vt[0], 0, r->dp);
    gemm(r->n, length, d, 1, g[1], vt[1], 1, r->dp);
  }
  if (r->mask)
    bench_require(
        moire_runner_set_input(r->kernel.runner, "mask", r->mask + first * length, r->n * length, &error),
        &error);
  run(&r->kernel);
  matrix w = {moire_runner_output(r->kernel.runner, "p", NULL), length, false};
  if (!t->backward) {
    for (int p = 0; p < 2; p++) gemm(r->n, d, length, 1, w, v[p], 0, t->peer[p] + part);
    return;
  }
  matrix wt = {w.x, length, true}, s[2], st[2];
  float more = first > 0; /* keys and values meet every block of rows */
  for (int p = 0; p < 2; p++) {
    s[p] = (matrix){moire_runner_output(r->kernel.runner, p ? "ds.im" : "ds.re", NULL), length, false};
    st[p] = (matrix){s[p].x, length, true};
    gemm(length, d, r->n, 1, wt, g[p], more, t->peer[4 + p] + whole);
  }
  for (int p = 0; p < 2; p++) {
    gemm(r->n, d, length, 1, s[0], k[p], 0, t->peer[p] + part);
    gemm(r->n, d, length, p ? 1 : -1, s[1], k[1 - p], 1, t->peer[p] + part);
    gemm(length, d, r->n, 1, st[0], q[p], more, t->peer[2 + p] + whole);
    gemm(length, d, r->n, p ? -1 : 1, st[1], q[1 - p], 1, t->peer[2 + p] + whole);
  }
}

/* One pass, that of t->backward. */
static void run_peer(const task *t, const rows *r) {
  for (int64_t head = 0; head < t->heads; head++) {
    for (int64_t first = 0; first < t->length; first += r->n) block_of_rows(t, r, head, first);
  }
}

/* ---- measuring ------------------------------------------------------------------------------------------- */

/* Largest difference between ours and the peer's results, relative to the norm. */
static double difference(const task *t, const ours *o) {
  static const char *const names[] = {"y.re",      "y.im",      "grad.q.re", "grad.q.im",
                                      "grad.k.re", "grad.k.im", "grad.v.re", "grad.v.im"};
  double worst = 0;
  for (int i = 0; i < (t->backward ? GRADIENTS : 2); i++) {
    const float *y = moire_runner_output(o->runner, names[t->backward ? i + 2 : i], NULL);
    double off = 0, norm = 0;
    for (int64_t j = 0; j < size_of(t); j++) {
      off += pow((double)y[j] - (double)t->peer[i][j], 2);
      norm += pow((double)t->peer[i][j], 2);
    }
    worst = fmax(worst, sqrt(off / norm));
  }
  return worst;
}

/* Seconds of a run by PyTorch, elapsed and of the processor; false if it was not asked for or did not answer.
 */
static bool time_torch(const task *t, double *elapsed, double *worked) {
  const char *python = getenv("MOIRE_PYTHON");
  char command[1024];
  if (!python) return false;
  snprintf(command, sizeof command, "'%s' tools/bench/attention_torch.py %lld %lld %lld %d %d %d", python,
           (long long)t->heads, (long long)t->length, (long long)t->d, t->causal, t->backward, t->threads);
  FILE *answer = popen(command, "r");
  bool answered = answer && fscanf(answer, "%lf %lf", elapsed, worked) == 2;
  if (answer) pclose(answer);
  return answered;
}

/* Products of a complex and of a real matrix, in forward and backward pass, without what the mask hides. */
static double flop_of(const task *t) {
  double pairs = (double)t->heads * (double)t->length * (double)t->length;
  if (t->causal) pairs *= (double)(t->length + 1) / (2 * (double)t->length);
  return pairs * (double)t->d * 2 * (t->backward ? 6 + 16 : 6);
}

typedef struct times {
  double of[MAX_RUNS];
  int n;
} times;

static double median(times *t) { return bench_spread_of(t->of, t->n).median; }

static void print_times(const char *name, times *t) {
  bench_spread s = bench_spread_of(t->of, t->n);
  printf("  %s %8.2f ms [%.2f, %.2f]", name, s.median * 1e3, s.low * 1e3, s.high * 1e3);
}

/* Ours and OpenBLAS's on one thread. */
static void measure_one(const task *t, moire_threads *one, times *mine, times *theirs) {
  ours o = compile_ours(t, one);
  task forward = *t; /* before gradients */
  forward.backward = false;
  rows r = compile_rows(t), before = compile_rows(&forward);
  for (uint32_t p = 0; p < 2; p++) forward.peer[p] = bench_numbers(size_of(t), p);
  double began = bench_now();
  run(&o);
  run_peer(t, &r);
  double error = difference(t, &o);
  if (!(error <= 1e-4)) {
    fprintf(stderr, "attention: results differ by %g\n", error);
    exit(1);
  }
  do {
    double start = work();
    run(&o);
    double middle = work();
    if (t->backward) run_peer(&forward, &before);
    run_peer(t, &r);
    mine->of[mine->n++] = middle - start;
    theirs->of[theirs->n++] = work() - middle;
  } while (mine->n < 5 || (mine->n < MAX_RUNS && bench_now() - began < 6));
  for (int p = 0; p < 2; p++) free(forward.peer[p]);
  drop_rows(&before);
  drop_rows(&r);
  drop(&o);
}

static void measure_all(const task *t, moire_threads *threads, times *elapsed, times *worked) {
  ours o = compile_ours(t, threads);
  run(&o);
  double began = bench_now();
  while (elapsed->n < 5 || (elapsed->n < MAX_RUNS && bench_now() - began < 3)) {
    double start = bench_now(), start_work = work();
    run(&o);
    elapsed->of[elapsed->n++] = bench_now() - start;
    worked->of[worked->n++] = work() - start_work;
  }
  drop(&o);
}

static void measure(const task *t, moire_threads *one, moire_threads *threads) {
  times mine = {.n = 0}, blas = {.n = 0}, elapsed = {.n = 0}, worked = {.n = 0};
  measure_one(t, one, &mine, &blas);
  measure_all(t, threads, &elapsed, &worked);
  printf("(%4lld, %4lld, %2lld) %-6s %-8s", (long long)t->heads, (long long)t->length, (long long)t->d,
         t->causal ? "causal" : "whole", t->backward ? "both" : "forward");
  print_times("one thread", &mine);
  printf(" %6.1f GFLOP/s", flop_of(t) / median(&mine) * 1e-9);
  print_times("OpenBLAS", &blas);
  printf(" %5.2fx", median(&blas) / median(&mine));
  print_times("  all threads", &elapsed);
  double torch = 0, torch_worked = 0;
  if (time_torch(t, &torch, &torch_worked)) {
    printf("  PyTorch %8.2f ms %5.2fx (of the processor %.2f ms, %.2f ms, %.2fx)", torch * 1e3,
           torch / median(&elapsed), median(&worked) * 1e3, torch_worked * 1e3, torch_worked / median(&worked));
  }
  printf("\n");
  fflush(stdout);
}

static task make_task(int64_t heads, int64_t length, int64_t d, int threads) {
  task t = {.heads = heads, .length = length, .d = d, .threads = threads};
  for (uint32_t i = 0; i < PLANES; i++) t.x[i] = bench_numbers(size_of(&t), 1 + i);
  for (uint32_t i = 0; i < GRADIENTS; i++) t.peer[i] = bench_numbers(size_of(&t), 11 + i);
  return t;
}

/* Peak of a process that compiles and runs forward and backward, in MB. */
static double peak_of(int64_t length, int threads) {
  int ends[2];
  double peak = 0;
  if (pipe(ends)) exit(1);
  if (fork() == 0) {
    moire_error error = {0};
    task t = make_task(2, length, 64, threads);
    t.causal = t.backward = true;
    ours o = compile_ours(&t, moire_threads_create(threads, &error));
    run(&o);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    peak = (double)usage.ru_maxrss / 1024;
    _exit(write(ends[1], &peak, sizeof peak) != sizeof peak);
  }
  if (read(ends[0], &peak, sizeof peak) != sizeof peak) exit(1);
  close(ends[0]);
  close(ends[1]);
  wait(NULL);
  return peak;
}

int main(int argc, char **argv) {
  openblas_set_num_threads(1); /* waiting threads of another OpenBLAS spin, on the time of ours */
  cpu_set_t cpus;
  int n = argc > 1 ? atoi(argv[1]) : sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : CPU_COUNT(&cpus);
  moire_error error = {0};
  printf("peak of memory, forward and backward, (2, L, 64):\n");
  double start = peak_of(64, n);
  for (int64_t length = 1024; length <= 8192; length *= 2)
    printf("  L = %5lld: %6.1f MB more than at 64\n", (long long)length, peak_of(length, n) - start);
  printf("interference attention, (heads, length, d); all threads: %d\n", n);
  fflush(stdout);
  moire_threads *one = moire_threads_create(1, &error), *threads = moire_threads_create(n, &error);
  bench_require(error.status, &error);
  static const int64_t shapes[][3] = {{1024, 50, 16}, {64, 512, 32}, {8, 4096, 64}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    task t = make_task(shapes[i][0], shapes[i][1], shapes[i][2], n);
    for (int kind = 0; kind < 4; kind++) {
      t.causal = kind & 1;
      t.backward = kind > 1;
      measure(&t, one, threads);
    }
    for (int p = 0; p < PLANES; p++) free(t.x[p]);
    for (int p = 0; p < GRADIENTS; p++) free(t.peer[p]);
  }
  moire_threads_destroy(threads);
  moire_threads_destroy(one);
  return 0;
}
