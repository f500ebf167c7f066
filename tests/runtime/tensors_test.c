/* The public calls for files (moire/files.h), used as a program of a user's would: no other header of ours. */
#include "moire/files.h"

#include <criterion/criterion.h>

#include "tests/support/files.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static test_path directory;

static void set_up(void) {
  test_make_directory(directory);
  cr_assert_eq(chdir(directory), 0);
}
static void tear_down(void) { test_remove_directory(directory); }
TestSuite(tensors, .init = set_up, .fini = tear_down);

static const float z[] = {1, -1, 2, -2, 3, -3, 4, -4};
static const double d[] = {0.5, (double)NAN, 1e300};
static const moire_tensor both[] = {
    {.name = "z", .type = MOIRE_ELEMENT_C64, .rank = 2, .shape = {2, 2}, .data = z},
    {.name = "d", .type = MOIRE_ELEMENT_F64, .rank = 1, .shape = {3}, .data = d},
};
static const moire_metadata about[] = {{"made", "here"}, {"by", "hand"}};

static moire_tensors *open_good(const char *path) {
  moire_error error = {0};
  moire_tensors *t = moire_tensors_open(path, &error);
  cr_assert_not_null(t, "%s", error.message);
  return t;
}

Test(tensors, what_is_written_is_read) {
  moire_error error = {0};
  cr_assert_eq(moire_tensors_write("f", both, 2, about, 2, &error), MOIRE_OK, "%s", error.message);
  moire_tensors *t = open_good("f");
  cr_assert_eq(moire_tensors_count(t), 2);
  cr_assert_eq(moire_tensors_find(t, "d"), 1);
  cr_assert_eq(moire_tensors_find(t, "e"), -1);
  cr_assert_str_eq(moire_tensors_metadata(t, "by"), "hand");
  cr_assert_null(moire_tensors_metadata(t, "absent"));
  cr_assert_str_eq(moire_tensors_metadata_at(t, 0).key, "made");
  cr_assert_str_eq(moire_tensors_metadata_at(t, 1).value, "hand");
  cr_assert_null(moire_tensors_metadata_at(t, 2).key);
  moire_tensor first = moire_tensors_at(t, 0);
  cr_assert_str_eq(first.name, "z");
  cr_assert_str_eq(moire_tensors_type_name(t, 0), "C64");
  cr_assert(first.type == MOIRE_ELEMENT_C64 && first.rank == 2 && moire_tensor_elements(&first) == 4);
  cr_assert_arr_eq(first.data, z, sizeof z);
  float pairs[8], re[4], im[4], f[3];
  double wide[3];
  cr_assert_eq(moire_tensors_read(t, 0, MOIRE_C64, pairs, 4, &error), MOIRE_OK, "%s", error.message);
  cr_assert_arr_eq(pairs, z, sizeof z);
  cr_assert_eq(moire_tensors_read_planes(t, 0, re, im, 4, &error), MOIRE_OK, "%s", error.message);
  for (int i = 0; i < 4; i++) cr_assert(re[i] == z[2 * i] && im[i] == z[2 * i + 1]);
  cr_assert_eq(moire_tensors_read(t, 1, MOIRE_F64, wide, 3, &error), MOIRE_OK, "%s", error.message);
  cr_assert(wide[0] == 0.5 && isnan(wide[1]) && wide[2] == 1e300);
  cr_assert_eq(moire_tensors_read(t, 1, MOIRE_F32, f, 3, &error), MOIRE_OK, "%s", error.message);
  cr_assert(f[0] == 0.5f && isnan(f[1]) && isinf(f[2]));
  cr_assert_eq(moire_tensors_read_rows(t, 0, MOIRE_C64, (int64_t[]){1, 0}, 2, pairs, &error), MOIRE_OK);
  cr_assert(pairs[0] == 3 && pairs[1] == -3 && pairs[4] == 1);
  cr_assert_eq(moire_tensors_read_rows(t, 1, MOIRE_F64, (int64_t[]){0, 1}, 2, wide, &error),
               MOIRE_ERROR_FORMAT);
  cr_assert_str_eq(error.message, "f: d: row 1 holds a NaN");
  moire_tensors_close(t);
}

Test(tensors, npy_and_rows) {
  moire_error error = {0};
  cr_assert_eq(moire_tensors_write("z.npy", both, 1, NULL, 0, &error), MOIRE_OK, "%s", error.message);
  moire_tensors_writer *w = moire_tensors_create("rows.npy", both, 1, NULL, 0, &error);
  cr_assert_not_null(w, "%s", error.message);
  cr_assert_eq(moire_tensors_append(w, 0, z, 1, &error), MOIRE_OK);
  cr_assert_eq(moire_tensors_append(w, 0, z + 4, 1, &error), MOIRE_OK);
  cr_assert_eq(moire_tensors_finish(w, &error), MOIRE_OK, "%s", error.message);
  moire_tensors *t = open_good("a=z.npy,b=rows.npy");
  moire_tensor a = moire_tensors_at(t, 0), b = moire_tensors_at(t, 1);
  cr_assert_arr_eq(a.data, z, sizeof z);
  cr_assert_arr_eq(b.data, z, sizeof z);
  cr_assert_str_eq(moire_tensors_type_name(t, 1), "<c8");
  cr_assert_null(moire_tensors_metadata(t, "made"));
  cr_assert_null(moire_tensors_metadata_at(t, 0).key);
  moire_tensors_close(t);
  w = moire_tensors_create("more.npy", both, 1, NULL, 0, &error);
  cr_assert_not_null(w);
  moire_tensors_abandon(w);
  moire_tensors_abandon(NULL);
  cr_assert_eq(test_count_files(directory), 2);
}

