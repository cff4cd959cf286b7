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

uint32_t rank() { return now.current / now.threads; }

uint32_t absolute(uint32_t offset) { return rank() * now.shared_bytes + offset; }

void give_way() { fiber_switch(self().own, now.scheduler); }

std::string name_site(emulator_site site) { return std::string(site.file) + ":" + std::to_string(site.line); }

namespace {

bool same_site(emulator_site a, emulator_site b) { return a.line == b.line && strcmp(a.file, b.file) == 0; }

std::string name_thread(uint32_t index) {
  return "block " + std::to_string(now.index + index / now.threads) + " thread " + std::to_string(index % now.threads);
}

void thread_main() {
  (*now.kernel)();
  thread &me = self();
  if (!me.open.empty() || !me.groups.empty() || !me.products.empty() || !me.product_groups.empty())
    emulator_fail("a thread ends with copies on their way, or products");
  if (now.members[rank()].own.waiting > 0) emulator_fail("a thread ends while others wait at a barrier");
  me.now = DONE;
  now.members[rank()].done++;
  give_way();
}

std::string describe_wait(uint32_t index) {
  const thread &t = now.all[index];
  const char *where = t.now == AT_BARRIER    ? " waits at the barrier of "
                      : t.now == AT_MBARRIER ? " waits at the mbarrier of "
                                             : " waits for its warp in ";
  return name_thread(index) + (t.now == DONE ? std::string(" has ended") : where + name_site(t.site));
}

/* Nobody can go on. */
std::string describe_deadlock() {
  std::string text = "deadlock: ";
  uint32_t first = 0;
  while (now.all[first].now == DONE) first++;
  text += describe_wait(first);
  for (uint32_t i = first + 1; i < now.all.size(); i++)
    if (now.all[i].now != now.all[first].now || !same_site(now.all[i].site, now.all[first].site))
      return text + ", " + describe_wait(i);
  return text;
}

void begin_block(uint32_t index) {
  now.index = index;
  now.members.assign(now.members.size(), member{});
  now.cluster = barrier{};
  now.clock = 1;
  now.mbarriers.clear();
  now.bulk_copies.clear();
  for (auto &waiting : now.in_group) waiting.second.assign(now.all.size(), 0);
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

bool all_done() {
  for (const member &m : now.members)
    if (m.done < now.threads) return false;
  return true;
}

/* Each thread of a member in turn goes on as far as it can; returns how many did. */
uint32_t run_member(uint32_t of, uint32_t start) {
  uint32_t ran = 0;
  for (uint32_t i = 0; i < now.threads && !now.failed; i++) {
    now.current = of * now.threads + (start + i) % now.threads;
    if (self().now != RUNS) continue;
    fiber_switch(now.scheduler, self().own);
    ran++;
  }
  return ran;
}

/* Beginning with another thread each time. Of a cluster one block is as far ahead of the others as they let it. */
void run_block(uint32_t index) {
  begin_block(index);
  uint32_t members = static_cast<uint32_t>(now.members.size());
  for (uint32_t start = launches * 7 + index;; start += 37) {
    uint32_t ran = 0;
    for (uint32_t i = 0; i < members && ran == 0; i++) ran = run_member((launches + i) % members, start);
    if (now.failed || all_done()) return;
    if (!now.bulk_copies.empty())
      run_bulk_copies();
    else if (ran == 0)
      break;
  }
  now.error = describe_deadlock();
  now.failed = true;
}

void begin_launch(const std::function<void()> &kernel, uint32_t blocks, uint32_t threads, uint32_t shared_bytes,
                  uint32_t cluster) {
  now.kernel = &kernel;
  now.blocks = blocks;
  now.threads = threads;
  now.shared_bytes = (shared_bytes + 15) / 16 * 16;
  now.failed = false;
  now.error.clear();
  now.members.resize(cluster);
  now.all.resize(threads * cluster);
  now.lanes.resize(threads * cluster);
  now.in_group[warp_lanes].resize(threads * cluster);
  now.in_group[4 * warp_lanes].resize(threads * cluster);
  now.shared.resize(now.shared_bytes * cluster);
  now.words.resize(now.shared_bytes * cluster / 4);
  launches++;
}

/* A use of shared memory by two threads with no barrier between them. */
void race(const char *what, uint32_t other, uint32_t offset, emulator_site site) {
  emulator_fail(name_thread(now.current) + what + name_thread(other) + " between the same barriers: shared byte " +
                std::to_string(offset % now.shared_bytes) + ", " + name_site(site));
}

/* Whether the thread was the last of `all`, who then go on. */
bool arrive(barrier &at, uint32_t all, bool value, emulator_site site) {
  if (at.waiting > 0 && !same_site(at.site, site))
    emulator_fail("divergent barriers: " + name_site(site) + " and " + name_site(at.site));
  at.site = site;
  at.vote = (at.waiting > 0 && at.vote) || value;
  self().site = site;
  if (++at.waiting == all) return true;
  self().now = AT_BARRIER;
  give_way();
  return false;
}

void release(barrier &at, size_t first, size_t count) {
  now.clock++;
  for (size_t i = first; i < first + count; i++) {
    now.all[i].now = RUNS;
    now.all[i].vote = at.vote;
    now.all[i].acquired = now.clock;
  }
  at.waiting = 0;
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
                            uint32_t shared_bytes, uint32_t cluster) {
  if (threads == 0 || threads % warp_lanes != 0) return "a block of " + std::to_string(threads) + " threads";
  if (blocks % cluster != 0) return std::to_string(blocks) + " blocks in clusters of " + std::to_string(cluster);
  begin_launch(kernel, blocks, threads, shared_bytes, cluster);
  for (uint32_t i = 0; i < blocks && !now.failed; i += cluster) run_block(launches % 2 == 0 ? i : blocks - cluster - i);
  if (now.failed) now.all.clear(); /* stacks that were left in the middle */
  return now.error;
}

uint32_t emulator_thread() { return now.current % now.threads; }
uint32_t emulator_threads() { return now.threads; }
uint32_t emulator_block() { return now.index + rank(); }
uint32_t emulator_blocks() { return now.blocks; }

void emulator_fail(const std::string &what) {
  now.error = name_thread(now.current) + ": " + what;
  now.failed = true;
  give_way();
  __builtin_unreachable();
}

void emulator_bound(uint32_t offset, uint32_t bytes) {
  if (offset % 4 != 0 || (uint64_t)offset + bytes > now.shared_bytes)
    emulator_fail("an array of shared memory from byte " + std::to_string(offset) + " to " +
                  std::to_string((uint64_t)offset + bytes) + " of " + std::to_string(now.shared_bytes));
}

const void *emulator_read(uint32_t offset, uint32_t bytes, emulator_site site) {
  offset = absolute(offset);
  for (uint32_t w = offset / 4; w < (offset + bytes + 3) / 4; w++) note_read(w, site);
  return &now.shared[offset];
}

void emulator_write(uint32_t offset, const void *from, uint32_t bytes, emulator_site site) {
  offset = absolute(offset);
  for (uint32_t w = offset / 4; w < (offset + bytes + 3) / 4; w++) note_write(w, site);
  memcpy(&now.shared[offset], from, bytes);
}

void *emulator_atomic(uint32_t offset, uint32_t bytes) {
  emulator_bound(offset, bytes);
  return &now.shared[absolute(offset)];
}

bool emulator_barrier(bool value, emulator_site site) {
  member &own = now.members[rank()];
  if (own.done > 0) emulator_fail("a barrier that other threads have left behind: " + name_site(site));
  if (arrive(own.own, now.threads, value, site)) release(own.own, rank() * now.threads, now.threads);
  return self().vote;
}

void emulator_cluster_barrier(emulator_site site) {
  for (const member &m : now.members)
    if (m.done > 0) emulator_fail("a barrier that other threads have left behind: " + name_site(site));
  if (arrive(now.cluster, static_cast<uint32_t>(now.all.size()), false, site)) release(now.cluster, 0, now.all.size());
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
  offset = absolute(offset);
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
