/* The root of a library that was compiled ahead of time: what goes into its one translation unit, behind the
 * tables. MOIRE__AOT_TABLES names them; MOIRE__AOT_TRAINING and MOIRE__AOT_EXTERNAL say whether it trains and
 * whether its weights are in a file. */
#include "runtime/ranking.c"
#if MOIRE__AOT_TRAINING
#include "runtime/optimizer.c"
#include "runtime/base/philox.c"
#include "runtime/initial.c"
#endif

#include "runtime/aot/cpu.c"
#include "runtime/aot/execute.c"
#include "runtime/aot/model.c"
#include "runtime/aot/workspace.c"

#include "runtime/aot/recommend.c"
#if MOIRE__AOT_TRAINING
#include "runtime/aot/safetensors.c"
#include "runtime/aot/state.c"
#include "runtime/aot/train.c"
#endif
