/* A bad line between two network namespaces, for kernels without netem:
 *
 *   link SPACE_A SPACE_B MILLISECONDS PERCENT SEED
 *
 * makes the interface `join` in each, and carries packets from one to the other: each comes after
 * the delay, or with that probability never. Says "ready" once both are there, and goes on until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 2048, MOST_WAITING = 4096 };

typedef struct packet {
  double due;
  size_t bytes;
  char data[MOST_BYTES];
} packet;

/* What goes one way, a ring in the order of arrival, which is that of departure, too. */
typedef struct line {
  int from, to;
  packet *waiting; /* [MOST_WAITING] */
  unsigned first, n;
} line;

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* An interface of that name in a namespace, whose packets are read and written here. */
static int open_interface(const char *space, const char *name) {
  char path[256];
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  snprintf(path, sizeof path, "/run/netns/%s", space);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  int home = open(path, O_RDONLY | O_CLOEXEC);
  if (home < 0 || setns(home, CLONE_NEWNET)) fail(path);
  close(home);
  int file = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (file < 0 || ioctl(file, TUNSETIFF, &request)) fail("/dev/net/tun");
  return file;
}

/* From 0 to 1. */
static double draw(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return (double)(*state >> 11) * 0x1p-53;
}

static void take_all(line *l, double delay, double loss, uint64_t *state) {
  char data[MOST_BYTES];
  for (ssize_t n; (n = read(l->from, data, sizeof data)) > 0;) {
    if (draw(state) < loss || l->n == MOST_WAITING) continue;
    packet *p = &l->waiting[(l->first + l->n++) % MOST_WAITING];
    p->due = now() + delay;
    p->bytes = (size_t)n;
    memcpy(p->data, data, p->bytes);
  }
}

static void give_due(line *l, double time) {
  for (; l->n && l->waiting[l->first].due <= time; l->n--) {
    const packet *p = &l->waiting[l->first];
    ssize_t ignored = write(l->to, p->data, p->bytes); /* an interface that is down takes none */
    (void)ignored;
    l->first = (l->first + 1) % MOST_WAITING;
  }
}

/* How long nothing is to be done, unless something comes. */
static int pause_of(const line *lines) {
  double least = 1;
  for (int i = 0; i < 2; i++) {
    double left = lines[i].n ? lines[i].waiting[lines[i].first].due - now() : 1;
    if (left < least) least = left;
  }
  return least <= 0 ? 0 : (int)(least * 1000) + 1;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "link: wanted SPACE_A SPACE_B MILLISECONDS PERCENT SEED\n");
    return 2;
  }
  double delay = atof(argv[3]) / 1000, loss = atof(argv[4]) / 100;
  uint64_t state = strtoull(argv[5], NULL, 10) * 2 + 1;
  int a = open_interface(argv[1], "join"), b = open_interface(argv[2], "join");
  line lines[] = {{.from = a, .to = b}, {.from = b, .to = a}};
  for (int i = 0; i < 2; i++) {
    lines[i].waiting = calloc(MOST_WAITING, sizeof(packet));
    if (!lines[i].waiting) fail("memory");
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct pollfd files[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    if (poll(files, 2, pause_of(lines)) < 0 && errno != EINTR) fail("poll");
    for (int i = 0; i < 2; i++) {
      take_all(&lines[i], delay, loss, &state);
      give_due(&lines[i], now());
    }
  }
}
