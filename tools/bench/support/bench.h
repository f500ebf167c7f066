/* What benchmarks share: the clock, medians with their spread, threads held to CPUs, a peer in a process of its
 * own, and results kept as JSON. */
#ifndef MOIRE_TOOLS_BENCH_SUPPORT_BENCH_H
#define MOIRE_TOOLS_BENCH_SUPPORT_BENCH_H

#include "moire/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

/* Ends the program with a sentence; bench_require: if `status` is a failure. */
_Noreturn void bench_stop(const moire_error *error);
void bench_require(moire_status status, const moire_error *error);

double bench_clock(clockid_t clock); /* seconds */
double bench_now(void);              /* of CLOCK_MONOTONIC */

/* Holds this process, its threads and its children to n of the CPUs that it may use. Returns n, or as many as
 * there are. */
int bench_pin(int n);

/* n numbers of [-1, 1) that the seed decides, at an address of whole cache lines; for free(). */
float *bench_numbers(int64_t n, uint32_t seed);

/* Of times in any order, which are sorted: the median, and the quarter below and above. */
typedef struct bench_spread {
  double median, low, high;
} bench_spread;
bench_spread bench_spread_of(double *times, int n);

/* A peer: a program that answers each line with a line. */
typedef struct bench_peer {
  pid_t process;
  FILE *to, *from;
} bench_peer;

/* Starts the words of `command`; false, with a sentence on stderr, if it does not answer "ready". */
bool bench_peer_start(bench_peer *peer, const char *const *command);
/* Sends a line and reads the number that comes back; NaN if none comes. */
double bench_peer_ask(bench_peer *peer, const char *line);
/* Ends it. Returns its peak of resident memory in MiB. */
double bench_peer_stop(bench_peer *peer);

/* The program's peak of resident memory in MiB when it ran by itself as a child with these words; its output
 * goes to /dev/null. NaN if it failed. */
double bench_run_peak(const char *const *command);

/* Prints a row and appends it, as a line of JSON, to build/bench/results.jsonl. `peer` 0: there is none. */
void bench_row(const char *bench, const char *what, bench_spread ours, bench_spread peer, const char *peer_name,
               const char *unit);

#endif
