/* See nonfinite.h. What a buffer holds is known from the last kernel that used it: only those change it. */
#include "runtime/train/nonfinite.h"

#include "runtime/base/layout.h"
#include "runtime/base/memory.h"
#include "runtime/profile/recording.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef enum content { FINITE, INFINITE, NOT_A_NUMBER, UNKNOWN } content;

typedef struct event {
  int step, buffer; /* -1: there is none */
} event;

struct moire__nonfinite {
  const moire_plan *plan;
  content *holds;              /* [n_buffers], in the step that is watched */
  bool *usual_nan, *usual_inf; /* [n_steps + 1]: what a kernel does in good steps too; [0]: inputs */
  bool *made_nan, *made_inf;   /* [n_steps + 1]: what it did in this one */
  event nan, inf;              /* the first of this step that is not usual */
  int64_t number;
  int step; /* that runs; -1: none yet */
  void *const *arguments;
  const int64_t *extents;
  bool found;
  moire__nonfinite_place place;
};

moire__nonfinite *moire__nonfinite_create(const moire_plan *plan) {
  moire__nonfinite *s = moire__allocate(sizeof *s);
  size_t n = (size_t)plan->n_steps + 1;
  s->plan = plan;
  s->holds = moire__allocate_array((size_t)plan->n_buffers + 1, sizeof *s->holds);
  s->usual_nan = moire__allocate_array(n, sizeof *s->usual_nan);
  s->usual_inf = moire__allocate_array(n, sizeof *s->usual_inf);
  s->made_nan = moire__allocate_array(n, sizeof *s->made_nan);
  s->made_inf = moire__allocate_array(n, sizeof *s->made_inf);
  return s;
}

