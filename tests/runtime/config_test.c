/* Configurations: values by kind, sources that override each other, and a sentence for each mistake. */
#include <criterion/criterion.h>

#include "runtime/config/config.h"
#include "tests/support/files.h"

#include <signal.h>
#include <string.h>

static const moire_config_field model_fields[] = {
    {"width", MOIRE_CONFIG_INT, "64", 1, 1000, NULL, "width"},
    {"rate", MOIRE_CONFIG_REAL, "0.02", 0, 1, NULL, "rate"},
    {"aux", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL, "auxiliary loss"},
    {"act", MOIRE_CONFIG_STRING, "gelu", 0, 0, "gelu|relu", "activation"},
    {"kernels", MOIRE_CONFIG_INTS, "[3, 7]", 1, 99, NULL, "taps"},
};
static const moire_config_field training_fields[] = {
    {"model", MOIRE_CONFIG_STRING, NULL, 0, 0, NULL, "name of the model"},
    {"epochs", MOIRE_CONFIG_INT, "200", 0, 1e6, NULL, "epochs"},
    {"offset", MOIRE_CONFIG_REAL, "-5.0", -1e3, 1e3, NULL, "offset"},
};
static const moire__config_fields sets[] = {{model_fields, 5}, {training_fields, 3}};

static void add_yaml(moire__config_table *table, const char *text) {
  moire_error error = {0};
  cr_assert_eq(moire__config_table_add_yaml_text(table, "a.yaml", text, strlen(text), &error), MOIRE_OK, "%s",
               error.message);
}

static void build(const moire__config_table *table, moire_config *out[2]) {
  moire_error error = {0};
  cr_assert_eq(moire__config_build(table, "a.yaml", sets, 2, out, &error), MOIRE_OK, "%s", error.message);
}

static void release(moire_config *configs[2]) {
  moire__config_free(configs[0]);
  moire__config_free(configs[1]);
}

Test(config, values_and_defaults) {
  moire__config_table table = {0};
  add_yaml(&table, "# a comment\nmodel: qia\nwidth: 128 # wide\nrate: 1e-3\nkernels:\n  - 5\n  - 9\n  - 31\n"
                   "aux: True\n");
  moire_config *c[2];
  build(&table, c);
  moire__config_table_free(&table);
  const int64_t *kernels = NULL;
  cr_assert_eq(moire_config_int(c[0], "width"), 128);
  cr_assert_eq(moire_config_real(c[0], "rate"), 1e-3);
  cr_assert(moire_config_bool(c[0], "aux"));
  cr_assert_str_eq(moire_config_string(c[0], "act"), "gelu");
  cr_assert_eq(moire_config_ints(c[0], "kernels", &kernels), 3);
  cr_assert(kernels[0] == 5 && kernels[1] == 9 && kernels[2] == 31);
  cr_assert_str_eq(moire_config_string(c[1], "model"), "qia");
  cr_assert_eq(moire_config_int(c[1], "epochs"), 200);
  cr_assert_eq(moire_config_real(c[1], "offset"), -5);
  release(c);
}

Test(config, later_sources_replace_earlier_ones) {
  moire__config_table table = {0};
  moire_error error = {0};
  add_yaml(&table, "model: qia\nwidth: 1\nrate: 0.1\n");
  cr_assert_eq(moire__config_table_add_json(&table, "b",
                                            "{\"width\": 2, \"kernels\": [1, 2, 3], \"aux\": true}", &error),
               MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__config_table_set(&table, "--set", "rate=.5", &error), MOIRE_OK);
  cr_assert_eq(moire__config_table_set(&table, "--set", "kernels=[4]", &error), MOIRE_OK);
  cr_assert_eq(moire__config_table_set(&table, "--set", "rate= 0.25", &error), MOIRE_OK);
  cr_assert_eq(moire__config_table_set(&table, "--set", "model='a=b'", &error), MOIRE_OK);
  cr_assert_str_eq(moire__config_table_text(&table, "rate"), "0.25");
  cr_assert_null(moire__config_table_text(&table, "kernels"));
  cr_assert_null(moire__config_table_text(&table, "absent"));
  moire_config *c[2];
  build(&table, c);
  moire__config_table_free(&table);
  const int64_t *kernels = NULL;
  cr_assert_eq(moire_config_int(c[0], "width"), 2);
  cr_assert_eq(moire_config_real(c[0], "rate"), 0.25);
  cr_assert_eq(moire_config_ints(c[0], "kernels", &kernels), 1);
  cr_assert_eq(kernels[0], 4);
  cr_assert_str_eq(moire_config_string(c[1], "model"), "a=b");
  release(c);
}

