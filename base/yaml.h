/* A YAML file as a tree in which each node knows its line, so that whoever reads a value can say where it is wrong.
 *
 * libyaml does the reading; not libcyaml, which fills structures but tells no lines afterwards, names the line before
 * an unknown key, and reads "1 5" as 1 and "a\0b" as "a". What files of settings have no need of is refused by its
 * line: anchors, aliases, tags, a second document, a field that comes twice, deep nesting, NUL. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

typedef enum lk_yaml_kind { LK_YAML_TEXT, LK_YAML_LIST, LK_YAML_FIELDS } lk_yaml_kind;

typedef struct lk_yaml_node {
  lk_yaml_kind kind;
  bool plain;    /* a text without quotes */
  uint32_t line; /* from 1 */
  lk_text key;   /* of a field and of its items */
  lk_text text;  /* followed by a NUL */
  const struct lk_yaml_node *first, *next;
  struct lk_yaml_node *older; /* made before this one */
} lk_yaml_node;

typedef struct lk_yaml {
  const lk_yaml_node *root;
  lk_yaml_node *newest;
} lk_yaml;

/* `name`: for messages. The tree does not refer to `data`. LK_EFORMAT: `line` receives the line that is wrong, from 1,
 * and the error names it; else 0. */
lk_status lk_yaml_parse(const char *name, const void *data, size_t size, lk_yaml *tree, uint32_t *line,
                        lk_error *error);
void lk_yaml_close(lk_yaml *tree);

/* null, ~, or nothing at all. */
bool lk_yaml_is_null(const lk_yaml_node *node);
/* The field with this key; NULL where there is none. */
const lk_yaml_node *lk_yaml_field(const lk_yaml_node *fields, lk_text key);

#endif
