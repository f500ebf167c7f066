/* Attention in the planes that its kernels take (ops/attention/attend.h): what its expansion and the pass
 * `pack` share. */
#ifndef MOIRE_COMPILER_IR_LANGUAGE_LANGUAGE_ATTEND_H
#define MOIRE_COMPILER_IR_LANGUAGE_LANGUAGE_ATTEND_H

#include "compiler/ir/language/language.h"

/* The planes of q, k and v [.., .., .., d], into x, and how many: of interference (`waves`) each of both; of
 * real scores what makes Re(q k^H) and p v real products, complex values as planes side by side. */
int moire__attend_planes(const moire_value qkv[3], bool waves, moire_value *x);
/* What one or two results of a kernel [.., L, H, e] are of attention's result [.., H, L, e], complex where v
 * is. */
moire_value moire__attend_by_head(moire_value v, bool waves, moire_value re, moire_value im);

#endif
