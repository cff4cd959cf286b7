/* A command for Redis that is being built. Its arguments must live until it is sent. */
#ifndef ENGINE_QUEUE_LINK_COMMAND_H
#define ENGINE_QUEUE_LINK_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

typedef struct lk_command {
  const char **arguments;
  size_t *lengths;
  size_t count, capacity;
  bool failed; /* an argument could not be added; sending says so */
} lk_command;

void lk_command_add(lk_command *command, const void *bytes, size_t length);
void lk_command_add_string(lk_command *command, const char *string);
void lk_command_add_words(lk_command *command, size_t count, const char *const *words); /* each a C string */
void lk_command_clear(lk_command *command); /* for the next command, in the same memory */
void lk_command_free(lk_command *command);

#endif
