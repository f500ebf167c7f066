/* The table of operations: no row comes twice, and the page for users names each. */
#include "compiler/import/torch/rows.h"
#include "runtime/files/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const moire__aten_row *const families[] = {
    moire__rows_arithmetic, moire__rows_attention, moire__rows_complex, moire__rows_create,
    moire__rows_fourier,    moire__rows_function,  moire__rows_index,   moire__rows_loss,
    moire__rows_product,    moire__rows_random,    moire__rows_reduce,  moire__rows_row,
    moire__rows_sequence,   moire__rows_shape,     moire__rows_size,    moire__rows_view};
enum { FAMILIES = sizeof families / sizeof *families };

Test(rows, are_found_by_their_names_alone) {
  for (int f = 0; f < FAMILIES; f++) {
    for (const moire__aten_row *row = families[f]; row->op; row++)
      cr_assert_eq(moire__aten_find(row->op), row, "%s comes twice", row->op);
  }
  cr_assert_null(moire__aten_find("aten.linear"));
  cr_assert_null(moire__aten_find(""));
}

Test(rows, stand_on_the_page) {
  const char *source = getenv("SOURCE_DIR");
  char path[4096], *page = NULL;
  size_t n = 0;
  moire_error error = {0};
  snprintf(path, sizeof path, "%s/docs/pytorch.md", source ? source : ".");
  cr_assert_eq(moire__file_read(path, 0, &page, &n, &error), MOIRE_OK, "%s", error.message);
  for (int f = 0; f < FAMILIES; f++) {
    for (const moire__aten_row *row = families[f]; row->op; row++) {
      bool aten = !strncmp(row->op, "aten.", 5);
      const char *name = aten ? row->op + 5 : row->op, *end = strrchr(row->op, '.');
      char wanted[128];
      snprintf(wanted, sizeof wanted, "`%.*s`", aten ? (int)(end - name) : (int)strlen(name), name);
      cr_assert(strstr(page, wanted), "docs/pytorch.md does not name %s", wanted);
    }
  }
  moire__release(page);
}
