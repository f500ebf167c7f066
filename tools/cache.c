/* moire cache: where compiled kernels are kept, how many there are, and an end to them. */
#include "tools/tool.h"

#include "compiler/driver/cache.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

typedef struct arguments {
  bool clear, json;
} arguments;

enum { CLEAR = 0x100, JSON };

static const struct argp_option options[] = {{"clear", CLEAR, NULL, 0, "Remove all that is kept", 0},
                                             {"json", JSON, NULL, 0, "Print the result as JSON", 0},
                                             {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case CLEAR: a->clear = true; return 0;
    case JSON: a->json = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "wanted no argument, but '%s' came", text); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int tool_cache(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      NULL,
      "Shows what is kept of compiled kernels, so that the next run need not compile them again.\v"
      "They lie in MOIRE_CACHE if that is set in the environment (\"off\": nothing is kept), else in moire/ in "
      "XDG_CACHE_HOME or ~/.cache. There are never more than about 256 MiB; what was not used for longest goes "
      "first. The files may be removed at any time; no other files are. A folder that is a symbolic link, that "
      "belongs to somebody else or that others can write to is not used.",
      NULL,
      NULL,
      NULL};
  arguments a = {0};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire__cache cache = moire__cache_at(NULL);
  int64_t objects = 0, bytes = 0;
  moire__cache_count(&cache, a.clear, &objects, &bytes);
  if (a.json) {
    json_t *result = json_pack("{s:s, s:I, s:I}", "folder", cache.folder, "objects", (json_int_t)objects,
                               "bytes", (json_int_t)bytes);
    json_dumpf(result, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(result);
  } else if (!cache.folder[0]) {
    printf("The cache is off.\n");
  } else {
    printf("%s: %s%" PRId64 " kernels, %.1f MiB\n", cache.folder, a.clear ? "removed " : "", objects,
           (double)bytes / (1 << 20));
  }
  return 0;
}
