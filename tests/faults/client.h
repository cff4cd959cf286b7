/* One client of the crowd: its connection, what it has sent, and how it reads. One thread uses it. */
#ifndef TESTS_FAULTS_CLIENT_H
#define TESTS_FAULTS_CLIENT_H

#include "tests/faults/crowd.h"
#include "tests/faults/letter.h"

typedef enum client_kind { CLIENT_PATIENT, CLIENT_IDEMPOTENT, CLIENT_FICKLE } client_kind;

enum { CLIENT_OPEN_MOST = 512, CLIENT_PAST_MOST = 512, CLIENT_NAME = 24 };

/* A job that waits for its answer, or to be sent (again). */
typedef struct client_job {
  uint32_t number;
  uint64_t since_ms;
} client_job;

/* A list that a fickle client comes back to. */
typedef struct client_past {
  char to[CLIENT_NAME];
  uint64_t back_ms;
} client_past;

typedef struct client {
  const crowd_options *options;
  client_kind kind;
  uint32_t number;
  random_state random;
  lk_redis *link;
  unsigned linked; /* the server that it is connected to */
  lk_command command;
  letter letter;
  char to[CLIENT_NAME];
  uint32_t name, name_jobs; /* of this name, a fickle client sends so many more */
  client_job open[CLIENT_OPEN_MOST], unsent[CLIENT_OPEN_MOST];
  uint32_t open_count, unsent_count;
  client_past past[CLIENT_PAST_MOST];
  uint32_t past_count;
} client;

void client_start(client *client, const crowd_options *options, client_kind kind, uint32_t number);
void client_end(client *client);

/* Sends up to `most` new jobs and what is to be sent again, and reads once; `rests`: it sends nothing new and goes back
 * to all its lists. Returns how many new jobs it has made. */
uint32_t client_turn(client *client, uint32_t most, bool rests);
/* Makes 255 single jobs and a poison one in their middle, which the next turns send. */
void client_poison(client *client);

#endif
