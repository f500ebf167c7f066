/* The model file of SentencePiece: a protobuf, of which these fields are read and all others skipped.
 *
 *   1  pieces, repeated       {1 text, 2 score (0), 3 kind (1: text, 2 unknown, 3 control, 4 given, 5 unused, 6
 * byte)} 2  how it was trained     {3 type (1: 2 is BPE), 24 space behind, 40 unknown (0), 41 BOS (1), 42 EOS
 * (2), 43 pad (-1)} 3  what is done to text   {2 table of replacements, 3 space in front (1), 4 few spaces (1),
 * 5 spaces escaped (1)}
 *
 * A number is a varint or four bytes; every length is held against what is there.
 */
#include "runtime/text/vocabulary.h"

#include <string.h>

typedef struct reader {
  const unsigned char *at, *end;
  bool failed;
} reader;

typedef struct field {
  uint64_t number, value; /* value: of a varint, or four bytes as they lie */
  int wire;
  reader content; /* of a field with a length */
} field;

enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };

static uint64_t read_varint(reader *r) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
    unsigned char byte = *r->at++;
    if (shift == 63 && byte > 1) break;
    value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  r->failed = true;
  return 0;
}

/* `n` bytes; an empty range, and failed, if they are not there. */
static reader take(reader *r, uint64_t n) {
  if (n > (uint64_t)(r->end - r->at)) {
    r->failed = true;
    n = 0;
  }
  reader part = {r->at, r->at + n, false};
  r->at += n;
  return part;
}

/* The next field; false at the end, and where the bytes are no field. */
static bool next(reader *r, field *f) {
  if (r->at == r->end || r->failed) return false;
  uint64_t key = read_varint(r);
  *f = (field){.number = key >> 3, .wire = (int)(key & 7)};
  if (f->number == 0 || f->number > 0x1FFFFFFF) r->failed = true;
  switch (f->wire) {
    case VARINT: f->value = read_varint(r); break;
    case FIXED64: take(r, 8); break;
    case BYTES: f->content = take(r, read_varint(r)); break;
    case FIXED32: {
      reader bytes = take(r, 4);
      for (int i = 0; i < 4 && !r->failed; i++) f->value |= (uint64_t)bytes.at[i] << (8 * i);
      break;
    }
    default: r->failed = true;
  }
  return !r->failed;
}

static moire_status fail(const char *name, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_FORMAT,
                    "%s: no tokenizer: wanted a model of SentencePiece or the vocabulary of llama2.c", name);
}

static bool is(const field *f, uint64_t number, int wire) { return f->number == number && f->wire == wire; }

/* ---- pieces ---------------------------------------------------------------------------------------------- */

static moire_status read_piece(moire__vocabulary *v, reader r, const char *name, moire_error *error) {
  reader text = {0};
  uint64_t kind = 1;
  float score = 0;
  for (field f; next(&r, &f);) {
    if (is(&f, 1, BYTES)) text = f.content;
    if (is(&f, 2, FIXED32)) {
      uint32_t bits = (uint32_t)f.value;
      memcpy(&score, &bits, sizeof score);
    }
    if (is(&f, 3, VARINT)) kind = f.value;
  }
  if (r.failed) return fail(name, error);
  static const moire__piece_kind kinds[] = {0, MOIRE__PIECE_TEXT, MOIRE__PIECE_UNKNOWN, MOIRE__PIECE_CONTROL, 0,
                                            0, MOIRE__PIECE_BYTE};
  if (kind >= sizeof kinds / sizeof *kinds || !kinds[kind])
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: piece %d is of kind %llu, wanted text, unknown, control or byte (1, 2, 3 or 6)",
                      name, (int)v->n, (unsigned long long)kind);
  size_t n = (size_t)(text.end - text.at);
  if (moire__vocabulary_add(v, n ? (const char *)text.at : "", n, score, kinds[kind])) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: more pieces than a vocabulary may have", name);
}

/* ---- how it was trained, what is done to text ------------------------------------------------------------ */

static moire_status read_training(moire__vocabulary *v, reader r, const char *name, moire_error *error) {
  static const char *const types[] = {"none", "unigram", "BPE", "word", "character"};
  uint64_t type = 1, suffix = 0;
  for (field f; next(&r, &f);) {
    if (f.wire != VARINT) continue;
    int32_t id = f.value <= INT32_MAX ? (int32_t)f.value : -1;
    switch (f.number) {
      case 3: type = f.value; break;
      case 24: suffix = f.value; break;
      case 40: v->unknown = id; break;
      case 41: v->bos = id; break;
      case 42: v->eos = id; break;
      case 43: v->pad = id; break;
      default: break;
    }
  }
  if (r.failed) return fail(name, error);
  if (type != 2)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: a SentencePiece model of type %s, wanted BPE", name,
                      type < sizeof types / sizeof *types ? types[type] : "unknown");
  if (suffix)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: it puts spaces behind words, wanted before", name);
  return MOIRE_OK;
}

static moire_status read_text_rules(moire__vocabulary *v, reader r, const char *name, moire_error *error) {
  bool has_table = false, escapes = true;
  v->few_spaces = true;
  for (field f; next(&r, &f);) {
    if (is(&f, 2, BYTES)) has_table = f.content.at != f.content.end;
    if (is(&f, 3, VARINT)) v->space_in_front = f.value != 0;
    if (is(&f, 4, VARINT)) v->few_spaces = f.value != 0;
    if (is(&f, 5, VARINT)) escapes = f.value != 0;
  }
  if (r.failed) return fail(name, error);
  if (has_table || !escapes)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: it %s, which is not supported", name,
                      has_table ? "replaces characters by a table (as nmt_nfkc does)"
                                : "leaves spaces as they are");
  return MOIRE_OK;
}

moire_status moire__vocabulary_read_model(moire__vocabulary *v, const unsigned char *bytes, size_t n,
                                          const char *name, moire_error *error) {
  *v = moire__vocabulary_start();
  reader r = {bytes, bytes + n, false};
  moire_status status = MOIRE_OK;
  bool trained = false, ruled = false;
  for (field f; !status && next(&r, &f);) {
    if (is(&f, 1, BYTES)) status = read_piece(v, f.content, name, error);
    if (is(&f, 2, BYTES)) {
      status = read_training(v, f.content, name, error);
      trained = true;
    }
    if (is(&f, 3, BYTES)) {
      status = read_text_rules(v, f.content, name, error);
      ruled = true;
    }
  }
  if (status) return status;
  if (r.failed || v->n == 0) return fail(name, error);
  if (trained && ruled) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT,
                    "%s: it does not say how it was trained, or what is done to text", name);
}
