/* Loading a transport's module. See load.h. */
#include "runtime/team/load.h"

#include "runtime/base/text.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a launcher leaves in the environment of each process that it starts. */
static const char *const launchers[][2] = {{"OMPI_COMM_WORLD_SIZE", "openmpi"},
                                           {"PMI_SIZE", "mpich"},
                                           {"PMI_RANK", "mpich"},
                                           {"PMIX_RANK", "openmpi"}};

const char *moire__transport_wanted(void) {
  const char *wish = getenv("MOIRE_MPI");
  if (wish && *wish) return strcmp(wish, "off") != 0 ? wish : NULL;
  for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
    if (getenv(launchers[i][0])) return launchers[i][1];
  }
  return NULL;
}

/* The folder of the program, or of the library, that this function is in. */
static bool find_folder(char folder[PATH_MAX]) {
  Dl_info info;
  char path[PATH_MAX];
  if (!dladdr((void *)(uintptr_t)moire__transport_load, &info) || !info.dli_fname) return false;
  if (!realpath(strchr(info.dli_fname, '/') ? info.dli_fname : "/proc/self/exe", path)) return false;
  snprintf(folder, PATH_MAX, "%s", dirname(path));
  return true;
}

/* Beside the program, where a build leaves it, or where it is installed. */
static void *open_module(const char *library, moire__text *tried) {
  static const char *const places[] = {".", "../lib/moire", "moire"};
  char folder[PATH_MAX];
  if (!find_folder(folder)) return NULL;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    moire__text path = {0};
    moire__text_add(&path, "%s/%s/moire-%s.so", folder, places[i], library);
    bool there = access(path.data, R_OK) == 0;
    void *module = there ? dlopen(path.data, RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (there && !module) moire__text_add(tried, "%s", dlerror());
    moire__text_free(&path);
    if (there) return module;
  }
  moire__text_add(tried, "there is no moire-%s.so beside %s", library, folder);
  return NULL;
}

moire_status moire__transport_load(const moire__transport **transport, moire_error *error) {
  *transport = NULL;
  const char *library = moire__transport_wanted();
  if (!library) return MOIRE_OK;
  moire__text why = {0};
  void *module = open_module(library, &why);
  moire__transport_open *open = NULL;
  if (module) *(void **)&open = dlsym(module, "moire_team_transport");
  char sentence[256] = "it is not a module of this version";
  if (open) *transport = open(sentence, sizeof sentence);
  if (*transport && (*transport)->version != MOIRE__TRANSPORT_VERSION) *transport = NULL;
  moire_status status = MOIRE_OK;
  if (!*transport)
    status = moire_fail(
        error, MOIRE_ERROR_UNSUPPORTED,
        "started as one of several processes, but without MPI (%s): wanted a build that found %s, or "
        "MOIRE_MPI=off",
        module ? sentence : moire__text_string(&why), library);
  moire__text_free(&why);
  return status;
}
