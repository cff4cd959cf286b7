#include "base/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/fail.h"
#include "base/text.h"

enum { DEPTH_MAX = 8, FIELDS_MAX = 64, FILE_BYTES_MAX = 1 << 20 };

typedef struct reader {
  const char *name;
  const char *data;
  yaml_parser_t parser;
  yaml_event_t event; /* the current one */
  bool has_event;
  lk_yaml *tree;
  uint32_t *line; /* receives the faulty line */
  lk_error *error;
} reader;

static lk_status refuse(reader *r, size_t line, const char *what) {
  *r->line = (uint32_t)line;
  return lk_fail(r->error, LK_EFORMAT, "%s: line %zu: %s", r->name, line, what);
}

static size_t line_of(const reader *r) { return r->event.start_mark.line + 1; }

/* For bytes that are not UTF-8, libyaml gives an offset instead of a line. */
static lk_status refuse_syntax(reader *r) {
  const yaml_parser_t *p = &r->parser;
  if (p->error == YAML_MEMORY_ERROR) return lk_fail_memory(r->error);
  size_t line = p->problem_mark.line + 1;
  if (p->error == YAML_READER_ERROR) {
    line = 1;
    for (size_t i = 0; i < p->problem_offset; i++) line += r->data[i] == '\n';
  }
  return refuse(r, line, p->problem != NULL ? p->problem : "is not YAML");
}

static lk_status read_event(reader *r) {
  if (r->has_event) yaml_event_delete(&r->event);
  r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
  return r->has_event ? LK_OK : refuse_syntax(r);
}

static lk_status make_node(reader *r, lk_yaml_kind kind, const void *bytes, size_t length, lk_yaml_node **made) {
  if (length > 0 && memchr(bytes, '\0', length) != NULL) return refuse(r, line_of(r), "a text contains a NUL byte");
  lk_yaml_node *node = calloc(1, sizeof *node + length + 1);
  if (node == NULL) return lk_fail_memory(r->error);
  char *copy = (char *)(node + 1);
  if (length > 0) memcpy(copy, bytes, length);
  node->kind = kind;
  node->line = (uint32_t)line_of(r);
  node->text = (lk_text){.bytes = copy, .length = (uint32_t)length};
  node->older = r->tree->newest;
  r->tree->newest = node;
  *made = node;
  return LK_OK;
}

static lk_status make_text(reader *r, lk_yaml_node **made) {
  const yaml_event_t *e = &r->event;
  if (e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL)
    return refuse(r, line_of(r), "anchors and tags are not allowed");
  bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  lk_status status = make_node(r, LK_YAML_TEXT, e->data.scalar.value, e->data.scalar.length, made);
  if (status == LK_OK) (*made)->plain = plain;
  return status;
}

static lk_status read_node(reader *r, lk_text key, int depth, lk_yaml_node **made);

static lk_status read_key(reader *r, const lk_yaml_node *parent, lk_text *key) {
  if (r->event.type != YAML_SCALAR_EVENT) return refuse(r, line_of(r), "a field name must be a text");
  lk_yaml_node *node;
  lk_status status = make_text(r, &node);
  if (status != LK_OK) return status;
  *key = node->text;
  if (lk_yaml_field(parent, *key) == NULL) return read_event(r);
  char what[96];
  snprintf(what, sizeof what, "field %.*s appears twice", (int)(key->length < 64 ? key->length : 64), key->bytes);
  return refuse(r, node->line, what);
}

/* Reads the items of a list or the fields of a mapping, up to its end. */
static lk_status read_children(reader *r, lk_yaml_node *parent, int depth) {
  bool fields = parent->kind == LK_YAML_FIELDS;
  const lk_yaml_node **last = &parent->first;
  if (depth == DEPTH_MAX) return refuse(r, parent->line, "nested too deeply");
  for (uint32_t count = 1;; count++) {
    lk_yaml_node *child;
    lk_text key = parent->key;
    lk_status status = read_event(r);
    if (status != LK_OK) return status;
    if (r->event.type == YAML_SEQUENCE_END_EVENT || r->event.type == YAML_MAPPING_END_EVENT) return LK_OK;
    if (fields && count > FIELDS_MAX) return refuse(r, line_of(r), "more than 64 fields");
    if (fields) status = read_key(r, parent, &key);
    if (status == LK_OK) status = read_node(r, key, depth, &child);
    if (status != LK_OK) return status;
    *last = child;
    last = &child->next;
  }
}

