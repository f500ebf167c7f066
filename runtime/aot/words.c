/* Text to words and back. See runtime/text/pieces.h. */
#include "runtime/aot/workspace.h"
#include "runtime/text/pieces.h"

#include <string.h>

#if MOIRE__AOT_TOKENIZER
size_t library_most_words(size_t n) {
  size_t most = moire__pieces_most_ids(n);
  return most < SIZE_MAX ? most + 1 : SIZE_MAX;
}

library_status library_encode_text(library_workspace *workspace, const char *text, size_t n, int begins,
                                   int32_t *words, size_t room, size_t *count) {
  if (!workspace || !count || (n && !text) || (room && !words)) return LIBRARY_ERROR_NULL;
  size_t work = moire__pieces_work_bytes(n), most = moire__pieces_most_ids(n);
  if (work == SIZE_MAX || most > SIZE_MAX / 8) return LIBRARY_ERROR_ROOM;
  work = (work + 63) / 64 * 64;
  unsigned char *memory = NULL;
  library_status status = moire__aot_reserve(workspace, work + most * sizeof(int32_t) + 63, &memory);
  if (status) return status;
  int32_t *ids = (int32_t *)(void *)(memory + work);
  size_t found = moire__pieces_encode(&moire__aot_pieces, n ? text : "", n, memory, ids);
  size_t first = begins && LIBRARY_BOS >= 0;
  *count = first + found;
  if (room < *count) return LIBRARY_ERROR_ROOM;
  if (first) words[0] = LIBRARY_BOS;
  if (found) memcpy(words + first, ids, found * sizeof *ids);
  return LIBRARY_OK;
}

/* The caller's struct, which C89 has no bool for. */
static moire__decoding decoding_of(const library_decoding *d) {
  moire__decoding own = {.n_held = d->n_held < 0 ? 0 : d->n_held > 3 ? 3 : d->n_held, .begun = d->begun != 0};
  memcpy(own.held, d->held, sizeof own.held);
  return own;
}

static void give_decoding(const moire__decoding *own, library_decoding *d) {
  memcpy(d->held, own->held, sizeof own->held);
  d->n_held = own->n_held;
  d->begun = own->begun;
}

size_t library_decode_word(library_decoding *decoding, int32_t word, char *text) {
  if (!decoding || !text) return 0;
  moire__decoding own = decoding_of(decoding);
  size_t n = moire__pieces_decode(&moire__aot_pieces, &own, word, text);
  give_decoding(&own, decoding);
  return n;
}

size_t library_decode_end(library_decoding *decoding, char *text) {
  if (!decoding || !text) return 0;
  moire__decoding own = decoding_of(decoding);
  size_t n = moire__pieces_finish(&own, text);
  give_decoding(&own, decoding);
  return n;
}
#endif
