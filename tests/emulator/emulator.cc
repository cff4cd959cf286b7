#include "tests/emulator/emulator.h"

#include <cstring>

#include "tests/emulator/block.h"

namespace emulator {

block now;

namespace {
const uint32_t warp_lanes = 32;
uint32_t launches;
}  // namespace

thread &self() { return now.all[now.current]; }

void give_way() { fiber_switch(self().own, now.scheduler); }

std::string name_site(emulator_site site) { return std::string(site.file) + ":" + std::to_string(site.line); }

namespace {

bool same_site(emulator_site a, emulator_site b) { return a.line == b.line && strcmp(a.file, b.file) == 0; }

std::string name_thread(uint32_t index) {
  return "block " + std::to_string(now.index) + " thread " + std::to_string(index);
}

void thread_main() {
  (*now.kernel)();
  thread &me = self();
  if (!me.open.empty() || !me.groups.empty() || !me.products.empty() || !me.product_groups.empty())
    emulator_fail("a thread ends with copies on their way, or products");
  if (now.at_barrier > 0) emulator_fail("a thread ends while others wait at a barrier");
  me.now = DONE;
  now.done++;
  give_way();
}

std::string describe_wait(uint32_t index) {
  const thread &t = now.all[index];
  const char *where = t.now == AT_BARRIER ? " waits at the barrier of "
                      : t.now == AT_GATE  ? " waits at the gate of "
                                          : " waits for its warp in ";
  return name_thread(index) + (t.now == DONE ? std::string(" has ended") : where + name_site(t.site));
}

/* Nobody can go on. */
std::string describe_deadlock() {
  std::string text = "deadlock: ";
  uint32_t first = 0;
  while (now.all[first].now == DONE) first++;
  text += describe_wait(first);
  for (uint32_t i = first + 1; i < now.threads; i++)
    if (now.all[i].now != now.all[first].now || !same_site(now.all[i].site, now.all[first].site))
      return text + ", " + describe_wait(i);
  return text;
}

void begin_block(uint32_t index) {
  now.index = index;
  now.at_barrier = 0;
  now.done = 0;
  now.clock = 1;
  now.gates.clear();
  now.bulk_copies.clear();
  now.vote = false;
  for (auto &waiting : now.in_group) waiting.second.assign(now.threads, 0);
  std::fill(now.words.begin(), now.words.end(), word{many, many, 0, 0, false});
  std::fill(now.shared.begin(), now.shared.end(), 0xa5);
  for (thread &t : now.all) {
    t.now = RUNS;
    t.acquired = 0;
    t.open.clear();
    t.groups.clear();
    t.products.clear();
    t.product_groups.clear();
    fiber_prepare(t.own, thread_main);
  }
}

/* Each thread in turn goes on as far as it can, beginning with another one each time. */
void run_block(uint32_t index) {
  begin_block(index);
  for (uint32_t start = launches * 7 + index;; start += 37) {
    uint32_t ran = 0;
    for (uint32_t i = 0; i < now.threads && !now.failed; i++) {
      now.current = (start + i) % now.threads;
      if (self().now != RUNS) continue;
      fiber_switch(now.scheduler, self().own);
      ran++;
    }
    if (now.failed || now.done == now.threads) return;
    if (!now.bulk_copies.empty())
      run_bulk_copies();
    else if (ran == 0)
      break;
  }
  now.error = describe_deadlock();
  now.failed = true;
}

void begin_launch(const std::function<void()> &kernel, uint32_t blocks, uint32_t threads, uint32_t shared_bytes) {
  now.kernel = &kernel;
  now.blocks = blocks;
  now.threads = threads;
  now.failed = false;
  now.error.clear();
  now.all.resize(threads);
  now.lanes.resize(threads);
  now.in_group[warp_lanes].resize(threads);
  now.in_group[4 * warp_lanes].resize(threads);
  now.shared.resize(shared_bytes);
  now.words.resize((shared_bytes + 3) / 4);
  launches++;
}

/* A use of shared memory by two threads with no barrier between them. */
void race(const char *what, uint32_t other, uint32_t offset, emulator_site site) {
  emulator_fail(name_thread(now.current) + what + name_thread(other) + " between the same barriers: shared byte " +
                std::to_string(offset) + ", " + name_site(site));
}

}  // namespace

void note_read(uint32_t index, emulator_site site) {
  word &w = now.words[index];
  uint64_t acquired = self().acquired;
  if (w.in_flight) emulator_fail("reads what a copy has not brought yet: " + name_site(site));
  if (w.written > acquired && w.writer != now.current) race(" reads what was written by ", w.writer, index * 4, site);
  w.reader = w.read > acquired && w.reader != now.current ? many : now.current;
  w.read = ++now.clock;
}

void note_write(uint32_t index, emulator_site site) {
  word &w = now.words[index];
  uint64_t acquired = self().acquired;
  if (w.written > acquired && w.writer != now.current) race(" writes what was written by ", w.writer, index * 4, site);
  if (w.read > acquired && w.reader != now.current) race(" writes what was read by ", w.reader, index * 4, site);
  w.writer = now.current;
  w.written = ++now.clock;
}

}  // namespace emulator

