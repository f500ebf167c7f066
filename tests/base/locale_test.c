/* A program whose locale writes numbers with a comma prints and reads graphs, kernels and configurations as any
 * other. Where the system has no such locale, localedef makes one. */
#include <criterion/criterion.h>

#include "compiler/ir/loop/loop.h"
#include "moire/graph.h"
#include "runtime/base/text.h"
#include "runtime/config/config.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool writes_commas(void) { return strcmp(localeconv()->decimal_point, ",") == 0; }

static bool take_german(void) {
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (setlocale(LC_ALL, names[i]) && writes_commas()) return true;
  }
  char folder[] = "/tmp/moire_locale_XXXXXX", command[200];
  if (!mkdtemp(folder)) return false;
  snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/comma >/dev/null 2>&1", folder);
  bool made = system(command) == 0;
  setenv("LOCPATH", folder, 1);
  bool taken = made && setlocale(LC_ALL, "comma") && writes_commas();
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command) == 0 && taken;
}

static void want_german(void) {
  if (!take_german()) cr_skip_test("there is no locale with a comma, and localedef makes none");
}

Test(locale, numbers_have_a_point) {
  want_german();
  moire__text text = {0};
  moire__text_add(&text, "%.2f %s", 1.25, "a");
  cr_assert_str_eq(moire__text_string(&text), "1.25 a");
  moire__text_free(&text);
  char digits[40];
  moire__text_from_double(digits, sizeof digits, 17, 0.1);
  cr_assert_str_eq(digits, "0.10000000000000001");
  cr_assert_eq(moire__text_to_double("2.5e3", NULL), 2500);
  snprintf(digits, sizeof digits, "%.1f", 0.5);
  cr_assert_str_eq(digits, "0,5", "the program's own locale is what it was");
}

Test(locale, graphs) {
  want_german();
  static const char whole[] = "graph @g inference {\n"
                              "  extent B\n"
                              "  %1 = input {name = \"x\", dtype = f32, shape = [B,4]} : f32[B,4]\n"
                              "  %2 = constant {value = 0.25, dtype = f32, shape = [B,4]} : f32[B,4]\n"
                              "  %3 = mul(%1, %2) : f32[B,4]\n"
                              "  output \"y\" = %3\n"
                              "}\n";
  moire_error error = {0};
  moire_graph *g = moire_graph_parse(whole, "g.txt", &error);
  cr_assert_not_null(g, "%s", error.message);
  char *text = moire_graph_print(g);
  cr_assert_str_eq(text, whole);
  free(text);
  moire_graph_destroy(g);
}

Test(locale, kernels) {
  want_german();
  moire__arena arena = {0};
  moire__loop_kernel *k = moire__loop_kernel_create(&arena, "half", NULL);
  moire__loop_buffer out = moire__loop_add_parameter(k, "y", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, 1);
  moire__loop_builder b = moire__loop_begin(k, 1, 1);
  moire__loop_store(&b, out, moire__loop_index(&b, 0), moire__loop_const(&b, MOIRE__LOOP_F32, 0.5));
  moire__text text = {0}, again = {0};
  moire__loop_print(k, &text);
  cr_assert_not_null(strstr(moire__text_string(&text), "0.5"), "%s", moire__text_string(&text));
  moire_error error = {0};
  moire__loop_kernel *back = moire__loop_parse(&arena, moire__text_string(&text), "k.txt", &error);
  cr_assert_not_null(back, "%s", error.message);
  moire__loop_print(back, &again);
  cr_assert_str_eq(moire__text_string(&again), moire__text_string(&text));
  moire__text_free(&text);
  moire__text_free(&again);
  moire__arena_free(&arena);
}

Test(locale, configurations) {
  want_german();
  static const moire_config_field fields[] = {{"rate", MOIRE_CONFIG_REAL, "0.5", 0, 1, NULL, "rate"}};
  static const moire__config_fields sets[] = {{fields, 1}};
  moire_error error = {0};
  moire__config_table table = {0};
  moire_config *c[1];
  moire__config_table_add_yaml_text(&table, "a.yaml", "rate: 0.125", 11, &error);
  cr_assert_eq(moire__config_build(&table, "a.yaml", sets, 1, c, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire_config_real(c[0], "rate"), 0.125);
  moire__text text = {0};
  moire__config_add_real(&text, 0.125);
  cr_assert_str_eq(moire__text_string(&text), "0.125");
  moire__text_free(&text);
  moire__config_free(c[0]);
  moire__config_table_free(&table);
}
