/* The encoder: symbols are a list over the text, candidates to be joined a heap.
 *
 * A candidate names its two symbols by where they begin, and how long they are together; once either has been
 * joined with another, the lengths differ and the candidate is dropped when it comes up. So a text of n
 * characters takes n log n.
 */
#include "runtime/text/pieces.h"
#include "runtime/text/utf8.h"

#include <string.h>

static const char space[] = "\xE2\x96\x81"; /* U+2581 */
enum { SPACE_BYTES = 3, REPLACEMENT_BYTES = 3 };

/* ---- look-up --------------------------------------------------------------------------------------------- */

uint32_t moire__pieces_hash(const char *text, size_t n) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
  return hash ^ hash >> 15;
}

static size_t length_of(const moire__pieces *p, int32_t id) { return p->start[id + 1] - p->start[id]; }

int32_t moire__pieces_find(const moire__pieces *p, const char *text, size_t n) {
  for (uint32_t at = moire__pieces_hash(text, n) & (p->n_slots - 1);; at = (at + 1) & (p->n_slots - 1)) {
    int32_t id = p->slots[at] - 1;
    if (id < 0) return -1;
    if (length_of(p, id) == n && !memcmp(p->text + p->start[id], text, n)) return id;
  }
}

/* ---- the text as it is encoded --------------------------------------------------------------------------- */

typedef struct symbol {
  uint32_t start, bytes; /* bytes 0: joined with the one before */
  int32_t before, after; /* symbols; -1: none */
} symbol;

typedef struct candidate {
  float score;
  int32_t left, right;
  uint32_t bytes;
} candidate;

typedef struct encoder {
  const moire__pieces *p;
  char *text;
  size_t n_text;
  symbol *symbols;
  int32_t n_symbols;
  candidate *heap;
  size_t n_heap;
} encoder;

/* A text of n bytes grows: a byte that is no UTF-8 to three, a space to three. */
static size_t most_text(size_t n) { return 3 * n + SPACE_BYTES; }

size_t moire__pieces_most_ids(size_t n) { return n > SIZE_MAX / 8 ? SIZE_MAX : most_text(n) + 1; }

size_t moire__pieces_work_bytes(size_t n) {
  if (n > INT32_MAX / 4) return SIZE_MAX;
  size_t symbols = n + 1, text = (most_text(n) + 15) / 16 * 16;
  return symbols * sizeof(symbol) + 3 * symbols * sizeof(candidate) + text;
}

static void add_character(encoder *e, const char *bytes, size_t n) {
  symbol *s = &e->symbols[e->n_symbols];
  *s = (symbol){(uint32_t)e->n_text, (uint32_t)n, e->n_symbols - 1, -1};
  if (e->n_symbols) e->symbols[e->n_symbols - 1].after = e->n_symbols;
  memcpy(e->text + e->n_text, bytes, n);
  e->n_text += n;
  e->n_symbols++;
}

static void add_text(encoder *e, const char *text, size_t n) {
  if (e->p->few_spaces) {
    for (; n && *text == ' '; text++) n--;
    while (n && text[n - 1] == ' ') n--;
  }
  if (n && e->p->space_in_front) add_character(e, space, SPACE_BYTES);
  for (size_t i = 0; i < n;) {
    size_t bytes = moire__utf8_length((const unsigned char *)text + i, n - i);
    bool again = text[i] == ' ' && e->p->few_spaces && i && text[i - 1] == ' ';
    if (text[i] == ' ' && !again)
      add_character(e, space, SPACE_BYTES);
    else if (!bytes)
      add_character(e, MOIRE__UTF8_REPLACEMENT, REPLACEMENT_BYTES);
    else if (!again)
      add_character(e, text + i, bytes);
    i += bytes ? bytes : 1;
  }
}

/* ---- the heap: the highest score first, the leftmost of equals ------------------------------------------- */

static bool comes_first(const candidate *a, const candidate *b) {
  return a->score > b->score || (!(a->score < b->score) && a->left < b->left);
}

static void swap(candidate *a, candidate *b) {
  candidate c = *a;
  *a = *b;
  *b = c;
}

static void push(encoder *e, candidate c) {
  size_t i = e->n_heap++;
  e->heap[i] = c;
  for (; i && comes_first(&e->heap[i], &e->heap[(i - 1) / 2]); i = (i - 1) / 2)
    swap(&e->heap[i], &e->heap[(i - 1) / 2]);
}

static candidate pop(encoder *e) {
  candidate top = e->heap[0];
  e->heap[0] = e->heap[--e->n_heap];
  for (size_t i = 0;;) {
    size_t best = i;
    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < e->n_heap; child++)
      if (comes_first(&e->heap[child], &e->heap[best])) best = child;
    if (best == i) return top;
    swap(&e->heap[i], &e->heap[best]);
    i = best;
  }
}

static void propose(encoder *e, int32_t left, int32_t right) {
  if (left < 0 || right < 0) return;
  uint32_t bytes = e->symbols[left].bytes + e->symbols[right].bytes;
  int32_t id = moire__pieces_find(e->p, e->text + e->symbols[left].start, bytes);
  if (id >= 0) push(e, (candidate){e->p->score[id], left, right, bytes});
}

static void join(encoder *e, candidate c) {
  symbol *left = &e->symbols[c.left], *right = &e->symbols[c.right];
  if (!left->bytes || !right->bytes || left->bytes + right->bytes != c.bytes) return;
  left->bytes = c.bytes;
  left->after = right->after;
  if (right->after >= 0) e->symbols[right->after].before = c.left;
  right->bytes = 0;
  propose(e, left->before, c.left);
  propose(e, c.left, left->after);
}

