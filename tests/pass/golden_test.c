/* Every pass gives exactly the graphs that its golden files expect. With MOIRE_BLESS=1 in the environment the
 * files are rewritten with what the passes give; read the difference before committing it. */
#include <criterion/criterion.h>

#include "tests/support/pass_golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void bless(const golden_case *c, const char *got) {
  FILE *file = fopen(c->path, "wb");
  cr_assert(file, "%s cannot be written", c->path);
  fprintf(file, "%s---\n%s", c->input, got);
  cr_assert(fclose(file) == 0);
}

/* What the pass says, as text. A result that is not verified, or is not read back, is a failure of its own. */
static char *run_pass(const golden_case *c) {
  moire_error error = {0};
  moire_graph *result = golden_find_pass(c->pass)(c->graph, &c->goal, &error);
  if (!result) {
    moire__text text = {0};
    moire__text_add(&text, "error: %s\n", error.message);
    return text.data;
  }
  cr_assert(moire__graph_verify(result, &error) == MOIRE_OK, "%s: %s", c->path, error.message);
  char *text = moire_graph_print(result);
  moire_graph *again = moire_graph_parse(text, c->path, &error);
  cr_assert(again, "%s: %s", c->path, error.message);
  char *text_again = moire_graph_print(again);
  cr_assert_str_eq(text_again, text);
  free(text_again);
  moire_graph_destroy(again);
  moire_graph_destroy(result);
  return text;
}

static void check(const golden_case *c) {
  char *got = run_pass(c);
  const char *wish = getenv("MOIRE_BLESS");
  if (strcmp(got, c->expected) != 0) {
    if (wish && *wish)
      bless(c, got);
    else {
      failures++;
      fprintf(stderr, "%s\nexpected:\n%s\ngot:\n%s\n", c->path, c->expected, got);
    }
  }
  free(got);
}

/* A pass without golden files has not been thought through. */
Test(golden, every_pass_gives_what_its_files_expect) {
  for (int i = 0; golden_pass(i); i++)
    cr_expect(golden_each(golden_pass(i), check) > 0, "there is no golden file of %s", golden_pass(i));
  cr_assert_eq(failures, 0, "%d golden file(s) differ; MOIRE_BLESS=1 rewrites them", failures);
}
