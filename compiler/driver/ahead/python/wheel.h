/* Wheels: archives that pip installs (the binary distribution format of Python's packaging). */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_WHEEL_H
#define MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_WHEEL_H

#include "compiler/driver/ahead/ahead.h"

/* Whether wheels can be made here, and one have the name and the version of the options. */
moire_status moire__ahead_check_wheel(const moire_ahead_options *options, moire_error *error);

/* Packs NAME/__init__.py, NAME.so and, where they are files, the weights and the items' names, all of which lie
 * in the folder, into a wheel beside them, the same bytes for the same files. Its name, in the arena: *file. */
moire_status moire__ahead_write_wheel(moire__ahead *a, const moire__ahead_folder *folder, const char **file,
                                      moire_error *error);

#endif
