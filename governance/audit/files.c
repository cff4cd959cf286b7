#include "governance/audit/files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BEGIN "audit-"

void lk_audit_file_name(uint32_t number, char name[LK_AUDIT_FILE_NAME]) {
  snprintf(name, LK_AUDIT_FILE_NAME, NAME_BEGIN "%06" PRIu32 ".log", number);
}

/* 0: not the name of a log file. */
static uint32_t number_of(const char *name) {
  char again[LK_AUDIT_FILE_NAME];
  if (strncmp(name, NAME_BEGIN, strlen(NAME_BEGIN)) != 0) return 0;
  uint32_t number = (uint32_t)strtoul(name + strlen(NAME_BEGIN), NULL, 10);
  lk_audit_file_name(number, again);
  return strcmp(name, again) == 0 ? number : 0;
}

lk_status lk_audit_file_path(const lk_folder *folder, uint32_t number, char *path, lk_error *error) {
  char name[LK_AUDIT_FILE_NAME];
  lk_audit_file_name(number, name);
  return lk_file_join(path, folder->path, name, error);
}

lk_status lk_audit_files_last(const lk_folder *folder, uint32_t *last, lk_error *error) {
  DIR *entries = lk_folder_entries(folder);
  if (entries == NULL) return lk_fail(error, LK_EIO, "%s: cannot open: %s", folder->path, strerror(errno));
  *last = 0;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    uint32_t number = number_of(entry->d_name);
    if (number > *last) *last = number;
  }
  closedir(entries);
  return LK_OK;
}

lk_status lk_audit_file_read(const lk_folder *folder, const char *path, lk_audit_chain *chain, size_t *size,
                             size_t *whole, lk_audit_visit *visit, void *context, lk_error *error) {
  lk_file file;
  lk_status status =
      folder != NULL ? lk_folder_read(folder, strrchr(path, '/') + 1, &file, error) : lk_file_read(path, &file, error);
  if (status != LK_OK) return status;
  chain->at_start = true;
  *size = file.size;
  *whole = 0;
  if (file.size > 0) status = lk_audit_chain_read(chain, path, file.data, file.size, whole, visit, context, error);
  lk_file_free(&file);
  return status;
}
