#!/bin/bash
# A model of ratings as a library: it lists what `moire recommend` lists, with the same scores, for any batch and threads;
# items are part of it, users come by their ratings in any order; bad arguments are statuses.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'the library is not made of what is sanitized'

small_ratings data hybrid.yaml
"$MOIRE" train hybrid.yaml --data data --out run --threads 2 >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" recommend --checkpoint run/best.safetensors --data data --top 9 --json >wanted.json || complain recommend
# Per user: the items by their rows, and the scores.
sed -E 's/.*"items":\[([^]]*)\],"scores":\[([^]]*)\].*/\1;\2/' wanted.json | tr -d '"' >wanted.txt

compile=("$MOIRE" compile --checkpoint run/best.safetensors --data data)
"${compile[@]}" --cpu host -o films 2>log.txt || complain "compile: $(cat log.txt)"
strict=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -include films.h -x)
echo 'int main(void) { return films_cpu() == 0; }' >empty.c
for std in c89 c99 c11; do gcc -std=$std "${strict[@]}" c empty.c || complain "the header is not $std"; done
if command -v g++ >/dev/null; then
  for std in c++98 c++11; do g++ -std=$std "${strict[@]}" c++ empty.c || complain "the header is not $std"; done
fi
grep -q '^#define FILMS_ITEM_SIZE 9 ' films.h || complain 'FILMS_ITEM_SIZE'
grep -q '^#define FILMS_LENGTH 4 ' films.h || complain 'FILMS_LENGTH'
grep -q '^#define FILMS_MAX_RATING 5 ' films.h || complain 'FILMS_MAX_RATING'