Test(config, json_round_trip_in_the_order_of_the_fields) {
  moire__config_table table = {0};
  add_yaml(&table, "kernels: []\nmodel: \"q \\\"\\\\ \\t\xc3\xa9\"\nrate: 1\noffset: 1e-08\nwidth: +7\n");
  moire_config *c[2], *again[2];
  build(&table, c);
  moire__text first = {0}, second = {0}, other = {0};
  moire__config_to_json(c[0], &first);
  moire__config_to_json(c[1], &second);
  cr_assert_str_eq(first.data,
                   "{\"width\": 7, \"rate\": 1.0, \"aux\": false, \"act\": \"gelu\", \"kernels\": []}");
  cr_assert_str_eq(second.data,
                   "{\"model\": \"q \\\"\\\\ \\u0009\xc3\xa9\", \"epochs\": 200, \"offset\": 1e-08}");
  moire__config_table json = {0};
  moire_error error = {0};
  cr_assert_eq(moire__config_table_add_json(&json, "x", first.data, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__config_table_add_json(&json, "x", second.data, &error), MOIRE_OK, "%s", error.message);
  build(&json, again);
  moire__config_to_json(again[0], &other);
  cr_assert_str_eq(other.data, first.data);
  moire__text_clear(&other);
  moire__config_to_json(again[1], &other);
  cr_assert_str_eq(other.data, second.data);
  moire__text_free(&first);
  moire__text_free(&second);
  moire__text_free(&other);
  moire__config_table_free(&table);
  moire__config_table_free(&json);
  release(c);
  release(again);
}

Test(config, reals_are_written_shortest) {
  static const struct {
    double number;
    const char *text;
  } cases[] = {{0.1, "0.1"},
               {0, "0.0"},
               {-3, "-3.0"},
               {1e300, "1e+300"},
               {1.0 / 3, "0.3333333333333333"},
               {0.001, "0.001"},
               {123456789, "123456789.0"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__text text = {0};
    moire__config_add_real(&text, cases[i].number);
    cr_assert_str_eq(text.data, cases[i].text);
    moire__text_free(&text);
  }
}

/* ---- Mistakes ---------------------------------------------------------------------------------------------
 */

static void assert_says(const moire_error *error, const char *says, const char *what) {
  cr_assert_not_null(strstr(error->message, says), "%s: %s", what, error->message);
  cr_assert_null(strchr(error->message, '\n'), "%s: %s", what, error->message);
}

Test(config, yaml_that_is_no_flat_mapping) {
  static const struct {
    const char *text, *says;
  } cases[] = {
      {"", "a.yaml: is empty"},
      {"# nothing\n", "a.yaml: is empty"},
      {"model: qia\nwidth: [1, 2\nrate: 1\n", "a.yaml:3: not valid YAML"},
      {"model: qia\n\twidth: 1\n", "a.yaml:2: not valid YAML"},
      {"model: 'qia\n", "not valid YAML"},
      {"model: qia\nwidth: 1: 2\n", "a.yaml:2: not valid YAML"},
      {"model: \xff\xfe\n", "a.yaml:1: not valid YAML"},
      {"model: qia\nrate: 1\nx: \x01\n", "a.yaml:3: not valid YAML: control characters"},
      {"- 1\n- 2\n", "a.yaml:1: wanted lines 'key: value'"},
      {"just words\n", "a.yaml:1: wanted lines 'key: value'"},
      {"model: qia\nwidth: 1\nmodel: qib\n", "a.yaml:3: model: was given before, in line 1"},
      {"model: qia\nkernels: {a: 1}\n", "a.yaml:2: wanted a scalar or a list of scalars"},
      {"kernels: [[1], [2]]\n", "a.yaml:1: wanted a scalar in the list"},
      {"kernels:\n  - 1\n  - a: 1\n", "a.yaml:3: wanted a scalar in the list"},
      {"kernels:\n  - a: 1\n  - 2\n", "a.yaml:3: wanted a mapping in the list"},
      {"kernels:\n  - a: {b: 1}\n", "a.yaml:2: wanted a scalar or a list of scalars"},
      {"kernels:\n  - a: [{b: 1}]\n", "a.yaml:2: wanted a scalar in the list"},
      {"kernels:\n  - a: 1\n    a: 2\n", "a.yaml:3: a: was given before, in line 2"},
      {"[a, b]: 1\n", "a.yaml:1: wanted a key that is a word"},
      {"a: &x 1\nb: *x\n", "a.yaml:2: aliases are not allowed"},
      {"a: !!int 1\n", "a.yaml:1: tags are not allowed"},
      {"a: 1\n---\nb: 2\n", "a.yaml:2: a second document"},
      {"a: \"x\\0y\"\n", "a.yaml:1: there is a NUL character"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__config_table table = {0};
    moire_error error = {0};
    const char *text = cases[i].text;
    cr_assert_neq(moire__config_table_add_yaml_text(&table, "a.yaml", text, strlen(text), &error), MOIRE_OK,
                  "%s", text);
    assert_says(&error, cases[i].says, text);
    cr_assert_eq(table.map.n, 0, "a table must not change on failure");
    moire__config_table_free(&table);
  }
  moire__config_table table = {0};
  moire_error error = {0};
  cr_assert_neq(moire__config_table_add_yaml_text(&table, "a.yaml", "a: 1\nb: \0\n", 10, &error), MOIRE_OK);
  assert_says(&error, "a.yaml:2: not valid YAML: control characters", "NUL byte");
  moire__config_table_free(&table);
}

Test(config, values_that_do_not_fit) {
  static const struct {
    const char *text, *says;
  } cases[] = {
      {"model: q\nwidht: 3\n", "a.yaml:2: widht: there is no such key; did you mean 'width'?"},
      {"model: q\nkernel_sizes_of_all: 3\n", "a.yaml:2: kernel_sizes_of_all: there is no such key"},
      {"model: q\nwidth: 0\n", "a.yaml:2: width: wanted a whole number from 1 to 1000, but 0 came"},
      {"model: q\nwidth: 1001\n", "but 1001 came"},
      {"model: q\nwidth: 64.0\n", "but 64.0 came"},
      {"model: q\nwidth: \"64\"\n", "but \"64\" came"},
      {"model: q\nwidth: abc\n", "but abc came"},
      {"model: q\nwidth: 0x10\n", "but 0x10 came"},
      {"model: q\nwidth: 1_0\n", "but 1_0 came"},
      {"model: q\nwidth: 99999999999999999999\n", "but 99999999999999999999 came"},
      {"model: q\nwidth: [64]\n", "but [64] came"},
      {"model: q\nwidth:\n", "a.yaml:2: width: wanted a whole number from 1 to 1000, but nothing came"},
      {"model: q\nwidth: ~\n", "but nothing came"},
      {"model: q\nrate: 1.5\n", "a.yaml:2: rate: wanted a number from 0 to 1, but 1.5 came"},
      {"model: q\nrate: -0.1\n", "but -0.1 came"},
      {"model: q\nrate: .nan\n", "but .nan came"},
      {"model: q\nrate: nan\n", "but nan came"},
      {"model: q\nrate: inf\n", "but inf came"},
      {"model: q\nrate: 1e999\n", "but 1e999 came"},
      {"model: q\nrate: 0x1p-2\n", "but 0x1p-2 came"},
      {"model: q\nrate: 1e\n", "but 1e came"},
      {"model: q\nrate: .\n", "but . came"},
      {"model: q\naux: yes\n", "a.yaml:2: aux: wanted true or false, but yes came"},
      {"model: q\naux: 1\n", "wanted true or false, but 1 came"},
      {"model: q\nact: tanh\n", "a.yaml:2: act: wanted one of gelu|relu, but tanh came"},
      {"model: q\nact: gelu|relu\n", "but gelu|relu came"},
      {"model: q\nact: gel\n", "but gel came"},
      {"model: q\nkernels: 3\n", "a.yaml:2: kernels: wanted a list of whole numbers from 1 to 99, but 3 came"},
      {"model: q\nkernels: [3, x]\n", "but [3, x] came"},
      {"model: q\nkernels: [3, 0]\n", "but [3, 0] came"},
      {"model: q\nkernels: [1, 2, 3, 4, 5, 6, 7, 8, x]\n", "but [1, 2, 3, 4, 5, 6, 7, 8, ...] came"},
      {"width: 3\n", "a.yaml: model: is missing; wanted a word (name of the model)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__config_table table = {0};
    moire_error error = {0};
    moire_config *c[2] = {NULL, NULL};
    add_yaml(&table, cases[i].text);
    cr_assert_eq(moire__config_build(&table, "a.yaml", sets, 2, c, &error), MOIRE_ERROR_ARGUMENT, "%s",
                 cases[i].text);
    assert_says(&error, cases[i].says, cases[i].text);
    cr_assert(!c[0] && !c[1]);
    moire__config_table_free(&table);
  }
}

Test(config, a_key_of_two_tables_is_refused) {
  const moire__config_fields same[] = {{model_fields, 5}, {model_fields + 1, 1}};
  moire__config_table table = {0};
  moire_error error = {0};
  moire_config *c[2] = {NULL, NULL};
  cr_assert_eq(moire__config_build(&table, "a.yaml", same, 2, c, &error), MOIRE_ERROR_ARGUMENT);
  assert_says(&error, model_fields[1].key, "a shared key");
  assert_says(&error, "two things", "a shared key");
  cr_assert(!c[0] && !c[1]);
}

Test(config, assignments_and_json_that_do_not_fit) {
  static const char *const assignments[][2] = {
      {"width", "--set: wanted key=value, but 'width' came"},
      {"=3", "--set: wanted key=value, but '=3' came"},
      {"width=", "--set width=: has no value"},
      {"width={a: 1}", "--set width={a: 1}: wanted a scalar"},
      {"width=[1", "--set width=[1: not valid YAML"},
      {"width=a: b", "--set width=a: b: wanted a scalar"},
  };
  static const char *const objects[][2] = {
      {"", "ckpt: wanted a JSON object"},
      {"[1]", "ckpt: wanted a JSON object of keys and values: not an object"},
      {"{\"a\": 1, \"a\": 2}", "duplicate"},
      {"{\"a\": {}}", "ckpt: a: wanted a scalar or a list of scalars"},
      {"{\"a\": {\"b\": {\"c\": 1}}}", "ckpt: a.b: wanted a scalar or a list of scalars"},
      {"{\"a.b\": 1, \"a\": {\"b\": true}}", "ckpt: a.b: duplicate key"},
      {"{\"a\": [[1]]}", "ckpt: a: wanted a scalar or a list of scalars"},
      {"{\"a\": 1} x", "wanted a JSON object"},
  };
  moire__config_table table = {0};
  for (size_t i = 0; i < sizeof assignments / sizeof *assignments; i++) {
    moire_error error = {0};
    cr_assert_neq(moire__config_table_set(&table, "--set", assignments[i][0], &error), MOIRE_OK, "%s",
                  assignments[i][0]);
    assert_says(&error, assignments[i][1], assignments[i][0]);
  }
  for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
    moire_error error = {0};
    cr_assert_neq(moire__config_table_add_json(&table, "ckpt", objects[i][0], &error), MOIRE_OK, "%s",
                  objects[i][0]);
    assert_says(&error, objects[i][1], objects[i][0]);
  }
  cr_assert_eq(table.map.n, 0);
  moire_error error = {0};
  moire_config *c[2];
  cr_assert_eq(moire__config_table_add_json(&table, "ckpt", "{\"model\": \"q\", \"width\": 6.5}", &error),
               MOIRE_OK);
  cr_assert_eq(moire__config_build(&table, "ckpt", sets, 2, c, &error), MOIRE_ERROR_ARGUMENT);
  assert_says(&error, "ckpt: width: wanted a whole number from 1 to 1000, but 6.5 came", "json");
  moire__config_table_free(&table);
}

Test(config, a_bad_default_is_found) {
  static const moire_config_field bad[] = {{"width", MOIRE_CONFIG_INT, "0", 1, 2, NULL, "width"}};
  static const moire__config_fields set = {bad, 1};
  moire__config_table table = {0};
  moire_config *c = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__config_build(&table, "a.yaml", &set, 1, &c, &error), MOIRE_ERROR_ARGUMENT);
  assert_says(&error, "default: width: wanted a whole number from 1 to 2, but 0 came", "default");
}

Test(config, files) {
  test_path directory, path;
  test_make_directory(directory);
  moire__config_table table = {0};
  moire_error error = {0};
  cr_assert_eq(moire__config_table_add_yaml(&table, test_join(directory, "absent.yaml", path), &error),
               MOIRE_ERROR_IO);
  assert_says(&error, "absent.yaml: cannot be opened: No such file", "absent");
  error = (moire_error){0};
  cr_assert_eq(moire__config_table_add_yaml(&table, directory, &error), MOIRE_ERROR_IO);
  assert_says(&error, "is a directory", "directory");
  error = (moire_error){0};
  static char large[70000];
  memset(large, '#', sizeof large);
  test_write_file(test_join(directory, "large.yaml", path), large, sizeof large);
  cr_assert_eq(moire__config_table_add_yaml(&table, path, &error), MOIRE_ERROR_IO);
  assert_says(&error, "70000 bytes", "large");
  test_write_file(test_join(directory, "good.yaml", path), "\xef\xbb\xbfmodel: q\r\nwidth: 5\r\n", 23);
  cr_assert_eq(moire__config_table_add_yaml(&table, path, NULL), MOIRE_OK);
  cr_assert_str_eq(moire__config_table_text(&table, "width"), "5");
  moire__config_table_free(&table);
  test_remove_directory(directory);
}

Test(config, every_prefix_of_a_file_is_read_or_refused) {
  static const char text[] = "model: 'qia' # name\nkernels: [3, \"7\", ~]\nact: >\n  folded\n  text\nrate: 1\n";
  for (size_t n = 0; n < sizeof text; n++) {
    moire__config_table table = {0};
    moire_error error = {0};
    moire_status status = moire__config_table_add_yaml_text(&table, "a.yaml", text, n, &error);
    cr_assert_eq(status == MOIRE_OK, error.message[0] == 0, "%zu bytes", n);
    moire__config_table_free(&table);
  }
}

/* A model that asks for what it did not declare is defective: the program stops. */
Test(config, an_undeclared_key_stops_the_program, .signal = SIGABRT) {
  moire__config_table table = {0};
  add_yaml(&table, "model: q\n");
  moire_config *c[2];
  build(&table, c);
  moire_config_int(c[0], "depth");
}

Test(config, a_key_of_another_kind_stops_the_program, .signal = SIGABRT) {
  moire__config_table table = {0};
  add_yaml(&table, "model: q\n");
  moire_config *c[2];
  build(&table, c);
  moire_config_real(c[0], "width");
}

static const moire_config_field sequential_fields[] = {MOIRE_SEQUENTIAL_FIELDS};

Test(config, published_configurations_fit_the_common_fields) {
  static const char json[] =
      "{\"hidden_size\": 64, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"inner_size\": 256, "
      "\"hidden_act\": \"gelu\", \"hidden_dropout_prob\": 0.5, \"attention_probs_dropout_prob\": 0.5, "
      "\"initializer_range\": 0.02, \"max_seq_length\": 50, \"band_kernel_sizes\": [3, 7, 15, 31], "
      "\"band_dilations\": [1, 2, 4, 8], \"n_bands\": 4, \"item_size\": 3647}";
  const moire__config_fields set = {sequential_fields, sizeof sequential_fields / sizeof *sequential_fields};
  moire__config_table table = {0};
  moire_config *config = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__config_table_add_json(&table, "ckpt", json, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__config_build(&table, "ckpt", &set, 1, &config, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire_config_int(config, "item_size"), 3647);
  moire__config_free(config);
  moire__config_table_free(&table);
}

/* ---- Lists of strings and of maps --------------------------------------------------------------------------
 */

static const moire_config_field group_fields[] = {{"match", MOIRE_CONFIG_STRINGS, NULL, 0, 0, NULL, "names"},
                                                  {"lr", MOIRE_CONFIG_REAL, "null", 0, 10, NULL, "a rate"},
                                                  {0}};
static const moire_config_field map_fields[] = {
    {"freeze", MOIRE_CONFIG_STRINGS, "[]", 0, 0, NULL, "names"},
    {"groups", MOIRE_CONFIG_MAPS, "[]", 0, 0, group_fields, "groups"}};

/* NULL with a sentence. */
static moire_config *build_maps(const char *yaml, const char *assignment, moire_error *error) {
  moire__config_table table = {0};
  moire__config_fields set = {map_fields, 2};
  moire_config *config = NULL;
  moire_status status = moire__config_table_add_yaml_text(&table, "m.yaml", yaml, strlen(yaml), error);
  if (!status && assignment) status = moire__config_table_set(&table, "--set", assignment, error);
  if (!status) status = moire__config_build(&table, "m.yaml", &set, 1, &config, error);
  moire__config_table_free(&table);
  return status ? NULL : config;
}

Test(config, lists_of_maps) {
  moire_error error = {0};
  moire_config *config =
      build_maps("freeze: \"a.*\"\ngroups:\n  - match: [\"*.bias\", \"*norm*\"]\n    lr: 0.5\n"
                 "  - {match: b}\n",
                 NULL, &error);
  cr_assert_not_null(config, "%s", error.message);
  const char *const *words = NULL;
  const moire_config *const *maps = NULL;
  cr_assert_eq(moire_config_strings(config, "freeze", &words), 1);
  cr_assert_str_eq(words[0], "a.*");
  cr_assert_eq(moire_config_maps(config, "groups", &maps), 2);
  cr_assert_eq(moire_config_strings(maps[0], "match", &words), 2);
  cr_assert_str_eq(words[1], "*norm*");
  cr_assert(moire_config_real(maps[0], "lr") == 0.5 && !moire_config_is_nothing(maps[0], "lr"));
  cr_assert(moire_config_is_nothing(maps[1], "lr"));
  moire__text json = {0};
  moire__config_to_json(config, &json);
  cr_assert_str_eq(json.data,
                   "{\"freeze\": [\"a.*\"], \"groups\": [{\"match\": [\"*.bias\", \"*norm*\"], \"lr\": "
                   "0.5}, {\"match\": [\"b\"], \"lr\": null}]}");
  moire__config_free(config);
  moire__config_table table = {0};
  moire__config_fields set = {map_fields, 2};
  cr_assert_eq(moire__config_table_add_json(&table, "j", json.data, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__config_build(&table, "j", &set, 1, &config, &error), MOIRE_OK, "%s", error.message);
  moire__text again = {0};
  moire__config_to_json(config, &again);
  cr_assert_str_eq(again.data, json.data);
  moire__config_free(config);
  moire__config_table_free(&table);
  moire__text_free(&json);
  moire__text_free(&again);
  config = build_maps("freeze: []\n", "groups=[{match: [x, y], lr: 2}]", &error);
  cr_assert_not_null(config, "%s", error.message);
  cr_assert_eq(moire_config_maps(config, "groups", &maps), 1);
  cr_assert_eq(moire_config_strings(maps[0], "match", &words), 2);
  moire__config_free(config);
}

Test(config, maps_that_are_wrong) {
  static const struct {
    const char *text, *says;
  } cases[] = {
      {"groups: 1\n", "m.yaml:1: groups: wanted a list of maps, but 1 came"},
      {"groups: [a]\n", "m.yaml:1: groups: wanted a list of maps, but [a] came"},
      {"freeze:\n  - a: 1\n", "m.yaml:1: freeze: wanted a word or a list of words, but a list of maps came"},
      {"freeze: [a, null]\n", "m.yaml:1: freeze: wanted a word or a list of words"},
      {"groups:\n  - match: x\n    lr: fast\n", "m.yaml:3: lr: wanted a number from 0 to 10, but fast came"},
      {"groups:\n  - match: x\n    rl: 1\n", "m.yaml:3: rl: there is no such key; did you mean 'lr'?"},
      {"groups:\n  - match: x\n  - lr: 1\n", "m.yaml:1: groups: map 1: match: is missing"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire_error error = {0};
    cr_assert_null(build_maps(cases[i].text, NULL, &error), "%s", cases[i].text);
    assert_says(&error, cases[i].says, cases[i].text);
  }
}

static const moire_config_field number_fields[] = {
    {"weights", MOIRE_CONFIG_REALS, "[0.5, 1e-2]", 0, 1, NULL, "numbers"},
    {"scaling", MOIRE_CONFIG_ANY, "null", 0, 0, NULL, "whatever"},
    {"scaling.type", MOIRE_CONFIG_STRING, "default", 0, 0, "default", "of a map"}};

/* Lists of numbers; what is accepted whatever it is; and the keys of an object in an object. */
Test(config, reals_anything_and_objects) {
  const moire__config_fields set = {number_fields, 3};
  moire__config_table table = {0};
  moire_config *config = NULL;
  moire_error error = {0};
  moire__text json = {0};
  cr_assert_eq(moire__config_table_add_json(
                   &table, "c", "{\"weights\": [0.25, 1], \"scaling\": {\"type\": \"default\"}}", &error),
               MOIRE_OK);
  cr_assert_eq(moire__config_build(&table, "c", &set, 1, &config, &error), MOIRE_OK, "%s", error.message);
  const double *weights = NULL;
  cr_assert_eq(moire_config_reals(config, "weights", &weights), 2);
  cr_assert_float_eq(weights[0], 0.25, 0);
  cr_assert_float_eq(weights[1], 1, 0);
  cr_assert(moire_config_is_nothing(config, "scaling"));
  moire__config_to_json(config, &json);
  cr_assert_str_eq(json.data, "{\"weights\": [0.25, 1.0], \"scaling\": null, \"scaling.type\": \"default\"}");
  moire__text_free(&json);
  moire__config_free(config);
  static const char *const bad[][2] = {{"weights=[2]", "a list of numbers from 0 to 1"},
                                       {"weights=1", "a list of numbers from 0 to 1"},
                                       {"scaling.type=yarn", "one of default"}};
  for (int i = 0; i < 3; i++) {
    moire_error reason = {0};
    moire__config_table wrong = {0};
    cr_assert_eq(moire__config_table_set(&wrong, "--set", bad[i][0], &reason), MOIRE_OK);
    cr_assert_neq(moire__config_build(&wrong, "c", &set, 1, &config, &reason), MOIRE_OK);
    assert_says(&reason, bad[i][1], bad[i][0]);
    moire__config_table_free(&wrong);
  }
  moire__config_table_free(&table);
}
