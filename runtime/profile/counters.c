/* Counters through perf_event_open(2). Virtual machines often have none, and a kernel setting
 * (/proc/sys/kernel/perf_event_paranoid above 2) forbids them. */
#include "runtime/profile/counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
  const char *name;
  uint64_t event;
} events[MOIRE__COUNTERS] = {{"cycles", PERF_COUNT_HW_CPU_CYCLES},
                             {"instructions", PERF_COUNT_HW_INSTRUCTIONS},
                             {"cache references", PERF_COUNT_HW_CACHE_REFERENCES},
                             {"cache misses", PERF_COUNT_HW_CACHE_MISSES},
                             {"branch misses", PERF_COUNT_HW_BRANCH_MISSES}};

static int open_event(uint64_t event) {
  struct perf_event_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_HARDWARE;
  attributes.config = event;
  attributes.disabled = 1;
  attributes.inherit = 1;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

moire_status moire__counters_open(moire__counters *c, moire_error *error) {
  *c = (moire__counters){0};
  int reason = 0;
  for (int i = 0; i < MOIRE__COUNTERS; i++) {
    int file = open_event(events[i].event);
    if (file < 0) reason = errno;
    c->files[i] = file < 0 ? 0 : 1 + file;
    c->open = c->open || file >= 0;
  }
  if (c->open) return MOIRE_OK;
  bool forbidden = reason == EACCES || reason == EPERM;
  return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "no hardware counters: %s",
                    forbidden ? "the operating system forbids them (/proc/sys/kernel/perf_event_paranoid)"
                    : reason == ENOENT || reason == ENODEV || reason == EOPNOTSUPP ? "this machine has none"
                                                                                   : strerror(reason));
}

void moire__counters_close(moire__counters *c) {
  for (int i = 0; i < MOIRE__COUNTERS; i++) {
    if (c->files[i]) close(c->files[i] - 1);
  }
  *c = (moire__counters){0};
}

void moire__counters_run(const moire__counters *c, bool on) {
  for (int i = 0; i < MOIRE__COUNTERS; i++) {
    if (c->files[i]) ioctl(c->files[i] - 1, on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
  }
}

const char *moire__counters_name(int i) { return i >= 0 && i < MOIRE__COUNTERS ? events[i].name : NULL; }

double moire__counters_value(const moire__counters *c, int i) {
  uint64_t read_back[3] = {0}; /* value, nanoseconds enabled, nanoseconds in the hardware */
  if (!c->files[i] || read(c->files[i] - 1, read_back, sizeof read_back) != sizeof read_back) return -1;
  if (!read_back[2]) return -1;
  return (double)read_back[0] * ((double)read_back[1] / (double)read_back[2]);
}
