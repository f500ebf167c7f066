/* The root of a library that was compiled ahead of time: what goes into its main translation unit, behind the
 * tables. MOIRE__AOT_TABLES names them; MOIRE__AOT_OWN_INPUTS counts the inputs of its interface,
 * MOIRE__AOT_TRAINING, MOIRE__AOT_EXTERNAL, MOIRE__AOT_EMBEDDED and MOIRE__AOT_ITEMS say whether it trains,
 * where its weights are, and whether it searches tables of items. Behind this file stand those of the
 * interface. Files that the library shares with the rest of the runtime are units of their own. */
#include "runtime/aot/cpu.c"
#include "runtime/aot/execute.c"
#if MOIRE__AOT_EXTERNAL || MOIRE__AOT_ITEMS
#include "runtime/aot/mapped.c"
#endif
#include "runtime/aot/model.c"
#include "runtime/aot/workspace.c"
#include "runtime/aot/slices.c"

#if MOIRE__AOT_TRAINING
#include "runtime/aot/safetensors.c"
#include "runtime/aot/state.c"
#include "runtime/aot/train.c"
#endif