using namespace emulator;

std::string emulator_launch(const std::function<void()> &kernel, uint32_t blocks, uint32_t threads,
                            uint32_t shared_bytes) {
  if (threads == 0 || threads % warp_lanes != 0) return "a block of " + std::to_string(threads) + " threads";
  begin_launch(kernel, blocks, threads, shared_bytes);
  for (uint32_t i = 0; i < blocks && !now.failed; i++) run_block(launches % 2 == 0 ? i : blocks - 1 - i);
  if (now.failed) now.all.clear(); /* stacks that were left in the middle */
  return now.error;
}

uint32_t emulator_thread() { return now.current; }
uint32_t emulator_threads() { return now.threads; }
uint32_t emulator_block() { return now.index; }
uint32_t emulator_blocks() { return now.blocks; }

void emulator_fail(const std::string &what) {
  now.error = name_thread(now.current) + ": " + what;
  now.failed = true;
  give_way();
  __builtin_unreachable();
}

void emulator_bound(uint32_t offset, uint32_t bytes) {
  if (offset % 4 != 0 || (uint64_t)offset + bytes > now.shared.size())
    emulator_fail("an array of shared memory from byte " + std::to_string(offset) + " to " +
                  std::to_string((uint64_t)offset + bytes) + " of " + std::to_string(now.shared.size()));
}

const void *emulator_read(uint32_t offset, uint32_t bytes, emulator_site site) {
  for (uint32_t w = offset / 4; w < (offset + bytes + 3) / 4; w++) note_read(w, site);
  return &now.shared[offset];
}

void emulator_write(uint32_t offset, const void *from, uint32_t bytes, emulator_site site) {
  for (uint32_t w = offset / 4; w < (offset + bytes + 3) / 4; w++) note_write(w, site);
  memcpy(&now.shared[offset], from, bytes);
}

void *emulator_atomic(uint32_t offset, uint32_t bytes) {
  emulator_bound(offset, bytes);
  return &now.shared[offset];
}

bool emulator_barrier(bool value, emulator_site site) {
  thread &me = self();
  if (now.done > 0) emulator_fail("a barrier that other threads have left behind: " + name_site(site));
  if (now.at_barrier > 0 && !same_site(now.barrier, site))
    emulator_fail("divergent barriers: " + name_site(site) + " and " + name_site(now.barrier));
  now.barrier = site;
  now.vote = (now.at_barrier > 0 && now.vote) || value;
  me.site = site;
  if (++now.at_barrier < now.threads) {
    me.now = AT_BARRIER;
    give_way();
    return me.vote;
  }
  now.clock++;
  for (thread &t : now.all) {
    t.now = RUNS;
    t.vote = now.vote;
    t.acquired = now.clock;
  }
  now.at_barrier = 0;
  return me.vote;
}

void emulator_meet(const void *in, size_t in_bytes, void *out, size_t out_bytes, emulator_combine *combine,
                   emulator_site site, uint32_t group) {
  thread &me = self();
  uint32_t index = now.current, first = index / group * group;
  memcpy(now.lanes[index].in, in, in_bytes);
  me.site = site;
  me.combine = combine;
  uint32_t &waiting = now.in_group.at(group)[first];
  if (++waiting < group) {
    me.now = IN_GROUP;
    give_way();
  } else {
    for (uint32_t i = first; i < first + group; i++) {
      thread &other = now.all[i];
      if (other.combine != combine || !same_site(other.site, site))
        emulator_fail("lanes of a warp meet in " + name_site(site) + " and in " + name_site(other.site));
      other.now = RUNS;
    }
    waiting = 0;
    combine(&now.lanes[first]);
  }
  memcpy(out, now.lanes[index].out, out_bytes);
}

void emulator_copy(uint32_t offset, const void *from, emulator_site site) {
  if (offset % 16 != 0 || (uintptr_t)from % 16 != 0) emulator_fail("a copy that is not aligned: " + name_site(site));
  for (uint32_t w = offset / 4; w < offset / 4 + 4; w++) {
    note_write(w, site);
    now.words[w].in_flight = true;
  }
  memset(&now.shared[offset], 0xa5, 16);
  self().open.push_back({offset, from});
}

void emulator_copy_commit() {
  self().groups.push_back(std::move(self().open));
  self().open.clear();
}

void emulator_copy_wait(size_t pending) {
  for (std::deque<std::vector<copy>> &groups = self().groups; groups.size() > pending; groups.pop_front())
    for (const copy &c : groups.front()) {
      memcpy(&now.shared[c.offset], c.from, 16);
      for (uint32_t w = c.offset / 4; w < c.offset / 4 + 4; w++) {
        now.words[w].in_flight = false;
        now.words[w].writer = now.current;
        now.words[w].written = ++now.clock;
      }
    }
}
