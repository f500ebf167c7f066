#!/bin/bash
# The example of graphs: GCN, GraphSAGE and graph attention train on graphs whose class only their edges say, and
# edges that are not there do not matter.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

graph=$BUILD_DIR/examples/graph.so
[[ -r $graph ]] || complain "the build has left no $graph"

# Class 1: edges lead to nodes that are like their source; class 0: to any. Half of the slots hold no edge.
cat >make.c <<'END'
#include <stdio.h>
#include <stdlib.h>
enum { G = 600, N = 8, E = 16, F = 4 };
static unsigned state = 7;
static int below(int n) { return (int)(((state = state * 1664525u + 1013904223u) >> 8) % (unsigned)n); }
static FILE *begin(const char *path, const char *descr, const char *shape) {
  FILE *f = fopen(path, "wb");
  char head[200];
  int n = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
  int padded = 128 - 10;
  unsigned char magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, 0};
  fwrite(magic, 1, 10, f);
  fprintf(f, "%s%*s\n", head, padded - n - 1, "");
  return f;
}
int main(void) {
  FILE *x = begin("graphs/features.npy", "<f4", "600, 8, 4"), *e = begin("graphs/edges.npy", "<i4", "600, 16, 2");
  FILE *y = begin("graphs/labels.npy", "<i4", "600,");
  for (int g = 0; g < G; g++) {
    int label = g & 1;
    for (int n = 0; n < N; n++)
      for (int f = 0; f < F; f++) {
        float v = (f == (n & 1)) + (float)below(100) / 1000;
        fwrite(&v, 4, 1, x);
      }
    for (int i = 0; i < E; i++) {
      int from = below(N), to = label ? (from + 2 * below(N / 2)) % N : below(N);
      int pair[2] = {i & 1 ? -1 : from, to};
      fwrite(pair, 4, 2, e);
    }
    fwrite(&label, 4, 1, y);
  }
  return fclose(x) || fclose(e) || fclose(y);
}
END
mkdir graphs
gcc -O1 make.c -o make && ./make
for kind in gcn sage gat; do
  printf 'model: %s\nkind: %s\nbatch_size: 50\nepochs: 25\nlr: 0.02\n' "$graph" "$kind" >"$kind.yaml"
  "$MOIRE" train "$kind.yaml" --data graphs --out "$kind" --threads 2 >/dev/null 2>log.txt || complain "$kind: $(cat log.txt)"
  accuracy=$("$MOIRE" eval --model "$graph" --checkpoint "$kind/best.safetensors" --data graphs --json | sed 's/.*"accuracy":\([0-9.]*\).*/\1/')
  awk "BEGIN { exit !($accuracy > 0.6) }" || complain "$kind: accuracy $accuracy"
done
finish
