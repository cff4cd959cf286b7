/* Galleries that older builds made: they are read as they are, and upgraded by the next change. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/gallery/gallery.h"
#include "tests/support/files.h"

/* As 0.2.0 wrote them. */
static const char unbound[] = "{\n"
                              "  \"version\": 1,\n"
                              "  \"metric\": \"cosine\",\n"
                              "  \"dim\": 2,\n"
                              "  \"store\": \"f32\",\n"
                              "  \"name\": \"faces\",\n"
                              "  \"model\": \"\",\n"
                              "  \"epoch\": 0,\n"
                              "  \"next_number\": 0,\n"
                              "  \"next_segment\": 1,\n"
                              "  \"segments\": [],\n"
                              "  \"checksum\": \"ce5cd52fd6552c1b\"\n"
                              "}";
static const char bound[] = "{\n"
                            "  \"version\": 2,\n"
                            "  \"metric\": \"cosine\",\n"
                            "  \"dim\": 2,\n"
                            "  \"store\": \"f32\",\n"
                            "  \"name\": \"faces\",\n"
                            "  \"model\": \"\",\n"
                            "  \"epoch\": 2,\n"
                            "  \"next_number\": 0,\n"
                            "  \"next_segment\": 1,\n"
                            "  \"segments\": [],\n"
                            "  \"governance\": {\n"
                            "    \"policy\": \"p.yaml\"\n"
                            "  },\n"
                            "  \"checksum\": \"3cbc0a603f670a7b\"\n"
                            "}";
static const char policy[] = "policy: 1\nname: t\nrules:\n  - id: a\n    effect: permit\n    text: x\n";
static const uint8_t no_identity[LK_GALLERY_ID_BYTES];

static char folder[PATH_MAX];

static void setup(void) {
  files_setup();
  strcpy(folder, files_path("faces"));
}

TestSuite(upgrade, .init = setup, .fini = files_teardown);

static void make_older(const char *manifest) {
  cr_assert_eq(mkdir(folder, 0700), 0);
  files_write(files_path("faces/MANIFEST"), manifest, strlen(manifest));
  files_write(files_path("faces/p.yaml"), policy, sizeof policy - 1);
}

static void read_manifest(lk_manifest *manifest) {
  lk_error error = {0};
  cr_assert_eq(lk_manifest_read(files_folder(folder), manifest, &error), LK_OK, "%s", error.text);
}

/* The identity of the gallery, which is of the newest version. */
static void check_upgraded(uint8_t id[LK_GALLERY_ID_BYTES]) {
  lk_manifest manifest;
  read_manifest(&manifest);
  cr_assert_eq(manifest.version, LK_MANIFEST_VERSION);
  cr_assert_arr_neq(manifest.id, no_identity, sizeof no_identity);
  cr_assert(manifest.journals_count == 0 && manifest.state.id == 0 && manifest.sequence == 0);
  memcpy(id, manifest.id, sizeof no_identity);
  lk_manifest_free(&manifest);
}

static void bind_to(const char *path) {
  lk_error error = {0};
  lk_binding binding = {.policy = path};
  cr_assert_eq(lk_gallery_bind(folder, &binding, &error), LK_OK, "%s", error.text);
}

Test(upgrade, opening_changes_nothing) {
  lk_manifest manifest;
  make_older(bound);
  uint64_t before = files_digest(folder);
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(gallery->manifest.version, 2);
  cr_assert_str_eq(gallery->manifest.binding.policy, "p.yaml");
  lk_gallery_close(gallery);
  read_manifest(&manifest);
  cr_assert_arr_eq(manifest.id, no_identity, sizeof no_identity);
  lk_manifest_free(&manifest);
  cr_assert_eq(files_digest(folder), before);
}

/* Ids go on, and the identity stays. */
Test(upgrade, by_an_enrollment) {
  uint8_t id[LK_GALLERY_ID_BYTES], later[LK_GALLERY_ID_BYTES];
  make_older(unbound);
  files_enroll(folder, (float[]){1, 2}, 1, 2, NULL);
  check_upgraded(id);
  files_enroll(folder, (float[]){3, 4}, 1, 2, NULL);
  check_upgraded(later);
  cr_assert_arr_eq(id, later, sizeof id);
  lk_gallery *gallery = files_open(folder);
  cr_assert(gallery->manifest.segments[1].id == 2 && gallery->manifest.next_file == 3);
  lk_gallery_close(gallery);
}

Test(upgrade, by_a_binding) {
  uint8_t id[LK_GALLERY_ID_BYTES], later[LK_GALLERY_ID_BYTES];
  make_older(unbound);
  bind_to(files_path("faces/p.yaml"));
  check_upgraded(id);
  bind_to(NULL);
  check_upgraded(later);
  cr_assert_arr_eq(id, later, sizeof id);
}

/* The policy is not lost on the way. */
Test(upgrade, of_a_bound_gallery) {
  uint8_t id[LK_GALLERY_ID_BYTES];
  make_older(bound);
  files_enroll(folder, (float[]){1, 2}, 1, 2, NULL);
  check_upgraded(id);
  lk_gallery *gallery = files_open(folder);
  cr_assert_str_eq(gallery->manifest.binding.policy, "p.yaml");
  lk_gallery_close(gallery);
}

Test(upgrade, new_galleries_have_identities_of_their_own) {
  uint8_t id[LK_GALLERY_ID_BYTES], other[LK_GALLERY_ID_BYTES];
  files_gallery("faces", LK_L2, 3);
  check_upgraded(id);
  files_gallery("others", LK_L2, 3);
  strcpy(folder, files_path("others"));
  check_upgraded(other);
  cr_assert_arr_neq(id, other, sizeof id);
}
