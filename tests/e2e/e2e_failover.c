/* Redis as it is run: a cluster, a replica that takes over, Sentinel. `redis` is the server that has the queue at the
 * end. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/e2e/e2e.h"

enum { JOBS = 200 };

static process worker, client;
static redis_server other, sentinel;
static char ports[4][16];

static void teardown(void) {
  process_close(&worker);
  process_close(&client);
  redis_server_close(&other);
  redis_server_close(&sentinel);
  e2e_teardown();
}

static void setup(void) {
  signal(SIGPIPE, SIG_IGN);
  e2e_setup();
  cr_assert_eq(mkdir(files_path("other"), 0700), 0);
  redis_server_name(&other, files_path("other"));
  for (int i = 0; i < 4; i++) snprintf(ports[i], sizeof ports[i], "%d", redis_free_port());
}

TestSuite(failover, .init = setup, .fini = teardown, .timeout = 120);

/* Starts a server on its port of loopback too, with these further words of its command line. */
static void start_server(redis_server *server, const char *port, const char *const *words, size_t count) {
  const char *const tcp[] = {"--port", port, "--bind", "127.0.0.1"};
  memcpy(server->more, tcp, sizeof tcp);
  memcpy(server->more + 4, words, count * sizeof *words);
  server->more[4 + count] = NULL;
  redis_server_start(server, true);
}

static void expect_log(process *p, const char *words) {
  cr_assert(process_logs(p, words, PROCESS_PATIENCE_MS), "'%s' is not in: %s", words, process_log(p));
}

static void start_worker(const char *url) {
  likeness_start(&worker, "serve", faces, "--redis", url, NULL);
  expect_log(&worker, "serving faces");
}

static int submit(const char *url) {
  return likeness(&client, "submit", probes, "--redis", url, "--gallery", "faces", "--timeout", "20", "--format", "csv",
                  NULL);
}

static void expect_submit(const char *url) {
  cr_assert_eq(submit(url), 0, "%s%s", process_log(&client), process_log(&worker));
  const char *line = process_out(&client);
  int lines = 0;
  for (; (line = strchr(line, '\n')) != NULL; line++) lines++;
  cr_assert_eq(lines, 1 + FACES_PROBES * 10);
}

/* Jobs that were sent to the server that has the queue now are answered, each once. */
static void expect_service(const char *prefix) {
  send_jobs(FACES_LO, prefix, prefix, JOBS);
  char key[64];
  snprintf(key, sizeof key, FACES_REPLIES "%s", prefix);
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", key, NULL), "%s", process_log(&worker));
  expect_each_once(prefix, prefix, JOBS);
}

/* Waits until what the server tells has this text. It may close the connection meanwhile: Sentinel has it do so. */
static void await_text(redis_server *server, const char *command, const char *section, const char *text) {
  const char *const words[] = {command, section};
  bool has = false;
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; !has; sleep_ms(10)) {
    cr_assert_lt(now_ms(), end_ms, "no %s", text);
    if (server->link == NULL) redis_do(server, "PING", NULL);
    lk_redis_reply *reply = NULL;
    size_t length;
    if (lk_redis_call_words(server->link, &reply, NULL, 2, words) != LK_OK) {
      lk_redis_close(server->link);
      server->link = NULL;
    }
    const char *told = lk_redis_reply_string(reply, &length);
    has = told != NULL && strstr(told, text) != NULL;
    lk_redis_reply_free(reply);
  }
}

static void await_replica(redis_server *replica) {
  await_text(replica, "INFO", "replication", "master_link_status:up");
}

