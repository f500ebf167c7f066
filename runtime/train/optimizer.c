/* What changes from step to step in Adam and AdamW, computed in double. The moments and the parameters are
 * updated by the compiled program. Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015,
 * section 2, with the bias corrections folded into the step size and the denominator. */
#include "moire/run.h"

#include <math.h>

void moire_optimizer_scalars(double lr, double beta1, double beta2, int64_t t, double *step_size,
                             double *bias2) {
  *step_size = lr / (1.0 - pow(beta1, (double)t));
  *bias2 = sqrt(1.0 - pow(beta2, (double)t));
}
