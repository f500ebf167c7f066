/* A library's Python module: what the header declares, as ctypes has it, and behind it the parts of
 * runtime/aot/python/, of which that of the interface has a function for each of its calls.
 *
 * The module is the package DIR/NAME, since of NAME.py and NAME.so in one folder Python would import NAME.so.
 * In the parts, docstrings take their sentences from the header: "{doc top}" is the first paragraph of what the
 * header says about NAME_top. */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_MODULE_H
#define MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_MODULE_H

#include "compiler/driver/ahead/ahead.h"

/* Whether a module may be called so. */
moire_status moire__ahead_check_python_name(const char *name, moire_error *error);
bool moire__ahead_is_word_of_python(const char *word);

moire_status moire__ahead_write_python(moire__ahead *a, moire__text *out, moire_error *error);

#endif
