#include "engine/queue/address.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/files.h"

TestSuite(address, .init = files_setup, .fini = files_teardown);

static lk_address address;
static lk_error error;

static void expect(const char *url, const char *path, const char *user, const char *host, int port, int database) {
  cr_assert_eq(lk_address_parse(url, &address, &error), LK_OK, "%s", error.text);
  cr_assert_str_eq(address.text, url);
  cr_assert_eq(address.places_count, 1, "%s", url);
  cr_assert_str_eq(address.places[0].path, path);
  cr_assert_str_eq(address.user, user);
  cr_assert_str_eq(address.places[0].host, host);
  cr_assert(address.places[0].port == port && address.database == database, "%s", url);
  cr_assert_str_eq(address.master, "");
  cr_assert_str_eq(address.password, "");
}

static void expect_bad(const char *url, const char *words) {
  error.text[0] = '\0';
  cr_assert_eq(lk_address_parse(url, &address, &error), LK_EINVAL, "%s", url);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
}

Test(address, forms) {
  expect("unix:/run/redis.sock", "/run/redis.sock", "", "", 0, 0);
  expect("unix:relative", "relative", "", "", 0, 0);
  expect("redis://localhost", "", "", "localhost", 6379, 0);
  expect("redis://localhost/", "", "", "localhost", 6379, 0);
  expect("redis://10.0.0.1:7000/3", "", "", "10.0.0.1", 7000, 3);
  expect("redis://ann@cache:1", "", "ann", "cache", 1, 0);
  expect("redis://[::1]", "", "", "::1", 6379, 0);
  expect("redis://ann@[fe80::1%eth0]:7/2", "", "ann", "fe80::1%eth0", 7, 2);
}

static void expect_place(uint32_t i, const char *host, int port) {
  cr_assert_str_eq(address.places[i].host, host);
  cr_assert_eq(address.places[i].port, port, "%s", host);
}

Test(address, several_hosts) {
  cr_assert_eq(lk_address_parse("redis://ann@a,b:2,[::3]:3/4", &address, &error), LK_OK, "%s", error.text);
  cr_assert_eq(address.places_count, 3);
  expect_place(0, "a", 6379);
  expect_place(1, "b", 2);
  expect_place(2, "::3", 3);
  cr_assert(address.database == 4 && !address.tls);
  cr_assert_str_eq(address.user, "ann");
  cr_assert_str_eq(address.master, "");
  expect_bad("redis://a,", "no host");
  expect_bad("redis://,a", "no host");
  expect_bad("redis://a,b:x", "port");
  expect_bad("redis://1,2,3,4,5,6,7,8,9", "more than 8 hosts");
}

Test(address, sentinels) {
  cr_assert_eq(lk_address_parse("redis+sentinel://ann@a,b:2/mymaster", &address, &error), LK_OK, "%s", error.text);
  cr_assert_eq(address.places_count, 2);
  expect_place(0, "a", 26379);
  expect_place(1, "b", 2);
  cr_assert_str_eq(address.master, "mymaster");
  cr_assert_eq(address.database, 0);
  cr_assert_eq(lk_address_parse("redis+sentinel://a/mymaster/7", &address, &error), LK_OK, "%s", error.text);
  cr_assert_str_eq(address.master, "mymaster");
  cr_assert_eq(address.database, 7);
  expect_bad("redis+sentinel://a", "name of a master");
  expect_bad("redis+sentinel://a/", "name of a master");
  expect_bad("redis+sentinel://a//7", "name of a master");
  expect_bad("redis+sentinel://a/m/x", "database");
  expect_bad("redis+sentinels://a/m", "must begin with");
}

Test(address, refusals) {
  expect_bad("", "must begin with");
  expect_bad("localhost:6379", "must begin with");
  expect_bad("REDIS://localhost", "must begin with");
  expect_bad("rediss://localhost", "TLS");
  expect_bad("unix:", "no path");
  expect_bad("redis://", "no host");
  expect_bad("redis:///3", "no host");
  expect_bad("redis://:6379", "no host");
  expect_bad("redis://h:", "port");
  expect_bad("redis://h:65536", "port");
  expect_bad("redis://h:+1", "port");
  expect_bad("redis://h:1x", "port");
  expect_bad("redis://h:0", "port");
  expect_bad("redis://fe80::1", "brackets");
  expect_bad("redis://[::1", "bracket");
  expect_bad("redis://[]", "no host");
  expect_bad("redis://[::1]x", "follows the host");
  expect_bad("redis://h/x", "database");
  expect_bad("redis://h/-1", "database");
  expect_bad("redis://h/9999999999999999999999", "database");
}

/* A password in the address is refused, as the process list would show it. The message must not repeat it. */
Test(address, a_password_is_refused_and_not_shown) {
  expect_bad("redis://ann:hunter2@cache", "--password-file");
  cr_assert_null(strstr(error.text, "hunter2"));
}

Test(address, parts_that_are_too_long) {
  char url[1000];
  const char *const forms[] = {"unix:%0*d", "redis://%0*d", "redis://%0*d@h"};
  for (size_t i = 0; i < 3; i++)
    for (int length = 1; length < 980; length++) {
      snprintf(url, sizeof url, forms[i], length, 1);
      lk_status status = lk_address_parse(url, &address, &error);
      cr_assert_eq(status, length < (i == 0 ? 108 : 128) ? LK_OK : LK_EINVAL, "%s", url);
    }
}

static lk_status read_password(const char *text, size_t length) {
  files_write(files_path("password"), text, length);
  error.text[0] = '\0';
  return lk_address_read_password(files_path("password"), &address, &error);
}

Test(address, password_file) {
  static const char *const same[] = {"secret", "secret\n", "secret\r\n", "secret\nmore\n"};
  for (size_t i = 0; i < 4; i++) {
    cr_assert_eq(read_password(same[i], strlen(same[i])), LK_OK, "%s", error.text);
    cr_assert_str_eq(address.password, "secret");
    cr_assert_str_eq(address.password_file, files_path("password"));
  }
  cr_assert_eq(read_password("", 0), LK_EFORMAT);
  cr_assert_eq(read_password("\nsecret\n", 8), LK_EFORMAT);
  cr_assert_eq(lk_address_read_password(files_path("none"), &address, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "none"));
}

/* A password that is too long is refused, not cut. */
Test(address, long_passwords) {
  char text[400];
  memset(text, 'p', sizeof text);
  for (size_t length = 200; length < sizeof text; length++) {
    text[length] = '\n';
    lk_status status = read_password(text, length + 1);
    text[length] = 'p';
    if (status == LK_OK)
      cr_assert_eq(strlen(address.password), length);
    else
      cr_assert(status == LK_EFORMAT && length > 250, "%zu: %s", length, error.text);
  }
}
