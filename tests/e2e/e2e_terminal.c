/* Text from outside, as a person at a terminal sees it: no key, reason, name or message may act on the terminal. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <likeness/audit.h>
#include "base/text.h"
#include "tests/e2e/e2e.h"
#include "tests/support/hidden.h"

/* A direction, a control sequence of one character, a zero-width space; these are texts that a gallery accepts. */
#define RLO "\xe2\x80\xae"
#define CSI "\xc2\x9b"
#define KEY "k" RLO "gpj" CSI "2J"
#define SUBJECT "s\xe2\x80\x8b\\"
#define GROUP "g" RLO
#define KEY_SHOWN "k\\u{202e}gpj\\u{9b}2J"
#define SUBJECT_SHOWN "s\\u{200b}\\\\"
/* What the gallery does not accept, but a name, a message or a claim may have: the terminal's title, a forged line. */
#define TITLE "\x1b]0;owned\x07"
#define TITLE_SHOWN "\\u{1b}]0;owned\\u{7}"

static process p;
static int master = -1;

static const char *gallery(void) { return files_path("g"); }
static const char *vectors(void) { return files_path("v.npy"); }
static const char *labels(void) { return files_path("labels.csv"); }

static void setup(void) {
  static const float data[2] = {1, 0};
  static const char csv[] = "row,key,subject,group,metadata\n0," KEY "," SUBJECT "," GROUP ",b" RLO "7\n";
  lk_gallery_options options = {.dim = 2, .metric = LK_COSINE, .model = "m" RLO};
  files_setup();
  cr_assert_eq(lk_gallery_create(gallery(), &options, NULL), LK_OK);
  files_write_npy(vectors(), "<f4", 1, 2, data, sizeof data);
  files_write(labels(), csv, sizeof csv - 1);
  cr_assert_eq(likeness(&p, "enroll", gallery(), vectors(), "--labels", labels(), NULL), 0, "%s", process_log(&p));
}

static void teardown(void) {
  if (master >= 0) close(master);
  process_close(&p);
  files_teardown();
}

TestSuite(terminal, .init = setup, .fini = teardown);

static void expect_shown(const char *shown, const char *words) {
  cr_assert_not(hidden_in(shown, "\n"), "%s", shown);
  cr_assert_not_null(strstr(shown, words), "'%s' is not in: %s", words, shown);
}

#define EXPECT_OUT(words, ...)                                               \
  do {                                                                       \
    cr_assert_eq(likeness(&p, __VA_ARGS__, NULL), 0, "%s", process_log(&p)); \
    expect_shown(process_out(&p), words);                                    \
  } while (0)

#define EXPECT_LOG(code, words, ...)                                            \
  do {                                                                          \
    cr_assert_eq(likeness(&p, __VA_ARGS__, NULL), code, "%s", process_log(&p)); \
    expect_shown(process_log(&p), words);                                       \
  } while (0)

/* The program's stdout is a terminal from here on. */
static void use_terminal(void) {
  struct termios raw;
  master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  cr_assert_eq(tcgetattr(master, &raw), 0);
  cfmakeraw(&raw);
  cr_assert_eq(tcsetattr(master, TCSANOW, &raw), 0);
}

/* What the program wrote to it, which the kernel hands over in pieces, up to a moment of silence. */
static const char *terminal_text(void) {
  static char text[4096];
  size_t length = 0;
  struct pollfd ready = {.fd = master, .events = POLLIN};
  while (length < sizeof text - 1 && poll(&ready, 1, length == 0 ? 10000 : 100) == 1) {
    ssize_t got = read(master, text + length, sizeof text - 1 - length);
    cr_assert_gt(got, 0);
    length += (size_t)got;
  }
  text[length] = '\0';
  return text;
}

#define ON_TERMINAL(words, ...)                                              \
  do {                                                                       \
    const char *name = ptsname(master);                                      \
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);                   \
    p.output = name;                                                         \
    cr_assert_eq(likeness(&p, __VA_ARGS__, NULL), 0, "%s", process_log(&p)); \
    expect_shown(terminal_text(), words);                                    \
    close(slave);                                                            \
  } while (0)

