/* A YAML file as a tree of nodes that know their lines, so that a message about a value can name its line.
 *
 * libyaml parses. libcyaml was rejected: it fills structures without their lines, names the line before an unknown key,
 * and reads "1 5" as 1 and "a\0b" as "a". Settings files do not need anchors, aliases, tags, a second document,
 * duplicate fields, deep nesting or NUL bytes: these are errors, and the message names the line. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

typedef enum lk_yaml_kind { LK_YAML_TEXT, LK_YAML_LIST, LK_YAML_FIELDS } lk_yaml_kind;

typedef struct lk_yaml_node {
  lk_yaml_kind kind;
  bool plain;    /* LK_YAML_TEXT: written without quotes */
  uint32_t line; /* from 1 */
  lk_text key;   /* the field's name; a list's items have that of the list */
  lk_text text;  /* followed by a NUL */
  const struct lk_yaml_node *first, *next;
  struct lk_yaml_node *older; /* allocated before this one */
} lk_yaml_node;

typedef struct lk_yaml {
  const lk_yaml_node *root;
  lk_yaml_node *newest;
} lk_yaml;

/* `name` is for messages. The tree does not point into `data`. LK_EFORMAT: the error names the faulty line, and `line`
 * receives its number, from 1; in all other cases `line` receives 0. */
lk_status lk_yaml_parse(const char *name, const void *data, size_t size, lk_yaml *tree, uint32_t *line,
                        lk_error *error);
void lk_yaml_close(lk_yaml *tree);

/* Whether the value is null, ~ or empty, without quotes. */
bool lk_yaml_is_null(const lk_yaml_node *node);
/* The field with this key; NULL if there is none. */
const lk_yaml_node *lk_yaml_field(const lk_yaml_node *fields, lk_text key);

#endif