static lk_status make_parent(reader *r, lk_yaml_kind kind, const void *anchor, const void *tag, lk_yaml_node **made) {
  if (anchor != NULL || tag != NULL) return refuse(r, line_of(r), "anchors and tags are not allowed");
  return make_node(r, kind, NULL, 0, made);
}

/* Reads the node that begins with the current event. */
static lk_status read_node(reader *r, lk_text key, int depth, lk_yaml_node **made) {
  const yaml_event_t *e = &r->event;
  lk_status status;
  if (e->type == YAML_SCALAR_EVENT)
    status = make_text(r, made);
  else if (e->type == YAML_SEQUENCE_START_EVENT)
    status = make_parent(r, LK_YAML_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag, made);
  else if (e->type == YAML_MAPPING_START_EVENT)
    status = make_parent(r, LK_YAML_FIELDS, e->data.mapping_start.anchor, e->data.mapping_start.tag, made);
  else
    return refuse(r, line_of(r), "aliases are not allowed");
  if (status != LK_OK) return status;
  (*made)->key = key;
  return (*made)->kind == LK_YAML_TEXT ? LK_OK : read_children(r, *made, depth + 1);
}

static lk_status read_document(reader *r) {
  lk_yaml_node *root;
  lk_status status = read_event(r); /* the stream begins */
  if (status == LK_OK) status = read_event(r);
  if (status == LK_OK && r->event.type == YAML_STREAM_END_EVENT) return refuse(r, 1, "the file is empty");
  if (status == LK_OK) status = read_event(r);
  if (status == LK_OK) status = read_node(r, (lk_text){0}, 0, &root);
  if (status == LK_OK) status = read_event(r); /* the document ends */
  if (status == LK_OK) status = read_event(r);
  if (status == LK_OK && r->event.type != YAML_STREAM_END_EVENT)
    return refuse(r, line_of(r), "a second document is not allowed");
  if (status == LK_OK) r->tree->root = root;
  return status;
}

lk_status lk_yaml_parse(const char *name, const void *data, size_t size, lk_yaml *tree, uint32_t *line,
                        lk_error *error) {
  reader r = {.name = name, .data = data, .tree = tree, .line = line, .error = error};
  *line = 0;
  *tree = (lk_yaml){0};
  if (size > FILE_BYTES_MAX) return lk_fail(error, LK_EFORMAT, "%s: the file is larger than 1 MiB", name);
  if (!yaml_parser_initialize(&r.parser)) return lk_fail_memory(error);
  yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&r.parser, size > 0 ? data : (const void *)"", size);
  lk_status status = read_document(&r);
  if (r.has_event) yaml_event_delete(&r.event);
  yaml_parser_delete(&r.parser);
  if (status != LK_OK) lk_yaml_close(tree);
  return status;
}

void lk_yaml_close(lk_yaml *tree) {
  for (lk_yaml_node *node = tree->newest, *older; node != NULL; node = older) {
    older = node->older;
    free(node);
  }
  *tree = (lk_yaml){0};
}

bool lk_yaml_is_null(const lk_yaml_node *node) {
  static const char *const words[] = {"", "~", "null", "Null", "NULL"};
  if (node->kind != LK_YAML_TEXT || !node->plain) return false;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (lk_text_equal(node->text, lk_text_of(words[i]))) return true;
  return false;
}

const lk_yaml_node *lk_yaml_field(const lk_yaml_node *fields, lk_text key) {
  const lk_yaml_node *node = fields->first;
  while (node != NULL && !lk_text_equal(node->key, key)) node = node->next;
  return node;
}
