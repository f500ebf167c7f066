/* Running a sweep. See sweep.h. */
#include "tools/runs/run_folder.h"
#include "tools/runs/run_lock.h"
#include "tools/runs/sweep.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/file.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

typedef enum job_state { WAITING, RUNNING, COMPLETE, FAILED } job_state;

typedef struct job {
  char *name, *directory;
  char **assignments; /* "key=value", one an axis */
  job_state state;
  pid_t process;
  int lock; /* descriptor; -1: not held */
} job;

typedef struct pool {
  const tool_sweep_job *sweep;
  job *jobs;
  int n, running, ended; /* ended: complete or failed */
} pool;

/* Written by the signal handler, which has no other way to tell. */
static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
  (void)number;
  interrupted = 1;
}

/* ---- The combinations ------------------------------------------------------------------------------------ */

static char *joined(const char *key, const char *value) {
  moire__text text = {0};
  moire__text_add(&text, "%s=%s", key, value);
  return text.data;
}

/* A folder's name: letters, digits and some signs stay, brackets and spaces go, the rest becomes '-'; what is
 * too long is cut and gets a number made of the whole. */
static char *folder_name(char *const *assignments, int n) {
  enum { LONGEST = 200 };
  moire__text text = {0};
  for (int i = 0; i < n; i++) moire__text_add(&text, "%s%s", i ? "," : "", assignments[i]);
  unsigned long long number = moire__hash_name(moire__text_string(&text));
  size_t kept = 0;
  for (size_t i = 0; i < text.length; i++) {
    bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=,@+-", text.data[i]);
    if (!strchr("[] ", text.data[i])) text.data[kept++] = plain ? text.data[i] : '-';
  }
  if (text.data) text.data[text.length = kept] = 0;
  if (text.length <= LONGEST) return text.data;
  char *cut = moire__allocate(LONGEST + 24);
  snprintf(cut, LONGEST + 24, "%.*s-%016llx", LONGEST, text.data, number);
  moire__text_free(&text);
  return cut;
}

static void make_jobs(pool *p) {
  const tool_sweep_job *s = p->sweep;
  p->n = 1;
  for (int i = 0; i < s->n_axes; i++) p->n *= s->axes[i].n;
  p->jobs = moire__allocate_array((size_t)p->n, sizeof *p->jobs);
  for (int number = 0; number < p->n; number++) {
    job *j = &p->jobs[number];
    j->lock = -1;
    j->assignments = moire__allocate_array((size_t)s->n_axes + 1, sizeof *j->assignments);
    int rest = number;
    for (int i = s->n_axes - 1; i >= 0; i--) {
      j->assignments[i] = joined(s->axes[i].key, s->axes[i].values[rest % s->axes[i].n]);
      rest /= s->axes[i].n;
    }
    j->name = folder_name(j->assignments, s->n_axes);
    j->directory = tool_path(s->out, j->name);
  }
}

static void free_jobs(pool *p) {
  for (int j = 0; j < p->n; j++) {
    for (int i = 0; i < p->sweep->n_axes; i++) moire__release(p->jobs[j].assignments[i]);
    moire__release(p->jobs[j].assignments);
    moire__release(p->jobs[j].name);
    moire__release(p->jobs[j].directory);
    if (p->jobs[j].lock >= 0) close(p->jobs[j].lock);
  }
  moire__release(p->jobs);
}

/* All assignments of a job: those of the sweep, then its own. Owned; the strings are borrowed. */
static const char **assignments_of(const pool *p, const job *j, int *n) {
  const tool_sweep_job *s = p->sweep;
  *n = s->n_assignments + s->n_axes;
  const char **all = moire__allocate_array((size_t)*n + 1, sizeof *all);
  for (int i = 0; i < s->n_assignments; i++) all[i] = s->assignments[i];
  for (int i = 0; i < s->n_axes; i++) all[s->n_assignments + i] = j->assignments[i];
  return all;
}

