/* Calls a library named story, of a language model, as a user's program does. Exit status 1 and a sentence if
 * something is not as the header promises.
 *
 *   generate_check ids MAX TEMPERATURE SEED PROMPT...   prints the ids that follow each prompt ("1 4 8"), a
 * line each generate_check threads                              rows in eight threads at once get what they get
 * alone generate_check borders                              bad arguments give statuses and change nothing
 *   generate_check words                                prints a line of text as ids, and as text again */
#include <story.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, WORDS = 24, MOST = 64 };

static void fail(const char *what) {
  fprintf(stderr, "generate_check: %s\n", what);
  exit(1);
}

static void need(story_status status, const char *what) {
  if (status == STORY_OK) return;
  fprintf(stderr, "generate_check: %s: %s\n", what, story_status_text(status));
  exit(1);
}

static void expect(story_status got, story_status wanted, const char *what) {
  if (got == wanted) return;
  fprintf(stderr, "generate_check: %s: got \"%s\", wanted \"%s\"\n", what, story_status_text(got),
          story_status_text(wanted));
  exit(1);
}

/* ---- ids -------------------------------------------------------------------------------------------- */

static void print_ids(int most, double temperature, unsigned long seed, char **prompts, int n) {
  int32_t words[16][MOST] = {{0}}, counts[16] = {0}, next[16], made[16][256];
  int n_made[16] = {0}, i, k;
  story_sampling sampling = {temperature, 20, 0.95, 1.1, seed};
  story_workspace workspace = {0};
  story_rows *rows = NULL;
  size_t bytes = story_rows_bytes(n, STORY_POSITIONS < 512 ? STORY_POSITIONS : 512);
  void *memory = malloc(bytes), *scratch;
  for (i = 0; i < n; i++) {
    char *at = prompts[i];
    while (*at) words[i][counts[i]++] = (int32_t)strtol(at, &at, 10);
  }
  workspace.bytes = story_workspace_bytes(n, 1); /* the caller's own memory */
  scratch = workspace.memory = malloc(workspace.bytes);
  need(story_start(NULL, memory, bytes, n, STORY_POSITIONS < 512 ? STORY_POSITIONS : 512, &rows), "start");
  need(story_append(rows, words[0], counts, MOST), "append");
  for (k = 0; k < most; k++) {
    need(story_next(rows, &workspace, temperature > 0 ? &sampling : NULL, next), "next");
    for (i = 0; i < n; i++)
      if (next[i] >= 0) made[i][n_made[i]++] = next[i];
  }
  for (i = 0; i < n; i++) {
    for (k = 0; k < n_made[i]; k++) printf(k ? ",%d" : "[%d", (int)made[i][k]);
    printf("]\n");
    if (story_length(rows, i) != counts[i] + n_made[i]) fail("the length of a row");
  }
  if (workspace.memory != scratch) fail("the library took memory of its own");
  story_end(rows);
  free(memory);
  free(scratch);
}

/* ---- threads ---------------------------------------------------------------------------------------- */

typedef struct client {
  int number;
  int32_t words[WORDS];
} client;

static void *write_words(void *argument) {
  client *c = argument;
  story_sampling sampling = {0.9, 0, 1, 1, 7};
  story_workspace workspace = {0};
  story_rows *rows = NULL;
  int32_t prompt[3], count = 3, k;
  prompt[0] = 1;
  prompt[1] = 260 + c->number;
  prompt[2] = 270;
  sampling.seed += (uint64_t)c->number;
  need(story_start(NULL, NULL, 0, 1, 40, &rows), "start");
  need(story_append(rows, prompt, &count, 3), "append");
  for (k = 0; k < WORDS; k++) need(story_next(rows, &workspace, &sampling, &c->words[k]), "next");
  story_end(rows);
  story_workspace_free(&workspace);
  return NULL;
}