cat >main.c <<'END'
#include "films.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum { USERS = 7, MOST = 100 };
static int64_t offsets[USERS + 1];
static int32_t items[MOST], ratings[MOST];
static double times[MOST];
static void run(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = n - 1; i >= 0; i--) work(job, i);
}
/* The ratings of the file, which has user after user; `turn` puts each user's in another order. */
static int read_users(const char *path, int turn) {
  FILE *in = fopen(path, "r");
  int user, item, rating, n = 0, users = 0, last = 0;
  double time;
  if (!in) return 0;
  while (fscanf(in, "%d %d %d %lf", &user, &item, &rating, &time) == 4) {
    if (user != last) offsets[users++] = n;
    last = user, items[n] = item - 1, ratings[n] = rating, times[n++] = time;
  }
  offsets[users] = n;
  fclose(in);
  for (int u = 0; u < users && turn; u++)
    for (int64_t i = offsets[u], j = offsets[u + 1] - 1; i < j; i++, j--) {
      int32_t a = items[i], b = ratings[i];
      double c = times[i];
      items[i] = items[j], ratings[i] = ratings[j], times[i] = times[j];
      items[j] = a, ratings[j] = b, times[j] = c;
    }
  return users;
}
/* A user's list as `moire recommend` prints it, but with rows for ids: "3,1,...;0.25,...". */
static void print_list(const int32_t *list, const float *scores) {
  for (int i = 0; i < FILMS_ITEM_SIZE && list[i] >= 0; i++) printf("%s%d", i ? "," : "", (int)list[i] + 1);
  printf(";");
  for (int i = 0; i < FILMS_ITEM_SIZE && list[i] >= 0; i++) printf("%s%.9g", i ? "," : "", (double)scores[i]);
  printf("\n");
}
#define EXPECT(status, call) do { if ((call) != (status)) { fprintf(stderr, "line %d: %s\n", __LINE__, films_status_text(call)); return 1; } } while (0)
int main(int argc, char **argv) {
  if (argc < 3 || read_users(argv[1], atoi(argv[2])) != USERS) return 2;
  films_ratings users = {offsets, items, ratings, times};
  films_workspace w = {0};
  int32_t list[USERS * FILMS_ITEM_SIZE], one[FILMS_ITEM_SIZE];
  float scores[USERS * FILMS_ITEM_SIZE], all[USERS * FILMS_ITEM_SIZE], part[FILMS_ITEM_SIZE];
  w.threads = argc > 3 ? atoi(argv[3]) : 1, w.run = run;
  EXPECT(FILMS_OK, films_top(NULL, &w, USERS, &users, FILMS_SEEN_EXCLUDE, FILMS_ITEM_SIZE, list, scores));
  for (int u = 0; u < USERS; u++) print_list(list + u * FILMS_ITEM_SIZE, scores + u * FILMS_ITEM_SIZE);
  /* A user alone, in memory of the caller's; and all scores. */
  size_t bytes = films_workspace_bytes(1, 1);
  films_workspace own = {malloc(bytes), bytes, 0, 0, NULL, NULL, NULL, NULL};
  EXPECT(FILMS_OK, films_scores(NULL, &w, USERS, &users, all));
  for (int u = 0; u < USERS; u++) {
    films_ratings alone = {offsets + u, items, ratings, times};
    EXPECT(FILMS_OK, films_top(NULL, &own, 1, &alone, FILMS_SEEN_EXCLUDE, FILMS_ITEM_SIZE, one, part));
    if (memcmp(one, list + u * FILMS_ITEM_SIZE, sizeof one) || memcmp(part, scores + u * FILMS_ITEM_SIZE, sizeof part)) return 3;
    for (int i = 0; i < FILMS_ITEM_SIZE && one[i] >= 0; i++)
      if (part[i] != all[u * FILMS_ITEM_SIZE + one[i]]) return 4;
    EXPECT(FILMS_OK, films_top(NULL, &own, 1, &alone, FILMS_SEEN_RANK, FILMS_ITEM_SIZE, one, NULL));
    for (int i = 0; i < FILMS_ITEM_SIZE; i++) if (one[i] < 0) return 5;
  }
  /* Nothing rated, and no times. */
  int64_t none[] = {0, 0};
  films_ratings nobody = {none, NULL, NULL, NULL}, timeless = {offsets, items, ratings, NULL};
  EXPECT(FILMS_OK, films_top(NULL, &own, 1, &nobody, FILMS_SEEN_EXCLUDE, 1, one, part));
  if (one[0] < 0 || !isfinite(part[0])) return 6;
  EXPECT(FILMS_OK, films_top(NULL, &own, 1, &timeless, FILMS_SEEN_EXCLUDE, 1, one, NULL));
  /* What is wrong. */
  int64_t falls[] = {2, 1}, negative[] = {-1, 1}, first[] = {0, 1};
  int32_t bad = 9, low = -1, zero = 0, six = 6, good = 1;
  double nan_time = NAN;
  films_ratings x = {falls, items, ratings, times};
#define TOP(k, rule) films_top(NULL, &own, 1, &x, rule, k, one, NULL)
  EXPECT(FILMS_ERROR_OFFSETS, TOP(1, FILMS_SEEN_EXCLUDE));
  x.offsets = negative;
  EXPECT(FILMS_ERROR_OFFSETS, TOP(1, FILMS_SEEN_EXCLUDE));
  x.offsets = first, x.items = &bad;
  EXPECT(FILMS_ERROR_ITEM, TOP(1, FILMS_SEEN_EXCLUDE));
  x.items = &low;
  EXPECT(FILMS_ERROR_ITEM, TOP(1, FILMS_SEEN_EXCLUDE));
  x.items = &good, x.ratings = &zero;
  EXPECT(FILMS_ERROR_RATING, TOP(1, FILMS_SEEN_EXCLUDE));
  x.ratings = &six;
  EXPECT(FILMS_ERROR_RATING, TOP(1, FILMS_SEEN_EXCLUDE));
  x.ratings = &good, x.times = &nan_time;
  EXPECT(FILMS_ERROR_TIME, TOP(1, FILMS_SEEN_EXCLUDE));
  x.times = times;
  EXPECT(FILMS_ERROR_TOP, TOP(0, FILMS_SEEN_EXCLUDE));
  EXPECT(FILMS_ERROR_TOP, TOP(FILMS_ITEM_SIZE + 1, FILMS_SEEN_EXCLUDE));
  EXPECT(FILMS_ERROR_SEEN, TOP(1, (films_seen)7));
  x.items = NULL;
  EXPECT(FILMS_ERROR_NULL, TOP(1, FILMS_SEEN_EXCLUDE));
  EXPECT(FILMS_ERROR_NULL, films_top(NULL, &own, 1, NULL, FILMS_SEEN_EXCLUDE, 1, one, NULL));
  EXPECT(FILMS_ERROR_NULL, films_top(NULL, NULL, 1, &users, FILMS_SEEN_EXCLUDE, 1, one, NULL));
  EXPECT(FILMS_ERROR_NULL, films_top(NULL, &own, 1, &users, FILMS_SEEN_EXCLUDE, 1, NULL, NULL));
  EXPECT(FILMS_ERROR_NULL, films_scores(NULL, &own, 1, &users, NULL));
  EXPECT(FILMS_ERROR_BATCH, films_scores(NULL, &own, 0, &users, all));
  own.bytes = bytes / 2;
  EXPECT(FILMS_ERROR_WORKSPACE, films_scores(NULL, &own, 1, &users, all));
  free(own.memory);
  films_workspace_free(&w);
  return 0;
}
END
gcc -Wall -Wextra -Werror main.c films.a -lm -o main || complain 'main.c does not compile'
for how in '0' '1' '0 3'; do
  # shellcheck disable=SC2086
  ./main data/u1.base $how >got.txt || complain "main $how: status $?"
  # Items are the same, and so are the scores, bit for bit: nine digits tell floats apart.
  cut -d';' -f1 got.txt | cmp -s - <(cut -d';' -f1 wanted.txt) || complain "main $how: items $(paste -sd' ' got.txt), not $(paste -sd' ' wanted.txt)"
  paste -d, <(cut -d';' -f2 got.txt) <(cut -d';' -f2 wanted.txt) | awk -F, '
    { for (i = 1; i <= NF / 2; i++) if ($i != sprintf("%.9g", $(i + NF / 2)) || NF % 2) bad = 1 } END { exit bad || !NR }' ||
    complain "main $how: scores $(paste -sd' ' got.txt), not $(paste -sd' ' wanted.txt)"
done

# Weights in a file; what cannot be made is a sentence.
"${compile[@]}" --cpu host --weights external -o apart 2>log.txt || complain "external weights: $(cat log.txt)"
[[ -s apart.weights ]] || complain 'no weights'
grep -q 'apart_open' apart.h || complain 'apart_open'
refused 1 '--data' -- "$MOIRE" compile --checkpoint run/best.safetensors -o bad
refused 1 nowhere -- "$MOIRE" compile --checkpoint run/best.safetensors --data nowhere -o bad
refused 1 'does not train' -- "${compile[@]}" --train -o bad
finish
