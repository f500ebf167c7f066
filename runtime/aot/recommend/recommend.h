/* What a recommender makes of histories, for searches of tables of items. */
#ifndef MOIRE_RUNTIME_AOT_RECOMMEND_H
#define MOIRE_RUNTIME_AOT_RECOMMEND_H

#include "runtime/aot/workspace.h"

#if MOIRE__AOT_ITEMS
/* Bytes of the memory in which queries are made. */
static size_t moire__aot_queries_bytes(const moire__aot_level *level, int64_t batch, int threads);
/* queries[i * LIBRARY_WIDTH ..) = that of history i; by the workspace's threads, in memory that is aligned to
 * 64 bytes. The arguments have been checked. */
static void moire__aot_make_queries(const moire__aot_level *level, const void *block,
                                    library_workspace *workspace, int64_t batch, const library_lists *histories,
                                    float *queries, unsigned char *memory);
#endif

#endif