Test(terminal, tables) {
  EXPECT_OUT(KEY_SHOWN, "identify", gallery(), vectors());
  cr_assert_not_null(strstr(process_out(&p), SUBJECT_SHOWN), "%s", process_out(&p));
  EXPECT_OUT(KEY_SHOWN, "list", gallery());
  cr_assert_not_null(strstr(process_out(&p), "  g\\u{202e}    -                              0  b\\u{202e}7\n"), "%s",
                     process_out(&p));
  EXPECT_OUT(KEY_SHOWN, "verify", gallery(), vectors(), "--subject", SUBJECT);
  EXPECT_OUT("model       m\\u{202e}\n", "stat", gallery());
}

/* Programs get the key itself, people what is safe to see. */
Test(terminal, csv) {
  cr_assert_eq(likeness(&p, "identify", gallery(), vectors(), "--format", "csv", NULL), 0);
  cr_assert_str_eq(process_out(&p), "probe,rank,key,subject,score\n0,1," KEY "," SUBJECT ",1\n");
  cr_assert_eq(likeness(&p, "list", gallery(), "--format", "csv", NULL), 0);
  cr_assert_not_null(strstr(process_out(&p), KEY "," SUBJECT ",0," GROUP ",,b" RLO "7\n"), "%s", process_out(&p));
  use_terminal();
  ON_TERMINAL("0,1," KEY_SHOWN "," SUBJECT_SHOWN ",1\n", "identify", gallery(), vectors(), "--format", "csv");
  ON_TERMINAL(KEY_SHOWN "," SUBJECT_SHOWN ",0,g\\u{202e},,b\\u{202e}7\n", "list", gallery(), "--format", "csv");
}

Test(terminal, duplicates) {
  static const char row[] = "1," KEY_SHOWN "," SUBJECT_SHOWN "\n", pair[] = KEY_SHOWN "," SUBJECT_SHOWN ",1,1,1\n";
  cr_assert_eq(likeness(&p, "enroll", gallery(), vectors(), NULL), 0, "%s", process_log(&p));
  EXPECT_OUT(KEY_SHOWN, "dedupe", gallery(), "--threshold", "0.5");
  EXPECT_OUT(SUBJECT_SHOWN "\n", "dedupe", gallery(), "--threshold", "0.5", "--groups");
  EXPECT_OUT("\"k\\u202egpj\\u009b2J\"", "dedupe", gallery(), "--threshold", "0.5", "--format", "json");
  cr_assert_eq(likeness(&p, "dedupe", gallery(), "--threshold", "0.5", "--format", "csv", NULL), 0);
  cr_assert_str_eq(process_out(&p), "key_a,subject_a,key_b,subject_b,score\n" KEY "," SUBJECT ",1,1,1\n");
  use_terminal();
  ON_TERMINAL(pair, "dedupe", gallery(), "--threshold", "0.5", "--format", "csv");
  ON_TERMINAL(row, "dedupe", gallery(), "--threshold", "0.5", "--groups", "--format", "csv");
}

Test(terminal, json) {
  EXPECT_OUT("\"k\\u202egpj\\u009b2J\"", "identify", gallery(), vectors(), "--format", "json");
  json_t *root = json_loads(process_out(&p), 0, NULL);
  json_t *first = json_array_get(json_object_get(root, "candidates"), 0);
  cr_assert_str_eq(json_string_value(json_object_get(first, "key")), KEY);
  cr_assert_str_eq(json_string_value(json_object_get(first, "subject")), SUBJECT);
  json_decref(root);
}

