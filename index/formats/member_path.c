#include "index/formats/member_path.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_file(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

static bool cut(const char *name, size_t length, lk_member_path *path) {
  if (length >= sizeof path->file) length = sizeof path->file - 1;
  memcpy(path->file, name, length);
  path->file[length] = '\0';
  return is_file(path->file);
}

void lk_member_path_split(const char *name, lk_member_path *path) {
  path->member = NULL;
  if (access(name, F_OK) != 0)
    for (const char *colon = strchr(name, ':'); colon != NULL; colon = strchr(colon + 1, ':'))
      if (cut(name, (size_t)(colon - name), path)) {
        path->member = colon + 1;
        return;
      }
  cut(name, strlen(name), path);
}
