/* See bench.h. */
#include "tools/bench/support/bench.h"

#include <jansson.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_stop(const moire_error *error) {
  fprintf(stderr, "bench: %s\n", error->message);
  exit(1);
}

void bench_require(moire_status status, const moire_error *error) {
  if (status != MOIRE_OK) bench_stop(error);
}

double bench_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double bench_now(void) { return bench_clock(CLOCK_MONOTONIC); }

int bench_pin(int n) {
  cpu_set_t all, some;
  if (sched_getaffinity(0, sizeof all, &all)) return n;
  CPU_ZERO(&some);
  int taken = 0;
  for (size_t i = 0; i < CPU_SETSIZE && taken < n; i++) {
    if (!CPU_ISSET(i, &all)) continue;
    CPU_SET(i, &some);
    taken++;
  }
  sched_setaffinity(0, sizeof some, &some);
  return taken;
}

static int rising(const void *a, const void *b) {
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

float *bench_numbers(int64_t n, uint32_t seed) {
  float *x = aligned_alloc(64, ((size_t)n * sizeof *x + 63) / 64 * 64);
  if (!x) exit(1);
  for (int64_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = 2 * ((float)(seed >> 8) / (float)(1 << 24) - 0.5f);
  }
  return x;
}

bench_spread bench_spread_of(double *times, int n) {
  qsort(times, (size_t)n, sizeof *times, rising);
  return (bench_spread){times[n / 2], times[n / 4], times[3 * n / 4]};
}

/* ---- peers --------------------------------------------------------------------------------------------------
 */

bool bench_peer_start(bench_peer *peer, const char *const *command) {
  int there[2], back[2];
  if (pipe(there) || pipe(back)) return false;
  signal(SIGPIPE, SIG_IGN);
  peer->process = fork();
  if (peer->process == 0) {
    dup2(there[0], 0);
    dup2(back[1], 1);
    close(there[1]);
    close(back[0]);
    execvp(command[0], (char *const *)command);
    _exit(127);
  }
  close(there[0]);
  close(back[1]);
  peer->to = fdopen(there[1], "w");
  peer->from = fdopen(back[0], "r");
  char line[200] = "";
  if (peer->process > 0 && fgets(line, sizeof line, peer->from) && !strcmp(line, "ready\n")) return true;
  bench_peer_stop(peer);
  fprintf(stderr, "%s could not be started as a peer, so it is left out\n", command[0]);
  return false;
}

double bench_peer_ask(bench_peer *peer, const char *line) {
  char answer[200], *end = answer;
  fprintf(peer->to, "%s\n", line);
  fflush(peer->to);
  if (!fgets(answer, sizeof answer, peer->from)) return (double)NAN;
  double number = strtod(answer, &end);
  return end == answer ? (double)NAN : number;
}

static double wait_for(pid_t process, int *status) {
  struct rusage used = {0};
  wait4(process, status, 0, &used);
  return (double)used.ru_maxrss / 1024;
}

double bench_peer_stop(bench_peer *peer) {
  int status = 0;
  fclose(peer->to);
  fclose(peer->from);
  return wait_for(peer->process, &status);
}

double bench_run_peak(const char *const *command) {
  int status = 0;
  pid_t process = fork();
  if (process == 0) {
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(127);
    execvp(command[0], (char *const *)command);
    _exit(127);
  }
  double peak = wait_for(process, &status);
  return status ? (double)NAN : peak;
}

/* ---- results ------------------------------------------------------------------------------------------------
 */

static void keep(json_t *row) {
  mkdir("build", 0777);
  mkdir("build/bench", 0777);
  FILE *file = fopen("build/bench/results.jsonl", "a");
  if (file) {
    json_dumpf(row, file, JSON_COMPACT);
    fputc('\n', file);
    fclose(file);
  }
  json_decref(row);
}

void bench_row(const char *bench, const char *what, bench_spread ours, bench_spread peer, const char *peer_name,
               const char *unit) {
  printf("%-44s %9.2f %s (%.2f to %.2f)", what, ours.median, unit, ours.low, ours.high);
  json_t *row =
      json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I}", "bench", bench, "what", what, "unit", unit, "median",
                ours.median, "low", ours.low, "high", ours.high, "time", (json_int_t)time(NULL));
  if (peer.median > 0) {
    printf("; %s %.2f (%.2f to %.2f): %.2f times as much", peer_name, peer.median, peer.low, peer.high,
           peer.median / ours.median);
    json_object_set_new(row, "peer", json_string(peer_name));
    json_object_set_new(row, "peer_median", json_real(peer.median));
    json_object_set_new(row, "peer_low", json_real(peer.low));
    json_object_set_new(row, "peer_high", json_real(peer.high));
    json_object_set_new(row, "ratio", json_real(peer.median / ours.median));
  }
  printf("\n");
  fflush(stdout);
  keep(row);
}
