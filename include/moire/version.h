/* The version of Moire. */
#ifndef MOIRE_VERSION_H
#define MOIRE_VERSION_H

#define MOIRE_VERSION "0.1.0"

#endif
