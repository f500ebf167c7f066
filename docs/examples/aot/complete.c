/* Completes a prompt with a library that `moire compile` made of a language model:
 *
 *   moire compile --checkpoint run/best.safetensors -o story
 *   cc -I. complete.c -o complete story.a -lm
 *   ./complete "Once upon a time" 100 0.8
 *
 * The arguments: a text, how many words are added, and the temperature (0: always the best word). */
#include <story.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(story_status status) {
  if (status == STORY_OK) return;
  fprintf(stderr, "complete: %s\n", story_status_text(status));
  exit(1);
}

/* The prompt's words, the caller's. */
static int32_t *encode(story_workspace *workspace, const char *prompt, size_t *n) {
  size_t most = story_most_words(strlen(prompt));
  int32_t *words = malloc(most * sizeof *words);
  if (!words) exit(1);
  need(story_encode_text(workspace, prompt, strlen(prompt), 1, words, most, n));
  return words;
}

int main(int argc, char **argv) {
  const char *prompt = argc > 1 ? argv[1] : "";
  long most = argc > 2 ? strtol(argv[2], NULL, 10) : 100;
  story_sampling sampling = {0, 40, 1, 1, 42};
  story_workspace workspace = {0};
  story_decoding decoding = {{0}, 0, 0};
  story_rows *rows = NULL;
  char text[STORY_TEXT_BYTES];
  size_t n = 0;
  if (argc > 3) sampling.temperature = strtod(argv[3], NULL);

  int32_t *words = encode(&workspace, prompt, &n), count = (int32_t)n, next = 0;
  need(story_start(NULL, NULL, 0, 1, STORY_POSITIONS < 1024 ? STORY_POSITIONS : 1024, &rows));
  need(story_append(rows, words, &count, count));
  for (size_t i = 0; i < n; i++) story_decode_word(&decoding, words[i], text);
  for (long i = 0; i < most; i++) {
    need(story_next(rows, &workspace, &sampling, &next));
    if (next < 0 || next == STORY_EOS) break;
    fwrite(text, 1, story_decode_word(&decoding, next, text), stdout);
    fflush(stdout);
  }
  fwrite(text, 1, story_decode_end(&decoding, text), stdout);
  printf("\n");

  story_end(rows);
  story_workspace_free(&workspace);
  free(words);
  return 0;
}