/* The node that everybody is pointed at has no slot at all. */
Test(failover, the_wrong_node_of_a_cluster) {
  const char *const cluster[] = {"--cluster-enabled", "yes", "--cluster-port", ports[2]};
  const char *const also[] = {"--cluster-enabled", "yes", "--cluster-port", ports[3]};
  char url[64];
  start_server(&redis, ports[0], cluster, 4);
  start_server(&other, ports[1], also, 4);
  redis_do(&redis, "CLUSTER", "ADDSLOTSRANGE", "0", "16383", NULL);
  redis_do(&other, "CLUSTER", "MEET", "127.0.0.1", ports[0], ports[2], NULL);
  await_text(&redis, "CLUSTER", "INFO", "cluster_state:ok");
  await_text(&other, "CLUSTER", "INFO", "cluster_state:ok");
  snprintf(url, sizeof url, "redis://127.0.0.1:%s", ports[1]);
  start_worker(url);
  expect_submit(url);
  expect_service("a");
  redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  expect_service("b");
  expect_submit(url);
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

/* A master, `other`, its replica, `redis`, and a worker that is given both. */
static void serve_pair(char url[80]) {
  const char *const replica[] = {"--replicaof", "127.0.0.1", ports[1]};
  start_server(&other, ports[1], replica, 0);
  start_server(&redis, ports[0], replica, 3);
  await_replica(&redis);
  snprintf(url, 80, "redis://127.0.0.1:%s,127.0.0.1:%s", ports[1], ports[0]);
  start_worker(url);
  expect_submit(url);
}

/* The master dies and the replica is promoted by hand. */
Test(failover, a_replica_takes_over) {
  char url[80];
  serve_pair(url);
  redis_server_kill(&other);
  expect_log(&worker, "is no master but a slave");
  redis_do(&redis, "REPLICAOF", "NO", "ONE", NULL);
  expect_submit(url);
  expect_service("a");
  worker_stop(&worker);
}

/* The two change roles, and no connection breaks: the old master refuses to write. */
Test(failover, master_and_replica_change_roles) {
  char url[80];
  serve_pair(url);
  redis_do(&redis, "REPLICAOF", "NO", "ONE", NULL);
  redis_do(&other, "REPLICAOF", "127.0.0.1", ports[0], NULL);
  expect_service("a");
  expect_submit(url);
  expect_service("b");
  worker_stop(&worker);
}

static void start_sentinel(const char *port, const char *master_port) {
  char text[512], file[PATH_MAX];
  int length = snprintf(text, sizeof text,
                        "port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor faces 127.0.0.1 %s 1\n"
                        "sentinel down-after-milliseconds faces 300\nsentinel failover-timeout faces 3000\n",
                        port, files_path("other"), master_port);
  strcpy(file, files_path("sentinel.conf"));
  files_write(file, text, (size_t)length);
  const char *const words[] = {"redis-server", file, "--sentinel", NULL};
  process_start(&sentinel.process, words);
  snprintf(sentinel.url, sizeof sentinel.url, "redis://127.0.0.1:%s", port);
}

/* Sentinel learns of a replica from the master, every ten seconds; at first at once. */
static void await_sentinel(void) {
  uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS;
  for (size_t replicas = 0; replicas == 0; sleep_ms(20)) {
    lk_redis_reply *reply = redis_ask(&sentinel, "SENTINEL", "REPLICAS", "faces", NULL);
    replicas = lk_redis_reply_elements(reply);
    lk_redis_reply_free(reply);
    cr_assert_lt(now_ms(), end_ms, "the sentinel sees no replica");
  }
}

Test(failover, sentinel_promotes_the_replica) {
  const char *const replica[] = {"--replicaof", "127.0.0.1", ports[1]};
  char url[80];
  start_server(&other, ports[1], replica, 0);
  start_server(&redis, ports[0], replica, 3);
  await_replica(&redis);
  start_sentinel(ports[2], ports[1]);
  await_sentinel();
  snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:1,127.0.0.1:%s/faces", ports[2]);
  start_worker(url);
  expect_submit(url);
  redis_server_kill(&other);
  await_text(&redis, "INFO", "replication", "role:master");
  expect_service("a");
  expect_submit(url);
  worker_stop(&worker);
}
