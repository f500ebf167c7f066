/* Fields of C for the inputs and outputs of a graph, in the header and in the tables. See ports.h. */
#include "compiler/driver/ahead/ports.h"

#include "runtime/base/layout.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Words of C and C++, and names that are often macros. */
static bool is_word_of_c(const char *name) {
  static const char words[] =
      " alignas alignof and and_eq asm assert auto bitand bitor bool break case catch char class compl complex "
      "concept const const_cast consteval constexpr constinit continue decltype default delete do double "
      "dynamic_cast else enum errno explicit export extern false float for friend goto if imaginary inline int "
      "linux long mutable namespace new noexcept noreturn not not_eq nullptr offsetof operator or or_eq "
      "private "
      "protected public register reinterpret_cast requires restrict return short signed sizeof static "
      "static_assert static_cast stderr stdin stdout struct switch template this thread_local throw true try "
      "typedef typeid typename typeof union unix unsigned using virtual void volatile wchar_t while xor xor_eq "
      "EOF I NULL NAN INFINITY ";
  char padded[80];
  if (strlen(name) + 3 > sizeof padded) return false;
  snprintf(padded, sizeof padded, " %s ", name);
  return strstr(words, padded) != NULL;
}

static bool field_is_taken(const moire__ahead_port *list, int n, const char *field) {
  for (int i = 0; i < n; i++) {
    if (!strcmp(list[i].field, field)) return true;
  }
  return false;
}

const char *moire__ahead_field(moire__ahead *a, const char *name, const moire__ahead_port *list, int n) {
  bool begins = isalpha((unsigned char)name[0]);
  char *field = moire__arena_printf(&a->arena, "%s%s", begins ? "" : "x", name);
  for (char *c = field; *c; c++) {
    if (!isalnum((unsigned char)*c)) *c = '_';
  }
  if (is_word_of_c(field)) field = moire__arena_printf(&a->arena, "%s_", field);
  const char *plain = field;
  for (int i = 2; field_is_taken(list, n, field); i++)
    field = moire__arena_printf(&a->arena, "%s_%d", plain, i);
  return field;
}

/* ---- Texts ------------------------------------------------------------------------------------------ */

static const char *c_type(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_C64: return "float";
    case MOIRE_F64: return "double";
    case MOIRE_BF16: return "uint16_t";
    case MOIRE_I32: return "int32_t";
    case MOIRE_I64: return "int64_t";
    case MOIRE_BOOL: return "uint8_t";
  }
  return "void";
}

void moire__ahead_add_port_type(const moire__ahead_port *p, moire__text *out) {
  if (strcmp(p->name, p->field) != 0) {
    moire__text_add(out, "\"");
    for (const char *c = p->name; *c; c++)
      moire__text_add_char(out, isalnum((unsigned char)*c) || strchr("._-: ", *c) ? *c : '?');
    moire__text_add(out, "\": ");
  }
  moire__text_add(out, "%s[", moire__dtype_name(p->dtype));
  for (int i = 0; i < p->shape.rank; i++) {
    if (i) moire__text_add(out, ", ");
    if (moire__dim_is_static(p->shape.dims[i]))
      moire__text_add(out, "%" PRId64, p->shape.dims[i]);
    else
      moire__text_add(out, "n");
  }
  moire__text_add(out, "]");
  if (p->rows) moire__text_add(out, ": each from 0 to %" PRId64, p->rows - 1);
}

/* "the name": f32[n, 128], what its elements are. */
static void add_comment(const moire__ahead_port *p, moire__text *out) {
  moire__text_add(out, " /* ");
  moire__ahead_add_port_type(p, out);
  if (p->dtype == MOIRE_C64) moire__text_add(out, ": pairs of real and imaginary part");
  if (p->dtype == MOIRE_BOOL) moire__text_add(out, ": 0 or 1");
  if (p->dtype == MOIRE_BF16) moire__text_add(out, ": the upper 16 bits of a float32");
  moire__text_add(out, " */\n");
}

static bool has_samples(const moire__ahead_port *p) {
  return p->shape.rank > 0 && moire__dim_extents(p->shape.dims[0]) == 1;
}

/* Elements of a sample, or of all where every sample has the same. */
static int64_t elements_of(const moire__ahead_port *p) {
  moire_dim elements = 0;
  moire__shape_elements(&p->shape, &elements);
  return moire__dim_factor(elements);
}

bool moire__ahead_port_is_in(const char *name, size_t n, const moire__ahead_port *p) {
  return n == strlen("examples") && !memcmp(name, "examples", n) ? p->trains : p->serves;
}

void moire__ahead_write_fields(const moire__ahead *a, const char *name, size_t n, moire__text *out) {
  const moire__ahead_ports *all = a->own;
  bool gives = n == strlen("outputs") && !memcmp(name, "outputs", n);
  const moire__ahead_port *list = gives ? all->outputs : all->inputs;
  int count = gives ? all->n_outputs : all->n_inputs, written = 0;
  for (int i = 0; i < count; i++) {
    if (!moire__ahead_port_is_in(name, n, &list[i])) continue;
    moire__text_add(out, "  %s%s *%s;", gives ? "" : "const ", c_type(list[i].dtype), list[i].field);
    add_comment(&list[i], out);
    written++;
  }
  if (!written) moire__text_add(out, "  const void *nothing; /* the graph reads none; C wants a field */\n");
}

static void write_table(const moire__ahead *a, const char *fields, const moire__ahead_port *list, int n,
                        moire__text *out) {
  moire__text_add(out, "static const moire__aot_port moire__aot_%s[] = {\n", fields);
  int written = 0;
  for (int i = 0; i < n; i++) {
    const moire__ahead_port *p = &list[i];
    if (!moire__ahead_port_is_in(fields, strlen(fields), p)) continue;
    moire__text_add(out, "    {offsetof(%s_%s, %s), %d, (moire_dtype)%d, %d, %" PRId64 ", %" PRId64 "},\n",
                    a->options->name, fields, p->field, p->number, p->dtype, has_samples(p), elements_of(p),
                    p->rows);
    written++;
  }
  moire__text_add(out, "    {0}};\nenum { moire__aot_n_%s = %d };\n", fields, written);
}

void moire__ahead_write_ports(const moire__ahead *a, moire__text *out) {
  const moire__ahead_ports *all = a->own;
  moire__text_add(out, "\n#include \"runtime/aot/ports.h\"\n");
  write_table(a, "inputs", all->inputs, all->n_inputs, out);
  write_table(a, "outputs", all->outputs, all->n_outputs, out);
  if (a->model->training) write_table(a, "examples", all->inputs, all->n_inputs, out);
}