static void check_threads(void) {
  static client alone[THREADS], together[THREADS];
  pthread_t threads[THREADS];
  int i, differ = 0;
  for (i = 0; i < THREADS; i++) {
    alone[i].number = together[i].number = i;
    write_words(&alone[i]);
  }
  for (i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, write_words, &together[i])) fail("no thread");
  for (i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    if (memcmp(alone[i].words, together[i].words, sizeof alone[i].words))
      fail("threads change what is written");
    differ += memcmp(alone[0].words, alone[i].words, sizeof alone[i].words) != 0;
  }
  if (!differ) fail("all threads write the same");
}

/* ---- borders ---------------------------------------------------------------------------------------- */

static void check_bad_arguments(story_rows *rows, story_workspace *workspace) {
  int32_t words[2] = {1, 2}, count = 1, past = 2, next = 0, bad = STORY_WORDS, negative = -1;
  float logits[STORY_WORDS];
  story_workspace threads = {0}, small = {0};
  story_rows *none = NULL;
  char tiny[64];
  story_sampling s[5] = {
      {-1, 0, 1, 1, 0}, {1, -1, 1, 1, 0}, {1, 0, 0, 1, 0}, {1, 0, 1.5, 1, 0}, {1, 0, 1, 0, 0}};
  int i;
  expect(story_next(rows, workspace, NULL, &next), STORY_ERROR_EMPTY, "next of an empty row");
  expect(story_logits(rows, workspace, logits), STORY_ERROR_EMPTY, "logits of an empty row");
  expect(story_append(rows, &bad, &count, 1), STORY_ERROR_WORD, "a word past the vocabulary");
  expect(story_append(rows, &negative, &count, 1), STORY_ERROR_WORD, "a word below 0");
  expect(story_append(rows, words, &past, 1), STORY_ERROR_POSITIONS, "a count past n");
  expect(story_append(rows, words, &negative, 1), STORY_ERROR_POSITIONS, "a negative count");
  expect(story_append(NULL, words, &count, 1), STORY_ERROR_NULL, "no rows");
  expect(story_append(rows, NULL, &count, 1), STORY_ERROR_NULL, "no words");
  if (story_length(rows, 0) != 0) fail("a failed call has appended");
  need(story_append(rows, words, &count, 1), "append");
  expect(story_next(rows, NULL, NULL, &next), STORY_ERROR_NULL, "no workspace");
  expect(story_next(rows, workspace, NULL, NULL), STORY_ERROR_NULL, "no words to write");
  for (i = 0; i < 5; i++) expect(story_next(rows, workspace, &s[i], &next), STORY_ERROR_SAMPLING, "sampling");
  threads.threads = 2;
  expect(story_next(rows, &threads, NULL, &next), STORY_ERROR_THREADS, "threads without run");
  small.memory = tiny;
  small.bytes = sizeof tiny;
  expect(story_next(rows, &small, NULL, &next), STORY_ERROR_WORKSPACE, "a small workspace");
  expect(story_start(NULL, tiny, sizeof tiny, 1, 8, &none), STORY_ERROR_WORKSPACE, "small memory");
  expect(story_start(NULL, NULL, 0, 0, 8, &none), STORY_ERROR_BATCH, "no rows");
  expect(story_start(NULL, NULL, 0, 1, 0, &none), STORY_ERROR_POSITIONS, "no positions");
  expect(story_start(NULL, NULL, 0, 1, (int64_t)STORY_POSITIONS + 1, &none), STORY_ERROR_POSITIONS, "too many");
  expect(story_start(NULL, NULL, 0, 1, 8, NULL), STORY_ERROR_NULL, "nowhere to start");
  if (none || story_rows_bytes(0, 8) || story_rows_bytes(1, 0)) fail("a failed start has left something");
  if (story_length(rows, 0) != 1 || story_length(rows, 1) || story_length(NULL, 0)) fail("lengths");
}