/* The configuration of a job, without its data: what is wrong with it is said before anything is trained. */
static moire_status configure(const pool *p, const job *j, moire__setup *setup, moire_error *error) {
  int n = 0;
  const char **all = assignments_of(p, j, &n), *config = p->sweep->config;
  moire_status status = moire__setup_read_yaml(setup, config, all, n, error);
  const char *model = status ? NULL : moire__setup_model_name(setup, config, error);
  if (!model) status = MOIRE_ERROR_ARGUMENT;
  if (!status) status = moire__setup_find(setup, model, config, error);
  if (!status) status = moire__setup_assume(setup, "sweep", 2, error);
  if (!status) status = moire__setup_build(setup, config, error);
  moire__release(all);
  return status;
}

static moire_status check_jobs(const pool *p, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int j = 0; j < p->n && !status; j++) {
    moire__setup setup = {0};
    moire_error reason = {0};
    status = configure(p, &p->jobs[j], &setup, &reason);
    if (status)
      moire_fail(error, status, "%s%s%s", p->jobs[j].name, p->sweep->n_axes ? ": " : "", reason.message);
    moire__setup_free(&setup);
  }
  return status;
}

static bool is_complete(const pool *p, const job *j) {
  moire_error error = {0};
  json_t *run = tool_run_read(j->directory, &error);
  moire__setup setup = {0};
  bool complete = run && !configure(p, j, &setup, &error) && tool_run_is(run, &setup);
  moire__setup_free(&setup);
  json_decref(run);
  return complete;
}

/* ---- Processes ------------------------------------------------------------------------------------------- */

static void say(const pool *p, const job *j, const char *what) {
  fprintf(stderr, "[%d/%d] %s: %s\n", p->ended, p->n, *j->name ? j->name : p->sweep->out, what);
}

static void release_lock(job *j) {
  close(j->lock);
  j->lock = -1;
}

static moire_status spawn(const pool *p, job *j, moire_error *error) {
  const tool_sweep_job *s = p->sweep;
  int n = 0, at = 0;
  const char **all = assignments_of(p, j, &n);
  const char **argv = moire__allocate_array((size_t)n * 2 + 26, sizeof *argv);
  char threads[24], parent[24], lock[24], *log = tool_path(j->directory, "log.txt");
  snprintf(threads, sizeof threads, "%d", s->threads);
  snprintf(parent, sizeof parent, "%ld", (long)getpid());
  snprintf(lock, sizeof lock, "%d", j->lock);
  const char *first[] = {"moire",     "train", s->config,  "--resume", "--out",  j->directory,
                         "--threads", threads, "--parent", parent,     "--lock", lock};
  for (size_t i = 0; i < sizeof first / sizeof *first; i++) argv[at++] = first[i];
  const char *files[][2] = {{"--data", s->files.data},     {"--valid", s->files.valid},
                            {"--test", s->files.test},     {"--tensor", s->files.tensor},
                            {"--format", s->files.format}, {"--names", s->files.names}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (files[i][1]) argv[at++] = files[i][0], argv[at++] = files[i][1];
  }
  for (int i = 0; i < n; i++) argv[at++] = "--set", argv[at++] = all[i];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, j->lock, j->lock); /* stays open in the child */
  int failure = posix_spawn(&j->process, "/proc/self/exe", &actions, NULL, (char **)(uintptr_t)argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  moire__release(log);
  moire__release(argv);
  moire__release(all);
  return failure ? moire_fail(error, MOIRE_ERROR_IO, "%s: no process could be started: %s", j->directory,
                              strerror(failure))
                 : MOIRE_OK;
}

static void end_job(pool *p, job *j, job_state state, const char *what) {
  j->state = state;
  p->ended++;
  say(p, j, what);
}

/* Starts the job, or finds that there is nothing to do; false if somebody else is at it. */
static bool begin_job(pool *p, job *j) {
  moire_error error = {0};
  moire_status status = MOIRE_OK;
  status = tool_run_lock(j->directory, true, &j->lock, &error);
  if (status || j->lock < 0) {
    if (status) end_job(p, j, FAILED, error.message);
    return status != MOIRE_OK;
  }
  if (is_complete(p, j)) {
    end_job(p, j, COMPLETE, "is complete");
    release_lock(j);
    return true;
  }
  status = spawn(p, j, &error);
  if (status) {
    end_job(p, j, FAILED, error.message);
    release_lock(j);
    return true;
  }
  j->state = RUNNING;
  p->running++;
  return true;
}

