/* What a language model's library has beside its graph: the tokenizer's tables, and the most positions of a
 * row.
 */
#include "tasks/tokens/kept.h"
#include "tasks/tokens/tokens.h"

#include "runtime/base/memory.h"

#include <string.h>

static const void *copy(moire__arena *arena, const void *from, size_t n, size_t bytes) {
  void *to = moire__arena_alloc(arena, n * bytes + 1);
  if (n) memcpy(to, from, n * bytes);
  return to;
}

static const moire_ahead_tokenizer *tables_of(const moire__pieces *p, moire__arena *arena) {
  moire_ahead_tokenizer *t = moire__arena_alloc(arena, sizeof *t);
  size_t n = (size_t)p->n;
  *t = (moire_ahead_tokenizer){.n = p->n,
                               .text = copy(arena, p->text, p->start[n], 1),
                               .start = copy(arena, p->start, n + 1, sizeof *p->start),
                               .score = copy(arena, p->score, n, sizeof *p->score),
                               .kind = copy(arena, p->kind, n, sizeof *p->kind),
                               .slots = copy(arena, p->slots, p->n_slots, sizeof *p->slots),
                               .n_slots = p->n_slots,
                               .bytes = copy(arena, p->bytes, 256, sizeof *p->bytes),
                               .unknown = p->unknown,
                               .bos = p->bos,
                               .eos = p->eos,
                               .pad = p->pad,
                               .space_in_front = p->space_in_front,
                               .few_spaces = p->few_spaces,
                               .most_text = (int32_t)moire__pieces_most_text(p)};
  return t;
}

moire_status moire__tokens_equip(const moire__setup *setup, const moire__safetensors *file,
                                 const char *tokenizer, moire_ahead_model *model, moire__arena *arena,
                                 moire_error *error) {
  moire__tokenizer *found = NULL;
  int64_t words = moire_config_int(setup->config, "vocab_size"), positions = moire__tokens_positions(setup);
  moire_status status = moire__tokenizer_find(tokenizer, file, words, &found, error);
  if (!status && found) model->tokenizer = tables_of(moire__tokenizer_pieces(found), arena);
  model->positions = positions < INT64_MAX ? positions : 0;
  moire__tokenizer_free(found);
  return status;
}
