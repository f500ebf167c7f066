/* Memory that is left: /proc/meminfo, control groups, resource limits. Files that are not there limit nothing.
 */
#include "runtime/machine/memory_room.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void lower(moire__memory_room *room, int64_t bytes, const char *bound) {
  if (bytes < 0) bytes = 0;
  if (room->bytes < 0 || bytes < room->bytes) *room = (moire__memory_room){bytes, bound};
}

/* The number behind "NAME" at the start of a line, or the whole of a file where name is NULL; -1: there is
 * none. */
static int64_t read_number(const char *path, const char *name) {
  char line[256];
  int64_t value = -1;
  size_t length = name ? strlen(name) : 0;
  FILE *file = fopen(path, "r");
  while (file && value < 0 && fgets(line, sizeof line, file)) {
    if (name && strncmp(line, name, length) != 0) continue;
    if (sscanf(line + length, "%" SCNd64, &value) != 1) value = -1;
    if (!name) break;
  }
  if (file) fclose(file);
  return value;
}

static void of_machine(moire__memory_room *room) {
  int64_t available = read_number("/proc/meminfo", "MemAvailable:");
  int64_t swap = read_number("/proc/meminfo", "SwapFree:");
  if (available >= 0) lower(room, (available + (swap > 0 ? swap : 0)) << 10, "this machine");
}

/* One group. Inactive pages of files are given up before anything is refused. */
static void of_group(moire__memory_room *room, const char *folder, bool unified) {
  char path[4200];
  const char *const limit = unified ? "memory.max" : "memory.limit_in_bytes";
  const char *const usage = unified ? "memory.current" : "memory.usage_in_bytes";
  snprintf(path, sizeof path, "%s/%s", folder, limit);
  int64_t most = read_number(path, NULL);
  if (most < 0 || most >= INT64_MAX / 2) return;
  snprintf(path, sizeof path, "%s/%s", folder, usage);
  int64_t used = read_number(path, NULL);
  snprintf(path, sizeof path, "%s/memory.stat", folder);
  int64_t cache = read_number(path, unified ? "inactive_file " : "total_inactive_file ");
  if (used >= 0) lower(room, most - used + (cache > 0 ? cache : 0), "its control group");
}

/* The group at `path` below `mount`, and all above it. */
static void of_groups_above(moire__memory_room *room, const char *mount, char *path, bool unified) {
  char folder[4096];
  for (;;) {
    snprintf(folder, sizeof folder, "%s%s", mount, path);
    of_group(room, folder, unified);
    char *slash = strrchr(path, '/');
    if (!slash) return;
    *slash = 0;
  }
}

/* Lines "0::/path" (version 2) and "N:…,memory,…:/path" (version 1). */
static void of_groups(moire__memory_room *room) {
  char line[3000];
  FILE *file = fopen("/proc/self/cgroup", "r");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) continue;
    *path++ = 0;
    if (!strcmp(path, "/")) path[0] = 0;
    controllers++;
    if (!*controllers) {
      of_groups_above(room, "/sys/fs/cgroup", path, true);
      continue;
    }
    bool memory = false;
    for (char *name = strtok(controllers, ","); name; name = strtok(NULL, ","))
      memory |= !strcmp(name, "memory");
    if (memory) of_groups_above(room, "/sys/fs/cgroup/memory", path, false);
  }
  if (file) fclose(file);
}

static void of_limits(moire__memory_room *room) {
  struct rlimit limit;
  int64_t pages = read_number("/proc/self/statm", NULL);
  if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY || pages < 0) return;
  lower(room, (int64_t)limit.rlim_cur - pages * 4096, "ulimit -v");
}

moire__memory_room moire__memory_room_now(void) {
  moire__memory_room room = {-1, "nothing"};
  of_machine(&room);
  of_groups(&room);
  of_limits(&room);
  return room;
}
