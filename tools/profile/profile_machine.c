/* What profiles ask of the machine. */
#include "tools/profile/profile.h"

bool tool_profile_peaks(const char *tool, int threads, moire__peaks *peaks) {
  moire_error error = {0};
  *peaks = (moire__peaks){0};
  moire_status status = moire__peaks_get(threads, false, peaks, NULL, &error);
  if (status) fprintf(stderr, "moire %s: %s\n", tool, error.message);
  return peaks->n_levels > 1;
}

int64_t tool_profile_cache_bytes(const moire__peaks *peaks) {
  enum { USUAL = 32 << 20 };
  int64_t bytes = peaks->n_levels > 1 ? peaks->levels[peaks->n_levels - 2].bytes : 0;
  return bytes ? bytes : USUAL;
}