Test(tensors, mistakes_are_sentences) {
  moire_error error = {0};
  cr_assert_null(moire_tensors_open("absent", &error));
  cr_assert_not_null(strstr(error.message, "absent: cannot be opened"), "%s", error.message);
  cr_assert_eq(moire_tensors_write("f", both, 2, NULL, 0, NULL), MOIRE_OK);
  moire_tensors *t = open_good("f");
  float f[4];
  error = (moire_error){0};
  cr_assert_eq(moire_tensors_read(t, 2, MOIRE_F32, f, 4, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_str_eq(error.message, "f: has no tensor 2, but 2 of them");
  error = (moire_error){0};
  cr_assert_eq(moire_tensors_read(t, 1, MOIRE_F32, f, 2, &error), MOIRE_ERROR_SHAPE);
  cr_assert_str_eq(error.message, "f: d: has 3 elements, but room is for 2");
  cr_assert_eq(moire_tensors_read(t, 0, MOIRE_F32, f, 4, NULL), MOIRE_ERROR_TYPE);
  cr_assert_eq(moire_tensors_read(t, 1, MOIRE_I32, f, 3, NULL), MOIRE_ERROR_TYPE);
  cr_assert_eq(moire_tensors_read_planes(t, 1, f, f, 3, NULL), MOIRE_ERROR_TYPE);
  cr_assert(!moire_tensors_at(t, 2).name && !moire_tensors_at(t, -1).name && !moire_tensors_type_name(t, 2));
  moire_tensors_close(t);
  moire_tensor bad = both[1];
  bad.type = MOIRE_ELEMENT_OTHER;
  error = (moire_error){0};
  cr_assert_eq(moire_tensors_write("g", &bad, 1, NULL, 0, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_not_null(strstr(error.message, "g: tensor 0"), "%s", error.message);
  bad = both[1];
  bad.type = MOIRE_ELEMENT_C128;
  cr_assert_eq(moire_tensors_write("g", &bad, 1, NULL, 0, NULL), MOIRE_ERROR_TYPE);
  bad.type = MOIRE_ELEMENT_BF16;
  cr_assert_eq(moire_tensors_write("g.npy", &bad, 1, NULL, 0, NULL), MOIRE_ERROR_TYPE);
  bad.shape[0] = -1;
  cr_assert_eq(moire_tensors_write("g", &bad, 1, NULL, 0, NULL), MOIRE_ERROR_SHAPE);
  const moire_tensor twice[] = {both[0], both[0]};
  cr_assert_eq(moire_tensors_write("g", twice, 2, NULL, 0, NULL), MOIRE_ERROR_ARGUMENT);
  cr_assert_eq(test_count_files(directory), 1);
  cr_assert_eq(moire_element_bytes(MOIRE_ELEMENT_C64), 8);
  cr_assert_eq(moire_element_bytes(MOIRE_ELEMENT_OTHER), 0);
}

static const moire_plan_state states[] = {
    {"w", MOIRE_F32, {1, {3}}, {.kind = MOIRE_INIT_NORMAL, .a = 0, .b = 1}, true},
    {"adam.m.w", MOIRE_F32, {1, {3}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0.5}, false},
};
static const moire_plan plan = {.name = "p", .states = states, .n_states = 2};

Test(tensors, checkpoints) {
  moire_error error = {0};
  moire_store *from = moire_store_create(), *to = moire_store_create();
  cr_assert_eq(moire_store_declare(from, &plan, 1, &error), MOIRE_OK);
  cr_assert_eq(moire_store_declare(to, &plan, 2, &error), MOIRE_OK);
  cr_assert_eq(moire_checkpoint_save("c", from, MOIRE_CHECKPOINT_MODEL, about, 2, &error), MOIRE_OK, "%s",
               error.message);
  cr_assert_eq(moire_checkpoint_load("c", to, MOIRE_CHECKPOINT_MODEL, &error), MOIRE_OK, "%s", error.message);
  cr_assert_arr_eq(moire_store_data(from, "w", NULL), moire_store_data(to, "w", NULL), 12);
  cr_assert_eq(moire_checkpoint_load("c", to, MOIRE_CHECKPOINT_EVERYTHING, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "c: has no tensor 'adam.m.w'"), "%s", error.message);
  cr_assert_eq(moire_checkpoint_save("c", from, MOIRE_CHECKPOINT_EVERYTHING, NULL, 0, NULL), MOIRE_OK);
  cr_assert_eq(moire_checkpoint_load("c", to, MOIRE_CHECKPOINT_EVERYTHING, NULL), MOIRE_OK);
  moire_tensors *t = open_good("c");
  cr_assert_str_eq(moire_tensors_metadata(t, "format"), "checkpoint/1");
  cr_assert_eq(moire_tensors_count(t), 2);
  moire_tensors_close(t);
  moire_store_destroy(from);
  moire_store_destroy(to);
}
