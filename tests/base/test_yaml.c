#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/yaml.h"

static lk_yaml tree;

static void check_named(uint32_t line, const lk_error *error) {
  char named[32];
  snprintf(named, sizeof named, "f.yaml: line %u: ", line);
  cr_assert_eq(strncmp(error->text, named, strlen(named)), 0, "line %u: %s", line, error->text);
}

static lk_status parse_bytes(const char *yaml, size_t size, lk_error *error) {
  char *copy = malloc(size + 1);
  memcpy(copy, yaml, size);
  uint32_t line;
  lk_status status = lk_yaml_parse("f.yaml", copy, size, &tree, &line, error);
  free(copy);
  if (status == LK_EFORMAT && error != NULL && line > 0) check_named(line, error);
  cr_assert(status != LK_OK || line == 0);
  return status;
}

static const lk_yaml_node *good(const char *yaml) {
  lk_error error = {0};
  cr_assert_eq(parse_bytes(yaml, strlen(yaml), &error), LK_OK, "%s", error.text);
  return tree.root;
}

static void check_refused_bytes(const char *yaml, size_t size, const char *wanted) {
  lk_error error = {0};
  cr_assert_eq(parse_bytes(yaml, size, &error), LK_EFORMAT, "%s", yaml);
  cr_assert_eq(strncmp(error.text, wanted, strlen(wanted)), 0, "'%s' does not begin with '%s'", error.text, wanted);
  cr_assert(tree.root == NULL && tree.newest == NULL);
}

static void check_refused(const char *yaml, const char *wanted) { check_refused_bytes(yaml, strlen(yaml), wanted); }

static void check_text(lk_text text, const char *wanted) {
  cr_assert(lk_text_equal(text, lk_text_of(wanted)), "'%.*s' is not '%s'", (int)text.length, text.bytes, wanted);
  cr_assert_eq(text.bytes[text.length], '\0');
}

static void check_text_at(const lk_yaml_node *node, const char *key, const char *text, uint32_t line) {
  cr_assert(node != NULL && node->kind == LK_YAML_TEXT);
  if (key[0] != '\0') check_text(node->key, key);
  check_text(node->text, text);
  cr_assert_eq(node->line, line, "%s: line %u", key, node->line);
}

Test(yaml, a_tree_with_lines) {
  const lk_yaml_node *root =
      good("# remark\n\na: 1\nlist:\n  - x\n  - 'y z'\n\n  - {b: c, d: }\nempty: []\nlast: >\n  one\n  two\n");
  check_text_at(lk_yaml_field(root, lk_text_of("a")), "a", "1", 3);
  const lk_yaml_node *list = lk_yaml_field(root, lk_text_of("list"));
  cr_assert(list->kind == LK_YAML_LIST && list->line == 5);
  check_text_at(list->first, "list", "x", 5);
  check_text_at(list->first->next, "list", "y z", 6);
  const lk_yaml_node *fields = list->first->next->next;
  cr_assert(fields->kind == LK_YAML_FIELDS && fields->line == 8 && lk_text_equal(fields->key, list->key) &&
            fields->next == NULL);
  check_text_at(fields->first, "b", "c", 8);
  cr_assert(lk_yaml_is_null(fields->first->next));
  const lk_yaml_node *empty = lk_yaml_field(root, lk_text_of("empty"));
  cr_assert(empty->kind == LK_YAML_LIST && empty->first == NULL);
  check_text_at(lk_yaml_field(root, lk_text_of("last")), "last", "one two\n", 10);
  cr_assert_null(lk_yaml_field(root, lk_text_of("no")));
  lk_yaml_close(&tree);
}

Test(yaml, null_is_plain) {
  const lk_yaml_node *node = good("- null\n- ~\n-\n- Null\n- NULL\n- 'null'\n- \"~\"\n- ''\n- nULL\n- none\n")->first;
  for (int i = 0; node != NULL; node = node->next, i++) cr_assert_eq(lk_yaml_is_null(node), i < 5, "%d", i);
  lk_yaml_close(&tree);
}

