/* Reading types: words of a scan with the named extents of a graph. On failure the scan holds the sentence. */
#ifndef MOIRE_COMPILER_IR_GRAPH_GRAPH_SCAN_H
#define MOIRE_COMPILER_IR_GRAPH_GRAPH_SCAN_H

#include "compiler/ir/loop/loop_scan.h"

bool moire__scan_dtype(moire__scan *s, moire_dtype *dtype);
bool moire__scan_dim(moire__scan *s, const moire_graph *g, moire_dim *dim);       /* 50, B, 50*B, B*T */
bool moire__scan_shape(moire__scan *s, const moire_graph *g, moire_shape *shape); /* [B,50,64] */

#endif