/* The last line of the log, or "". */
static void last_words(const job *j, char *out, size_t size) {
  char *path = tool_path(j->directory, "log.txt"), *bytes = NULL;
  size_t n = 0;
  moire_error error = {0};
  out[0] = 0;
  if (!moire__file_read(path, (size_t)1 << 28, &bytes, &n, &error)) {
    while (n && bytes[n - 1] == '\n') bytes[--n] = 0;
    const char *line = strrchr(bytes, '\n');
    snprintf(out, size, "%s", line ? line + 1 : bytes);
    moire__release(bytes);
  }
  moire__release(path);
}

static void finish_job(pool *p, job *j, int exit_status) {
  p->running--;
  char words[400], line[500];
  moire_error error = {0};
  json_t *run = tool_run_read(j->directory, &error);
  if (exit_status == 0 && run) {
    const char *metric = tool_run_metric(run, p->sweep->table.metric);
    snprintf(line, sizeof line, "%s %.4f, epoch %d of %d", metric,
             json_number_value(json_object_get(json_object_get(run, "test"), metric)),
             (int)json_integer_value(json_object_get(run, "best_epoch")),
             (int)json_integer_value(json_object_get(run, "epochs")));
    end_job(p, j, COMPLETE, line);
  } else if (interrupted) {
    j->state = WAITING;
  } else {
    last_words(j, words, sizeof words);
    snprintf(line, sizeof line, "failed: %s", words);
    end_job(p, j, FAILED, line);
  }
  json_decref(run);
  release_lock(j);
}

/* ---- The sweep ------------------------------------------------------------------------------------------- */

/* Waits for one of the processes; false where a signal came first. */
static bool wait_for_one(pool *p) {
  int status = 0;
  pid_t process = waitpid(-1, &status, 0);
  for (int j = 0; j < p->n && process > 0; j++) {
    if (p->jobs[j].state == RUNNING && p->jobs[j].process == process) {
      finish_job(p, &p->jobs[j], WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
  }
  return process > 0;
}

static void stop_all(pool *p) {
  for (int j = 0; j < p->n; j++) {
    if (p->jobs[j].state == RUNNING) kill(p->jobs[j].process, SIGTERM);
  }
  while (p->running) wait_for_one(p);
}

static void run_all(pool *p) {
  while (p->ended < p->n && !interrupted) {
    for (int j = 0; j < p->n && p->running < p->sweep->jobs; j++) {
      if (p->jobs[j].state == WAITING) begin_job(p, &p->jobs[j]);
    }
    if (p->running) {
      wait_for_one(p);
    } else if (p->ended < p->n) {
      nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* others are at what is left */
    }
  }
  stop_all(p);
}

int tool_sweep_run(const tool_sweep_job *sweep) {
  pool p = {.sweep = sweep};
  moire_error error = {0};
  make_jobs(&p);
  if (check_jobs(&p, &error)) {
    free_jobs(&p);
    return tool_fail(sweep->command, &error);
  }
  struct sigaction action = {.sa_handler = interrupt}, before[3];
  sigaction(SIGINT, &action, &before[0]);
  sigaction(SIGTERM, &action, &before[1]);
  sigaction(SIGHUP, &action, &before[2]);
  if (before[2].sa_handler == SIG_IGN) sigaction(SIGHUP, &before[2], NULL); /* nohup */
  run_all(&p);
  sigaction(SIGINT, &before[0], NULL);
  sigaction(SIGTERM, &before[1], NULL);
  sigaction(SIGHUP, &before[2], NULL);
  int failed = 0;
  for (int j = 0; j < p.n; j++) failed += p.jobs[j].state == FAILED;
  bool stopped = p.ended < p.n;
  if (stopped)
    fprintf(stderr, "stopped with %d of %d runs complete; the same command continues\n", p.ended, p.n);
  free_jobs(&p);
  if (stopped) return TOOL_INTERRUPTED;
  int printed = tool_runs_print(sweep->command, &sweep->out, 1, &sweep->table);
  return failed ? TOOL_FAILURE : printed;
}
