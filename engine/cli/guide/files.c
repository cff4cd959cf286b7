#include "engine/cli/guide/files.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/fail.h"
#include "engine/cli/guide/completion.h"
#include "engine/cli/guide/manual.h"

typedef void write_text(FILE *out, const lk_guide *guide);

static void write_overview(FILE *out, const lk_guide *guide) {
  (void)guide;
  lk_manual_overview(out);
}

static void write_bash(FILE *out, const lk_guide *guide) {
  (void)guide;
  lk_completion_bash(out);
}

static void write_zsh(FILE *out, const lk_guide *guide) {
  (void)guide;
  lk_completion_zsh(out);
}

static lk_status write_file(const char *folder, const char *name, write_text *write, const lk_guide *guide,
                            lk_error *error) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *out = fopen(path, "we");
  if (out == NULL) return lk_fail(error, LK_EIO, "%s: cannot create: %s", path, strerror(errno));
  write(out, guide);
  bool failed = ferror(out) != 0;
  if (fclose(out) != 0 || failed) return lk_fail(error, LK_EIO, "%s: cannot write: %s", path, strerror(errno));
  return LK_OK;
}

lk_status lk_guide_write_files(const char *folder, lk_error *error) {
  char name[LK_MANUAL_NAME_MAX], file[LK_MANUAL_NAME_MAX + 8];
  lk_status status = write_file(folder, "likeness.bash", write_bash, NULL, error);
  if (status == LK_OK) status = write_file(folder, "_likeness", write_zsh, NULL, error);
  if (status == LK_OK) status = write_file(folder, "man1/likeness.1", write_overview, NULL, error);
  for (const lk_guide *g = lk_guides; status == LK_OK && g->name != NULL; g++) {
    lk_manual_name(g, name);
    snprintf(file, sizeof file, "man1/%s.1", name);
    status = write_file(folder, file, lk_manual_command, g, error);
  }
  return status;
}