/* A row is full when the last word that can be read is followed by one; taking words off lets it go on. */
static void check_end(story_rows *rows, story_workspace *workspace) {
  int32_t next = 0, first[16], again, two[2] = {3, 3}, count = 2, made = 0;
  float before[STORY_WORDS], after[STORY_WORDS];
  while (need(story_next(rows, workspace, NULL, &next), "next"), next >= 0 && made < 16) first[made++] = next;
  if (next != -1 || (story_length(rows, 0) <= 8 && first[made - 1] != STORY_EOS)) fail("the end of a row");
  expect(story_append(rows, two, &count, 2), story_length(rows, 0) > 6 ? STORY_ERROR_POSITIONS : STORY_OK,
         "a full row");
  need(story_rewind(rows, 0, 3), "rewind");
  need(story_logits(rows, workspace, before), "logits");
  need(story_next(rows, workspace, NULL, &again), "next");
  if (again != first[2]) fail("a row that was taken back goes on otherwise");
  need(story_rewind(rows, 0, 3), "rewind");
  need(story_logits(rows, workspace, after), "logits");
  if (memcmp(before, after, sizeof before)) fail("logits of the same words differ");
  expect(story_rewind(rows, 0, 4), STORY_ERROR_POSITIONS, "rewinding forward");
  expect(story_rewind(rows, 1, 0), STORY_ERROR_BATCH, "a row that is not there");
  need(story_rewind(rows, 0, 0), "rewind");
}

static void check_borders(void) {
  story_workspace workspace = {0};
  story_rows *rows = NULL;
  int i;
  need(story_start(NULL, NULL, 0, 1, 8, &rows), "start");
  check_bad_arguments(rows, &workspace);
  check_end(rows, &workspace);
  for (i = 0; i <= 30; i++)
    if (!story_status_text((story_status)i)[0]) fail("a status has no text");
  story_end(rows);
  story_end(NULL);
  story_workspace_free(&workspace);
}

/* ---- words ------------------------------------------------------------------------------------------ */

static void print_words(void) {
  char text[512] = "", piece[STORY_TEXT_BYTES];
  int32_t words[2048];
  size_t n = strlen(fgets(text, sizeof text, stdin) ? text : ""), count = 0, i;
  story_workspace workspace = {0};
  story_decoding decoding = {{0}, 0, 0};
  if (n && text[n - 1] == '\n') n--;
  if (story_most_words(n) > 2048) fail("most_words");
  expect(story_encode_text(&workspace, text, n, 1, words, 0, &count), STORY_ERROR_ROOM, "no room");
  need(story_encode_text(&workspace, text, n, 1, words, count, &count), "encode");
  for (i = 0; i < count; i++) printf(i ? " %d" : "%d", (int)words[i]);
  printf("\n");
  for (i = 0; i < count; i++) fwrite(piece, 1, story_decode_word(&decoding, words[i], piece), stdout);
  fwrite(piece, 1, story_decode_end(&decoding, piece), stdout);
  printf("\n");
  if (story_decode_word(&decoding, -1, piece) || story_decode_word(&decoding, STORY_WORDS, piece))
    fail("no word");
  expect(story_encode_text(&workspace, NULL, 1, 0, words, 9, &count), STORY_ERROR_NULL, "no text");
  need(story_encode_text(&workspace, NULL, 0, 0, NULL, 0, &count), "an empty text");
  if (count) fail("an empty text has words");
  story_workspace_free(&workspace);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (!strcmp(mode, "ids") && argc > 5 && argc <= 21)
    print_ids(atoi(argv[2]), strtod(argv[3], NULL), strtoul(argv[4], NULL, 10), argv + 5, argc - 5);
  else if (!strcmp(mode, "threads"))
    check_threads();
  else if (!strcmp(mode, "borders"))
    check_borders();
  else if (!strcmp(mode, "words"))
    print_words();
  else
    fail("wanted ids, threads, borders or words");
  return 0;
}
