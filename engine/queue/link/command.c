#include "engine/queue/link/command.h"

#include <stdlib.h>
#include <string.h>

void lk_command_add(lk_command *command, const void *bytes, size_t length) {
  if (command->count == command->capacity) {
    size_t capacity = command->capacity > 0 ? 2 * command->capacity : 16;
    const char **arguments = realloc(command->arguments, capacity * sizeof *arguments);
    if (arguments != NULL) command->arguments = arguments;
    size_t *lengths = realloc(command->lengths, capacity * sizeof *lengths);
    if (lengths != NULL) command->lengths = lengths;
    if (arguments == NULL || lengths == NULL) {
      command->failed = true;
      return;
    }
    command->capacity = capacity;
  }
  command->arguments[command->count] = bytes;
  command->lengths[command->count++] = length;
}

void lk_command_add_string(lk_command *command, const char *string) { lk_command_add(command, string, strlen(string)); }

void lk_command_add_words(lk_command *command, size_t count, const char *const *words) {
  for (size_t i = 0; i < count; i++) lk_command_add_string(command, words[i]);
}

void lk_command_clear(lk_command *command) {
  command->count = 0;
  command->failed = false;
}

void lk_command_free(lk_command *command) {
  free(command->arguments);
  free(command->lengths);
  *command = (lk_command){0};
}
