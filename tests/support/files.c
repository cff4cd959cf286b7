#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

char files_root[PATH_MAX];

void files_setup(void) {
  const char *base = getenv("TMPDIR");
  snprintf(files_root, sizeof files_root, "%s/likeness-test-XXXXXX", base != NULL ? base : "/tmp");
  cr_assert_not_null(mkdtemp(files_root));
}

void files_remove_folder(const char *folder) {
  DIR *entries = opendir(folder);
  if (entries == NULL) return;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char path[PATH_MAX + 256];
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (unlink(path) != 0) files_remove_folder(path);
  }
  closedir(entries);
  rmdir(folder);
}

void files_teardown(void) { files_remove_folder(files_root); }

const char *files_path(const char *name) {
  static char paths[8][PATH_MAX + 256];
  static unsigned next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", files_root, name);
  return path;
}

void files_write(const char *path, const void *data, size_t size) {
  FILE *file = fopen(path, "wb");
  cr_assert_not_null(file, "%s", path);
  cr_assert(size == 0 || fwrite(data, 1, size, file) == size);
  cr_assert_eq(fclose(file), 0);
}

char *files_read(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  cr_assert_not_null(file, "%s", path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(*size + 1);
  cr_assert_eq(fread(data, 1, *size, file), *size);
  fclose(file);
  return data;
}

uint32_t files_lines_with(const char *folder, const char *name, const char *words) {
  char path[PATH_MAX + 64];
  size_t size;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *text = files_read(path, &size);
  text[size] = '\0';
  uint32_t count = 0;
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) count += strstr(line, words) != NULL;
  free(text);
  return count;
}

void files_copy(const char *from, const char *to) {
  size_t size;
  char *data = files_read(from, &size);
  files_write(to, data, size);
  free(data);
}

uint32_t files_count(const char *folder) {
  DIR *entries = opendir(folder);
  cr_assert_not_null(entries, "%s", folder);
  uint32_t count = 0;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
             strcmp(entry->d_name, LK_FOLDER_LOCK) != 0;
  closedir(entries);
  return count;
}

uint64_t files_digest(const char *folder) {
  DIR *entries = opendir(folder);
  cr_assert_not_null(entries, "%s", folder);
  uint64_t digest = 0;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (strcmp(entry->d_name, LK_FOLDER_LOCK) == 0) continue;
    char path[PATH_MAX];
    cr_assert_lt(snprintf(path, sizeof path, "%s/%s", folder, entry->d_name), PATH_MAX);
    size_t size;
    char *data = files_read(path, &size);
    digest += XXH3_64bits_withSeed(data, size, XXH3_64bits(entry->d_name, strlen(entry->d_name)));
    free(data);
  }
  closedir(entries);
  return digest;
}

void files_write_npy(const char *path, const char *element, uint64_t rows, uint32_t dim, const void *data,
                     size_t size) {
  char header[128];
  memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
  int length =
      snprintf(header + 10, sizeof header - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu, %u), }",
               element, (unsigned long long)rows, dim);
  memset(header + 10 + length, ' ', sizeof header - 10 - (size_t)length);
  header[127] = '\n';
  char *whole = malloc(sizeof header + size);
  memcpy(whole, header, sizeof header);
  if (size > 0) memcpy(whole + sizeof header, data, size);
  files_write(path, whole, sizeof header + size);
  free(whole);
}

void files_write_vecs(const char *path, size_t element_size, uint64_t rows, uint32_t dim, const void *data) {
  FILE *file = fopen(path, "wb");
  cr_assert_not_null(file, "%s", path);
  for (uint64_t r = 0; r < rows; r++) {
    cr_assert_eq(fwrite(&dim, sizeof dim, 1, file), 1);
    cr_assert_eq(fwrite((const char *)data + r * dim * element_size, element_size, dim, file), dim);
  }
  cr_assert_eq(fclose(file), 0);
}

float *files_random(random_state *random, uint64_t rows, uint32_t dim) {
  float *data = malloc(rows * dim * sizeof *data);
  for (uint64_t i = 0; i < rows * dim; i++) data[i] = (float)random_normal(random);
  return data;
}

lk_vectors files_vectors(const float *data, uint64_t rows, uint32_t dim) {
  return (lk_vectors){.name = "vectors", .data = data, .rows = rows, .dim = dim, .element = LK_F32};
}

const char *files_gallery(const char *name, lk_metric metric, uint32_t dim) {
  static char folders[8][PATH_MAX + 256];
  static unsigned next;
  char *folder = strcpy(folders[next++ % 8], files_path(name));
  lk_error error = {0};
  lk_gallery_options options = {.dim = dim, .metric = metric, .model = "m1"};
  cr_assert_eq(lk_gallery_create(folder, &options, &error), LK_OK, "%s", error.text);
  return folder;
}

uint64_t files_enroll(const char *folder, const float *data, uint64_t rows, uint32_t dim, const lk_label *labels) {
  lk_error error = {0};
  lk_vectors vectors = files_vectors(data, rows, dim);
  uint64_t from = UINT64_MAX;
  cr_assert_eq(lk_gallery_enroll(folder, &vectors, labels, NULL, NULL, NULL, &from, &error), LK_OK, "%s", error.text);
  return from;
}

const lk_folder *files_folder(const char *path) {
  static lk_folder folder = {.fd = -1};
  lk_error error = {0};
  lk_folder_close(&folder);
  cr_assert_eq(lk_folder_open(path, &folder, &error), LK_OK, "%s", error.text);
  return &folder;
}

lk_gallery *files_open(const char *folder) {
  lk_error error = {0};
  lk_gallery *gallery = NULL;
  cr_assert_eq(lk_gallery_open(folder, &gallery, &error), LK_OK, "%s", error.text);
  return gallery;
}