Test(terminal, evaluation) {
  static const float data[4] = {1, 0, 0, 1};
  static const char csv[] = "row,subject,group\n0," SUBJECT "," GROUP "\n1,other," GROUP "\n";
  const char *two = files_path("two.npy"), *whose = files_path("two.csv");
  files_write_npy(two, "<f4", 2, 2, data, sizeof data);
  files_write(whose, csv, sizeof csv - 1);
  EXPECT_OUT("model 'm\\u{202e}'", "evaluate", gallery(), two, "--labels", whose, "--threshold", "0.5");
  cr_assert_not_null(strstr(process_out(&p), "\ng\\u{202e}  "), "%s", process_out(&p));
  EXPECT_OUT("\"m\\u202e\"", "evaluate", gallery(), two, "--labels", whose, "--threshold", "0.5", "--format", "json");
  EXPECT_OUT("model m\\u{202e}<", "evaluate", gallery(), two, "--labels", whose, "--threshold", "0.5", "--format",
             "svg");
  cr_assert_not_null(strstr(process_out(&p), ">g\\u{202e}<"), "%s", process_out(&p));
}

Test(terminal, errors) {
  EXPECT_LOG(1, "key '" KEY_SHOWN "' is in the gallery already", "enroll", gallery(), vectors(), "--labels", labels());
  EXPECT_LOG(1, TITLE_SHOWN, "stat", files_path(TITLE));
  EXPECT_LOG(1, "x\\u{a}likeness: all is well", "stat", files_path("x\nlikeness: all is well"));
  EXPECT_LOG(2, "unknown command '" TITLE_SHOWN "'", TITLE);
  EXPECT_LOG(2, "unknown command 'policy " TITLE_SHOWN "'", "policy", TITLE);
  EXPECT_LOG(2, TITLE_SHOWN, "stat", gallery(), "--" TITLE);
  EXPECT_LOG(1, TITLE_SHOWN, "verify", gallery(), vectors(), "--subject", TITLE);
  EXPECT_LOG(1, "\\xff\\x9b", "stat", files_path("\xff\x9b"));
}

Test(terminal, a_worker) {
  EXPECT_LOG(1, TITLE_SHOWN, "serve", gallery(), "--redis", "redis://127.0.0.1:1", "--policy", files_path(TITLE));
}

Test(terminal, policies) {
  static const char policy[] = "policy: 1\nname: p" RLO "\nrules:\n  - id: r"
                               "\n    effect: forbid\n    text: \"why\\u009b\"\n    purposes: [x" RLO "]\n";
  const char *path = files_path("p.yaml");
  files_write(path, policy, sizeof policy - 1);
  EXPECT_OUT("policy 'p\\u{202e}' is valid", "policy", "check", path);
  EXPECT_OUT("does not cover the purpose '" TITLE_SHOWN "'", "policy", "explain", path, "--operation", "identify",
             "--purpose", TITLE);
  EXPECT_OUT("why\\u{9b}", "policy", "explain", path, "--operation", "identify", "--purpose", "x" RLO);
  EXPECT_OUT("\"p\\u202e\"", "policy", "explain", path, "--operation", "identify", "--format", "json");
}

static const char *write_log(void) {
  const char *folder = files_path("log");
  lk_audit *audit;
  lk_error error = {0};
  lk_audit_record record = {
      .type = LK_AUDIT_POLICY_LOADED, .file = lk_text_of("p" RLO ".yaml"), .policy = lk_text_of("5f" CSI)};
  cr_assert_eq(lk_audit_open(folder, &(lk_audit_options){0}, &audit, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_audit_append(audit, &record, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_audit_close(audit, &error), LK_OK, "%s", error.text);
  return folder;
}

Test(terminal, audit_logs) {
  const char *log = write_log();
  EXPECT_OUT("file=\"p\\u202e.yaml\"", "audit", "show", log);
  cr_assert_eq(likeness(&p, "audit", "show", log, "--format", "json", NULL), 0);
  cr_assert_not_null(strstr(process_out(&p), "\"p" RLO ".yaml\""), "the bytes that the hash covers");
  use_terminal();
  ON_TERMINAL("\"p\\u202e.yaml\"", "audit", "show", log, "--format", "json");
  EXPECT_LOG(1, TITLE_SHOWN, "audit", "verify", files_path(TITLE));
}
