/* Reads single values of a policy file. Messages name the file, the line, the rule and the field. */
#ifndef GOVERNANCE_POLICY_VALUE_H
#define GOVERNANCE_POLICY_VALUE_H

#include <locale.h>

#include "governance/policy/rule.h"

typedef struct lk_reader {
  const char *name; /* the file's */
  lk_text rule;     /* id of the rule being read, for messages */
  lk_policy *policy;
  locale_t locale; /* "C": a decimal point in every caller's locale */
  lk_error *error;
} lk_reader;

/* Return LK_EFORMAT; the second quotes the node's text before `what`. */
lk_status lk_value_refuse(const lk_reader *p, const lk_yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
lk_status lk_value_refuse_text(const lk_reader *p, const lk_yaml_node *node, const char *what);

/* LK_EFORMAT: the node is not a single value, or an empty one. */
lk_status lk_value_need(const lk_reader *p, const lk_yaml_node *node);

/* Each of these reads the value into `to`, which points to what it says. */
lk_status lk_value_text(const lk_reader *p, const lk_yaml_node *node, void *to);      /* lk_text */
lk_status lk_value_prose(const lk_reader *p, const lk_yaml_node *node, void *to);     /* lk_text */
lk_status lk_value_id(const lk_reader *p, const lk_yaml_node *node, void *to);        /* lk_text */
lk_status lk_value_word(const lk_reader *p, const lk_yaml_node *node, void *to);      /* lk_text, normalised (word.h) */
lk_status lk_value_flag(const lk_reader *p, const lk_yaml_node *node, void *to);      /* bool */
lk_status lk_value_timestamp(const lk_reader *p, const lk_yaml_node *node, void *to); /* int64_t */
lk_status lk_value_until(const lk_reader *p, const lk_yaml_node *node, void *to); /* int64_t; null changes nothing */
lk_status lk_value_score(const lk_reader *p, const lk_yaml_node *node, void *to); /* float */
lk_status lk_value_rate(const lk_reader *p, const lk_yaml_node *node, void *to);  /* double */
lk_status lk_value_key(const lk_reader *p, const lk_yaml_node *node, void *to);   /* an Ed25519 public key */
lk_status lk_value_whole(const lk_reader *p, const lk_yaml_node *node, uint32_t least, uint32_t most, uint32_t *to);

#endif
