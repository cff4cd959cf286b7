/* Temporary files, vectors and galleries for the tests of index/. A suite with files_setup and files_teardown as its
 * .init and .fini has a folder of its own in each test. What goes wrong here ends the test. */
#ifndef TESTS_SUPPORT_FILES_H
#define TESTS_SUPPORT_FILES_H

#include <limits.h>
#include <stddef.h>

#include <likeness/likeness.h>
#include "base/folder.h"
#include "tests/support/random.h"

extern char files_root[PATH_MAX]; /* the test's folder */
void files_setup(void);
void files_teardown(void);
/* Removes a folder with all that is in it. */
void files_remove_folder(const char *folder);

/* "files_root/name"; one of 8 buffers, taken in turn. */
const char *files_path(const char *name);

void files_write(const char *path, const void *data, size_t size);
/* The caller frees it. */
char *files_read(const char *path, size_t *size);
/* Lines of the text file `folder`/`name` that have these words. */
uint32_t files_lines_with(const char *folder, const char *name, const char *words);
void files_copy(const char *from, const char *to);
/* Entries of a folder, without . and .. and the lock file of writers */
uint32_t files_count(const char *folder);
/* Checksum over the names and contents of a folder's files but the lock file, whatever order they are in. */
uint64_t files_digest(const char *folder);

/* `element`: "<f4", "|u1", ... */
void files_write_npy(const char *path, const char *element, uint64_t rows, uint32_t dim, const void *data, size_t size);

/* .fvecs or .bvecs: elements of 4 or 1 bytes. */
void files_write_vecs(const char *path, size_t element_size, uint64_t rows, uint32_t dim, const void *data);

/* rows x dim normal numbers; the caller frees them. */
float *files_random(random_state *random, uint64_t rows, uint32_t dim);
lk_vectors files_vectors(const float *data, uint64_t rows, uint32_t dim);

/* Makes the gallery `name` in files_root; returns its folder, one of 8 buffers of their own. */
const char *files_gallery(const char *name, lk_metric metric, uint32_t dim);
/* Enrolls or fails the test; returns the first number. */
uint64_t files_enroll(const char *folder, const float *data, uint64_t rows, uint32_t dim, const lk_label *labels);
/* The open folder; until the next call. Fails the test if it cannot be opened. */
const lk_folder *files_folder(const char *path);
/* Opens or fails the test. */
lk_gallery *files_open(const char *folder);

#endif