void moire__nonfinite_destroy(moire__nonfinite *s) {
  if (!s) return;
  moire__release(s->holds);
  moire__release(s->usual_nan);
  moire__release(s->usual_inf);
  moire__release(s->made_nan);
  moire__release(s->made_inf);
  moire__release(s);
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

static content of_counts(int64_t nan, int64_t inf) { return nan ? NOT_A_NUMBER : inf ? INFINITE : FINITE; }

static content of_f32(const float *x, int64_t n) {
  int64_t nan = 0, inf = 0;
  for (int64_t i = 0; i < n; i++) {
    nan += isnan(x[i]) != 0;
    inf += fabsf(x[i]) > FLT_MAX;
  }
  return of_counts(nan, inf);
}

static content of_f64(const double *x, int64_t n) {
  int64_t nan = 0, inf = 0;
  for (int64_t i = 0; i < n; i++) {
    nan += isnan(x[i]) != 0;
    inf += fabs(x[i]) > DBL_MAX;
  }
  return of_counts(nan, inf);
}

static content of_bf16(const uint16_t *x, int64_t n) {
  int64_t nan = 0, inf = 0;
  for (int64_t i = 0; i < n; i++) {
    unsigned magnitude = x[i] & 0x7fffu;
    nan += magnitude > 0x7f80u;
    inf += magnitude == 0x7f80u;
  }
  return of_counts(nan, inf);
}

/* What kernels of one operation hand each other is not written whole: what they give in the end is looked at.
 */
static bool is_scratch(const moire_plan_buffer *b) {
  return b->role == MOIRE_PLAN_TEMPORARY && !strcmp(b->name, MOIRE__PLAN_PIECES);
}

static content read_buffer(const moire__nonfinite *s, int buffer, const void *data) {
  const moire_plan_buffer *b = &s->plan->buffers[buffer];
  int64_t n = 0;
  if (is_scratch(b) || !moire__extent_size(b->elements, s->extents, &n)) return FINITE;
  switch (b->dtype) {
    case MOIRE_F32: return of_f32(data, n);
    case MOIRE_F64: return of_f64(data, n);
    case MOIRE_BF16: return of_bf16(data, n);
    case MOIRE_I32:
    case MOIRE_I64:
    case MOIRE_BOOL:
    case MOIRE_C64: return FINITE;
  }
  return FINITE;
}

/* ---- Watching ---------------------------------------------------------------------------------------------
 */

/* Buffer `buffer` holds `now` since step `step` (-1: since before the first). */
static void note(moire__nonfinite *s, int step, int buffer, content now) {
  content before = s->holds[buffer];
  s->holds[buffer] = now;
  bool made_nan = now == NOT_A_NUMBER && before != NOT_A_NUMBER;
  bool made_inf = now == INFINITE && (before == FINITE || before == UNKNOWN);
  if (made_nan) s->made_nan[step + 1] = true;
  if (made_inf) s->made_inf[step + 1] = true;
  if (made_nan && s->nan.buffer < 0 && !s->usual_nan[step + 1]) s->nan = (event){step, buffer};
  if (made_inf && s->inf.buffer < 0 && !s->usual_inf[step + 1]) s->inf = (event){step, buffer};
}

/* What a kernel has left; NULL arguments: none has run yet. */
static void look_back(moire__nonfinite *s) {
  if (s->step < 0) return;
  const moire_plan_step *step = &s->plan->steps[s->step];
  for (int i = 0; i < step->n_buffers; i++)
    note(s, s->step, step->buffers[i], read_buffer(s, step->buffers[i], s->arguments[i]));
}

/* What a kernel is about to read that no kernel has written: inputs and states. */
static void look_ahead(moire__nonfinite *s) {
  const moire_plan_step *step = &s->plan->steps[s->step];
  for (int i = 0; i < step->n_buffers; i++) {
    int b = step->buffers[i];
    moire_plan_role role = s->plan->buffers[b].role;
    if (s->holds[b] != UNKNOWN || (role != MOIRE_PLAN_INPUT && role != MOIRE_PLAN_STATE)) continue;
    note(s, -1, b, read_buffer(s, b, s->arguments[i]));
  }
}

static void watch(void *context, int step, void *const *arguments, const int64_t *extents) {
  moire__nonfinite *s = context;
  s->extents = extents;
  look_back(s);
  s->step = step;
  s->arguments = arguments;
  look_ahead(s);
}

void moire__nonfinite_begin(moire__nonfinite *s, moire_runner *runner, int64_t number) {
  size_t n = (size_t)s->plan->n_steps + 1;
  memset(s->made_nan, 0, n * sizeof *s->made_nan);
  memset(s->made_inf, 0, n * sizeof *s->made_inf);
  for (int i = 0; i < s->plan->n_buffers; i++) s->holds[i] = UNKNOWN;
  s->nan = s->inf = (event){-1, -1};
  s->number = number;
  s->step = -1;
  moire__runner_watch(runner, watch, s);
}

/* Does a state hold what no state should? */
static bool spoils_states(const moire__nonfinite *s) {
  for (int i = 0; i < s->plan->n_buffers; i++) {
    bool state = s->plan->buffers[i].role == MOIRE_PLAN_STATE;
    if (state && (s->holds[i] == NOT_A_NUMBER || s->holds[i] == INFINITE)) return true;
  }
  return false;
}

void moire__nonfinite_end(moire__nonfinite *s, moire_runner *runner, bool finite) {
  moire__runner_watch(runner, NULL, NULL);
  look_back(s);
  if (s->found) return;
  if (finite && !spoils_states(s)) {
    for (int i = 0; i <= s->plan->n_steps; i++) {
      s->usual_nan[i] = s->usual_nan[i] || s->made_nan[i];
      s->usual_inf[i] = s->usual_inf[i] || s->made_inf[i];
    }
    return;
  }
  bool nan = s->nan.buffer >= 0;
  event first = nan ? s->nan : s->inf;
  if (first.buffer < 0) return;
  s->found = true;
  bool infinity_led = nan && s->inf.buffer >= 0 && s->inf.step < s->nan.step;
  s->place = (moire__nonfinite_place){.number = s->number,
                                      .step = first.step,
                                      .buffer = first.buffer,
                                      .nan = nan,
                                      .infinite = infinity_led ? s->inf.step : -1};
}

bool moire__nonfinite_found(const moire__nonfinite *s, moire__nonfinite_place *place) {
  if (s->found) *place = s->place;
  return s->found;
}