/* A country that YAML 1.1 would take for false. */
Test(yaml, scalars_are_texts) {
  const lk_yaml_node *node = good("[NO, 010, 1e3, yes, 2021-06-10]")->first;
  check_text_at(node, "", "NO", 1);
  check_text_at(node->next, "", "010", 1);
  lk_yaml_close(&tree);
}

Test(yaml, refused) {
  check_refused("", "f.yaml: line 1: the file is empty");
  check_refused("# only a remark\n", "f.yaml: line 1: the file is empty");
  check_refused("a: 1\nb: [1\nc: 2\n", "f.yaml: line 3: did not find expected ',' or ']'");
  check_refused("a: 1\n\tb: 2\n", "f.yaml: line 2: ");
  check_refused("a: 1\n b: 2\n", "f.yaml: line 2: ");
  check_refused("a: 1\nb: 2\na: 3\n", "f.yaml: line 3: field a appears twice");
  check_refused("a: 1\n---\na: 2\n", "f.yaml: line 2: a second document is not allowed");
  check_refused("a: &x 1\nb: 2\n", "f.yaml: line 1: anchors and tags");
  check_refused("a: 1\nb: &x [1]\n", "f.yaml: line 2: anchors and tags");
  check_refused("a: 1\nb: &x {c: 1}\n", "f.yaml: line 2: anchors and tags");
  check_refused("a: 1\nb: *x\n", "f.yaml: line 2: aliases");
  check_refused("a: !!str 1\n", "f.yaml: line 1: anchors and tags");
  check_refused("\na: !x [1]\n", "f.yaml: line 2: anchors and tags");
  check_refused("? [a]\n: 1\n", "f.yaml: line 1: a field name must be a text");
  check_refused("[[[[[[[[1]]]]]]]]", "f.yaml: line 1: nested too deeply");
  check_refused("a: 1\nb: \"x\\0y\"\n", "f.yaml: line 2: a text contains a NUL byte");
  check_refused("a: 1\n\"b\\0\": 1\n", "f.yaml: line 2: a text contains a NUL byte");
  check_refused("a: 1\nb: \xff\n", "f.yaml: line 2: invalid leading UTF-8 octet");
  check_refused_bytes("a: 1\nb: c\0d\n", 12, "f.yaml: line 2: control characters are not allowed");
  check_refused_bytes("\xff\xfe"
                      "a\0:\0 \0b\0",
                      10, "f.yaml: line 1: invalid leading UTF-8 octet");
}

Test(yaml, limits) {
  good("[[[[[[[1]]]]]]]");
  lk_yaml_close(&tree);
  char text[1024] = "";
  for (int i = 0; i < 64; i++) sprintf(text + strlen(text), "f%d: 1\n", i);
  good(text);
  lk_yaml_close(&tree);
  strcat(text, "g: 1\n");
  check_refused(text, "f.yaml: line 65: more than 64 fields");
  size_t size = (1 << 20) + 1;
  char *large = malloc(size);
  memset(large, '#', size);
  check_refused_bytes(large, size, "f.yaml: the file is larger than 1 MiB");
  check_refused_bytes(large, size - 1, "f.yaml: line 1: the file is empty");
  free(large);
}

Test(yaml, a_byte_order_mark) {
  check_text_at(lk_yaml_field(good("\xef\xbb\xbf"
                                   "a: 1\n"),
                              lk_text_of("a")),
                "a", "1", 1);
  lk_yaml_close(&tree);
}

Test(yaml, cut_off_anywhere) {
  static const char yaml[] = "a: [b, 'c', \"\\u00fc\"]\nd:\n  - {e: f}\n  - >\n    text\n";
  for (size_t size = 0; size < sizeof yaml - 1; size++)
    if (parse_bytes(yaml, size, NULL) == LK_OK) lk_yaml_close(&tree);
}
