#include "index/formats/vectors/npz.h"

#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/vectors/npy.h"
#include "index/formats/vectors/vector_format.h"
#include "index/formats/vectors/zip.h"

/* The name of the array; of no bytes if the member is not an .npy file. */
static lk_text array_name(lk_text member) {
  if (member.length <= 4 || memcmp(member.bytes + member.length - 4, ".npy", 4) != 0) return (lk_text){0};
  return (lk_text){.bytes = member.bytes, .length = member.length - 4};
}

typedef struct choice {
  const char *wanted; /* NULL: the only one */
  uint32_t arrays, chosen;
  lk_zip_member member; /* the last chosen */
  char names[256];      /* of the arrays, for messages */
  size_t used;
} choice;

static void consider(choice *c, const lk_zip_member *member) {
  lk_text name = array_name(member->name);
  if (name.length == 0) return;
  c->used = lk_text_append(c->names, sizeof c->names, c->used, "%s%.*s", c->arrays > 0 ? ", " : "", lk_text_shown(name),
                           name.bytes);
  c->arrays++;
  if (c->wanted != NULL && !lk_text_equal(name, lk_text_of(c->wanted)) &&
      !lk_text_equal(member->name, lk_text_of(c->wanted)))
    return;
  c->chosen++;
  c->member = *member;
}

static lk_status choose(const char *name, lk_zip *zip, choice *c, lk_error *error) {
  lk_status status = LK_OK;
  while (status == LK_OK && zip->left > 0) {
    lk_zip_member member;
    status = lk_zip_next(zip, &member, error);
    if (status == LK_OK) consider(c, &member);
  }
  if (status != LK_OK || c->chosen == 1) return status;
  if (c->arrays == 0) return lk_fail(error, LK_EFORMAT, "%s: the archive has no arrays", name);
  if (c->wanted != NULL)
    return lk_fail(error, LK_EFORMAT, "%s: the archive has %s array of this name; it has %s", name,
                   c->chosen > 1 ? "more than one" : "no", c->names);
  return lk_fail(error, LK_EFORMAT, "%s: the archive has several arrays; name one, as FILE.npz:NAME: %s", name,
                 c->names);
}

static lk_status unpack(const char *name, const lk_zip *zip, const lk_zip_member *member, lk_file *decoded,
                        lk_error *error) {
  lk_scratch scratch;
  lk_scratch_open(name, &scratch);
  lk_status status = lk_zip_unpack(zip, member, &scratch, error);
  if (status == LK_OK) status = lk_scratch_map(&scratch, decoded, error);
  lk_scratch_close(&scratch);
  return status;
}

lk_status lk_npz_find(const char *name, const void *data, size_t size, const char *member, lk_file *decoded,
                      lk_file *npy, lk_error *error) {
  choice c = {.wanted = member};
  lk_zip zip;
  lk_status status = lk_zip_open(name, data, size, &zip, error);
  if (status == LK_OK) status = choose(name, &zip, &c, error);
  if (status == LK_OK && !c.member.is_stored) status = unpack(name, &zip, &c.member, decoded, error);
  if (status != LK_OK) return status;
  *npy = c.member.is_stored ? (lk_file){.data = c.member.packed, .size = c.member.bytes} : *decoded;
  return LK_OK;
}

static lk_status open_npz(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  lk_file npy;
  lk_status status =
      lk_npz_find(source->name, source->file.data, source->file.size, source->member, decoded, &npy, error);
  return status == LK_OK ? lk_npy_parse(source->name, npy.data, npy.size, vectors, error) : status;
}

const lk_vector_format lk_npz_format = {.name = "NumPy archive",
                                        .endings = ".npz",
                                        .magic = "PK\3\4",
                                        .magic_bytes = 4,
                                        .has_members = true,
                                        .holds = "arrays as in .npy, stored or deflated: the only one, or `FILE:NAME`",
                                        .open = open_npz};
