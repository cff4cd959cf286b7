/* What a signature covers. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "engine/queue/signature.h"

static lk_field fields[LK_FIELDS_MAX];
static size_t count;

static void add(const char *name, const char *value) {
  fields[count++] = (lk_field){.name = lk_text_of(name), .value = value, .length = strlen(value)};
}

static void setup(void) {
  cr_assert_geq(sodium_init(), 0);
  count = 0;
  add("v", "1");
  add("op", "identify");
  add("id", "j1");
  add("actor", "desk");
  add("f32", "abcd");
}

TestSuite(signature, .init = setup);

static void message(unsigned char out[LK_SIGNED_SIZE]) {
  lk_error error;
  cr_assert_eq(lk_signature_message(fields, count, out, &error), LK_OK, "%s", error.text);
}

static bool is_same(const unsigned char before[LK_SIGNED_SIZE]) {
  unsigned char now[LK_SIGNED_SIZE];
  message(now);
  return memcmp(now, before, sizeof now) == 0;
}

/* Made with Python: hashlib.sha512 over each field's name and value, each after its length in eight bytes, by name. */
Test(signature, is_of_what_the_protocol_says) {
  static const char expected[] = "9e7e050ccf3f171a593932db108b709594642e8b7ce0debf73f6f9a269cc63f4f3d36a25f5342c2d62b88"
                                 "6a4b996f9a173a287b1bde1a77600918aa4ddba891a";
  unsigned char made[LK_SIGNED_SIZE];
  char hex[129];
  message(made);
  cr_assert_eq(memcmp(made, "likeness-job-1\n", 15), 0);
  cr_assert_str_eq(sodium_bin2hex(hex, sizeof hex, made + 15, 64), expected);
}

Test(signature, order_does_not_count) {
  unsigned char made[LK_SIGNED_SIZE];
  message(made);
  for (size_t i = 1; i < count; i++) {
    lk_field first = fields[0];
    fields[0] = fields[i];
    fields[i] = first;
    cr_assert(is_same(made), "field %zu", i);
  }
}

Test(signature, every_byte_counts_and_every_field) {
  unsigned char made[LK_SIGNED_SIZE];
  message(made);
  for (size_t i = 0; i < count; i++) {
    lk_field kept = fields[i];
    char value[16];
    memcpy(value, kept.value, kept.length);
    value[kept.length - 1] ^= 1;
    fields[i].value = value;
    cr_assert_not(is_same(made), "value of field %zu", i);
    fields[i] = kept;
    fields[i].length--;
    cr_assert_not(is_same(made), "length of field %zu", i);
    fields[i] = kept;
    fields[i].name = lk_text_of("other");
    cr_assert_not(is_same(made), "name of field %zu", i);
    fields[i] = fields[count - 1];
    count--;
    cr_assert_not(is_same(made), "field %zu gone", i);
    fields[i] = kept;
    count++;
    if (i + 1 < count) fields[count - 1] = (lk_field){.name = lk_text_of("f32"), .value = "abcd", .length = 4};
    cr_assert(is_same(made));
  }
  add("note", "");
  cr_assert_not(is_same(made), "a further field, of which the worker knows nothing");
}

/* Where one value ends and the next name begins is signed too. */
Test(signature, bytes_cannot_move_between_fields) {
  unsigned char made[LK_SIGNED_SIZE];
  count = 0;
  add("ab", "c");
  message(made);
  count = 0;
  add("a", "bc");
  cr_assert_not(is_same(made));
  count = 0;
  add("a", "b");
  add("c", "d");
  message(made);
  count = 0;
  add("a", "bcd");
  cr_assert_not(is_same(made));
}

Test(signature, a_field_that_comes_twice_is_refused) {
  unsigned char made[LK_SIGNED_SIZE];
  lk_error error;
  add("id", "j2");
  cr_assert_eq(lk_signature_message(fields, count, made, &error), LK_EBADJOB);
  cr_assert_not_null(strstr(error.text, "field id occurs twice"), "%s", error.text);
}

Test(signature, does_not_cover_itself) {
  unsigned char made[LK_SIGNED_SIZE];
  message(made);
  add(LK_SIGNATURE_FIELD, "00");
  add(LK_SIGNATURE_FIELD, "11");
  cr_assert(is_same(made));
}

/* RFC 8032, 7.1, TEST 1's key; libsodium verifies what lk_signature_sign makes. */
Test(signature, is_ed25519) {
  static const unsigned char seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                         0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                         0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
  unsigned char public_key[32], made[LK_SIGNED_SIZE], signature[LK_SIGNATURE_SIZE];
  lk_signing_key key = {0};
  char hex[LK_SIGNATURE_HEX];
  crypto_sign_seed_keypair(public_key, key.secret, seed);
  sodium_bin2hex(key.public_hex, sizeof key.public_hex, public_key, sizeof public_key);
  cr_assert_str_eq(key.public_hex, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  message(made);
  lk_signature_sign(made, &key, hex);
  cr_assert_eq(sodium_hex2bin(signature, sizeof signature, hex, strlen(hex), NULL, NULL, NULL), 0);
  cr_assert_eq(crypto_sign_verify_detached(signature, made, sizeof made, public_key), 0);
}
