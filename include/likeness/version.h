/* The version: LK_VERSION of the headers that a program is compiled with, lk_version of the library that it runs with.
 * Below 1.0 both must have the same minor version. The build takes the number from this file. */
#ifndef LIKENESS_VERSION_H
#define LIKENESS_VERSION_H

#include <likeness/api.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LK_VERSION_MAJOR 0
#define LK_VERSION_MINOR 2
#define LK_VERSION_PATCH 0
#define LK_VERSION "0.2.0"

/* "MAJOR.MINOR.PATCH"; lives for ever. */
LK_API const char *lk_version(void);

#ifdef __cplusplus
}
#endif

#endif
