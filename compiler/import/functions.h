/* Functions that several systems have, of what the language has: real and complex, element by element. A null
 * value is passed on. */
#ifndef MOIRE_COMPILER_IMPORT_FUNCTIONS_H
#define MOIRE_COMPILER_IMPORT_FUNCTIONS_H

#include "compiler/import/row.h"

bool moire__is_complex_value(moire_value x); /* not of null */
moire_value moire__reciprocal(moire__call *call, moire_value x);
/* i z, or -i z */
moire_value moire__turned(moire__call *call, moire_value z, bool back);

moire_value moire__sine(moire__call *call, moire_value x);
moire_value moire__cosine(moire__call *call, moire_value x);
moire_value moire__tangent(moire__call *call, moire_value x);
moire_value moire__hyperbolic_sine(moire__call *call, moire_value x);
moire_value moire__hyperbolic_cosine(moire__call *call, moire_value x);
moire_value moire__arc_tangent(moire__call *call, moire_value x);
moire_value moire__arc_sine(moire__call *call, moire_value x);   /* real */
moire_value moire__arc_cosine(moire__call *call, moire_value x); /* real */
moire_value moire__exponential_minus_one(moire__call *call, moire_value x);
/* log(1 + x), with the digits of a small x. */
moire_value moire__log_plus_one(moire__call *call, moire_value x);
moire_value moire__logistic(moire__call *call, moire_value x);

moire_value moire__ceiling(moire__call *call, moire_value x);
moire_value moire__towards_zero(moire__call *call, moire_value x);
moire_value moire__is_finite(moire__call *call, moire_value x); /* real or complex */

/* a^b of reals: |a|^b, with the sign of an odd power where a is negative, and no number where b is not whole;
 * of complex numbers exp(b log a), 0 where a is 0 and b is not. */
moire_value moire__power(moire__call *call, moire_value a, moire_value b);
/* The larger of two, or the smaller; a NaN stays one, on either side. */
moire_value moire__larger(moire__call *call, moire_value a, moire_value b, bool smaller);
/* Equal in both planes. */
moire_value moire__equal(moire__call *call, moire_value a, moire_value b);
/* Or, exclusive or, not: of bools, and of whole numbers bit by bit. */
moire_value moire__either(moire__call *call, moire_value a, moire_value b);
moire_value moire__one_of_two(moire__call *call, moire_value a, moire_value b);
moire_value moire__inverted(moire__call *call, moire_value x);

#endif