/* ---- encoding -------------------------------------------------------------------------------------------- */

/* The ids of a symbol: a piece, its bytes, or the unknown piece, once for several in a row. */
static size_t emit(const encoder *e, const symbol *s, bool after_unknown, int32_t *ids) {
  int32_t id = moire__pieces_find(e->p, e->text + s->start, s->bytes);
  if (id >= 0) {
    ids[0] = id;
    return 1;
  }
  if (e->p->bytes[0] < 0) {
    ids[0] = e->p->unknown;
    return !after_unknown;
  }
  for (uint32_t i = 0; i < s->bytes; i++) ids[i] = e->p->bytes[(unsigned char)e->text[s->start + i]];
  return s->bytes;
}

size_t moire__pieces_encode(const moire__pieces *p, const char *text, size_t n, void *work, int32_t *ids) {
  encoder e = {.p = p, .symbols = work};
  e.heap = (candidate *)(void *)(e.symbols + n + 1);
  e.text = (char *)(e.heap + 3 * (n + 1));
  add_text(&e, text, n);
  for (int32_t i = 1; i < e.n_symbols; i++) propose(&e, i - 1, i);
  while (e.n_heap) join(&e, pop(&e));
  size_t count = 0;
  for (int32_t i = e.n_symbols ? 0 : -1; i >= 0; i = e.symbols[i].after) {
    bool after_unknown = count && ids[count - 1] == p->unknown;
    count += emit(&e, &e.symbols[i], after_unknown, ids + count);
  }
  return count;
}

/* ---- decoding -------------------------------------------------------------------------------------------- */

size_t moire__pieces_finish(moire__decoding *d, char *out) {
  size_t n = 0;
  for (int i = 0; i < d->n_held; i++, n += REPLACEMENT_BYTES)
    memcpy(out + n, MOIRE__UTF8_REPLACEMENT, REPLACEMENT_BYTES);
  d->n_held = 0;
  return n;
}

/* Another byte: characters that are whole come out, and so does what cannot become one. */
static size_t add_byte(moire__decoding *d, unsigned char byte, char *out) {
  size_t n = 0;
  d->held[d->n_held++] = byte;
  while (d->n_held) {
    size_t held = (size_t)d->n_held, bytes = moire__utf8_length(d->held, held);
    if (!bytes && held < 4 && moire__utf8_may_go_on(d->held, held)) break;
    memcpy(out + n, bytes ? (const char *)d->held : MOIRE__UTF8_REPLACEMENT, bytes ? bytes : REPLACEMENT_BYTES);
    n += bytes ? bytes : REPLACEMENT_BYTES;
    size_t used = bytes ? bytes : 1;
    memmove(d->held, d->held + used, held - used);
    d->n_held -= (int)used;
  }
  return n;
}

static int byte_of(const moire__pieces *p, int32_t id) {
  for (int i = 0; i < 256; i++)
    if (p->bytes[i] == id) return i;
  return 0;
}

size_t moire__pieces_most_text(const moire__pieces *p) {
  size_t most = SPACE_BYTES;
  for (int32_t i = 0; i < p->n; i++)
    if (length_of(p, i) > most) most = length_of(p, i);
  return most + 4 * REPLACEMENT_BYTES;
}

/* The text of a piece with plain spaces. */
static size_t add_piece(const moire__pieces *p, int32_t id, bool drops_space, char *out) {
  const char *text = p->text + p->start[id];
  size_t n = 0, length = length_of(p, id);
  for (size_t i = 0; i < length;) {
    bool is_space = length - i >= SPACE_BYTES && !memcmp(text + i, space, SPACE_BYTES);
    if (!is_space)
      out[n++] = text[i++];
    else {
      if (i || !drops_space) out[n++] = ' ';
      i += SPACE_BYTES;
    }
  }
  return n;
}

size_t moire__pieces_decode(const moire__pieces *p, moire__decoding *d, int32_t id, char *out) {
  if (id < 0 || id >= p->n || p->kind[id] == MOIRE__PIECE_CONTROL) return 0;
  if (p->kind[id] == MOIRE__PIECE_BYTE) {
    d->begun = true;
    return add_byte(d, (unsigned char)byte_of(p, id), out);
  }
  size_t n = moire__pieces_finish(d, out);
  if (p->kind[id] == MOIRE__PIECE_UNKNOWN) {
    static const char unknown[] = " \xE2\x81\x87 "; /* U+2047, as SentencePiece shows it */
    memcpy(out + n, unknown, sizeof unknown - 1);
    n += sizeof unknown - 1;
  } else {
    n += add_piece(p, id, p->space_in_front && !d->begun, out + n);
  }
  d->begun = true;
  return n;
}

size_t moire__pieces_text_bytes(const moire__pieces *p, int32_t id) {
  if (id < 0 || id >= p->n || p->kind[id] == MOIRE__PIECE_CONTROL) return 0;
  if (p->kind[id] != MOIRE__PIECE_TEXT) return 1;
  size_t n = 0, length = length_of(p, id);
  for (size_t i = 0; i < length; n++) {
    bool is_space = length - i >= SPACE_BYTES && !memcmp(p->text + p->start[id] + i, space, SPACE_BYTES);
    i += is_space ? SPACE_BYTES : 1;
  }
  return n;
}
