#include "index/formats/vectors/vector_format.h"

#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/vectors/foreign.h"

const lk_vector_format *const lk_vector_formats[] = {
    &lk_npy_format,   &lk_npz_format,  &lk_hdf5_format, &lk_number_text_format, &lk_fvecs_format, &lk_bvecs_format,
    &lk_ivecs_format, &lk_fbin_format, &lk_ibin_format, &lk_u8bin_format,       &lk_i8bin_format, NULL};

static bool has_ending(const char *path, const char *ending, size_t length) {
  size_t all = strlen(path);
  return all > length && strncasecmp(path + all - length, ending, length) == 0;
}

bool lk_vector_format_is_named(const char *endings, const char *path) {
  for (const char *ending = endings; *ending != '\0';) {
    size_t length = strcspn(ending, " ");
    if (has_ending(path, ending, length)) return true;
    ending += length + (ending[length] == ' ');
  }
  return false;
}

static lk_status refuse_content(const lk_vector_source *source, const lk_vector_format *named, lk_error *error) {
  lk_status status = lk_foreign_refuse_content(source, error);
  if (status != LK_OK) return status;
  return lk_fail(error, LK_EFORMAT, "%s: its name is that of '%s', but it begins with other bytes", source->name,
                 named->name);
}

static bool has_mark_at(const lk_vector_format *format, const lk_file *file, size_t at) {
  return file->size >= format->magic_bytes && at <= file->size - format->magic_bytes &&
         memcmp((const char *)file->data + at, format->magic, format->magic_bytes) == 0;
}

static bool is_marked(const lk_vector_format *format, const lk_file *file) {
  if (format->magic_bytes == 0) return false;
  bool found = has_mark_at(format, file, 0);
  for (size_t at = format->mark_moves; at > 0 && at < file->size && !found; at = at <= SIZE_MAX / 2 ? 2 * at : 0)
    found = has_mark_at(format, file, at);
  return found;
}

static lk_status refuse_name(const lk_vector_source *source, lk_error *error) {
  lk_status status = lk_foreign_refuse_content(source, error);
  if (status != LK_OK) return status;
  char endings[256] = "";
  size_t used = 0;
  for (int i = 0; lk_vector_formats[i] != NULL; i++)
    used = lk_text_append(endings, sizeof endings, used, "%s%s", i > 0 ? " " : "", lk_vector_formats[i]->endings);
  return lk_fail(error, LK_EFORMAT, "%s: not a vector file by its name, nor by its content; names end in %s",
                 source->name, endings);
}

lk_status lk_vector_format_find(lk_vector_source *source, lk_error *error) {
  const lk_vector_format *named = NULL, *marked = NULL;
  lk_status status = lk_foreign_refuse_name(source, error);
  if (status != LK_OK) return status;
  for (int i = 0; lk_vector_formats[i] != NULL; i++) {
    if (lk_vector_format_is_named(lk_vector_formats[i]->endings, source->path)) named = lk_vector_formats[i];
    if (marked == NULL && is_marked(lk_vector_formats[i], &source->file)) marked = lk_vector_formats[i];
  }
  source->format = marked != NULL ? marked : named;
  if (source->format == NULL) return refuse_name(source, error);
  if (marked != NULL && named != NULL && marked != named)
    return lk_fail(error, LK_EFORMAT, "%s: by its content it is '%s', whose name ends in %s, not '%s'", source->name,
                   marked->name, marked->endings, named->name);
  if (named != NULL && marked == NULL && named->magic_bytes > 0) return refuse_content(source, named, error);
  if (source->member != NULL && !source->format->has_members)
    return lk_fail(error, LK_EFORMAT, "%s: a %s has one array, without a name", source->name, source->format->name);
  return LK_OK;
}

lk_status lk_vector_format_check_dim(const char *name, uint64_t dim, lk_error *error) {
  if (dim >= 1 && dim <= LK_DIM_MAX) return LK_OK;
  return lk_fail(error, LK_EDIM, "%s: rows of %llu elements; 1 to %d can be searched", name, (unsigned long long)dim,
                 LK_DIM_MAX);
}
