#include <cstring>

#include "tests/emulator/block.h"
#include "tests/emulator/emulator.h"

namespace emulator {
namespace {

const uint32_t group_threads = 128, rows = 256, chunk = 64, depth = 32;

mbarrier &mbarrier_at(uint32_t offset) {
  auto found = now.mbarriers.find(offset);
  if (found == now.mbarriers.end()) emulator_fail("an mbarrier that was not made, at byte " + std::to_string(offset));
  return found->second;
}

/* Ends the phase once all have arrived and all bytes are there. */
void end_phase(uint32_t offset) {
  mbarrier &g = mbarrier_at(offset);
  if (g.left > 0 || g.bytes != 0) return;
  g.phase ^= 1;
  g.left = g.count;
  g.passed = ++now.clock;
  for (thread &t : now.all)
    if (t.now == AT_MBARRIER && t.mbarrier == offset && t.mbarrier_parity != g.phase) t.now = RUNS;
}

/* Where a matrix in shared memory begins, from its descriptor: rows of 64 bytes, swizzled, eight of them in 512. */
uint32_t matrix_offset(uint64_t descriptor) {
  if (descriptor >> 62 != 2 || (descriptor >> 32 & 0x3fff) << 4 != 512 || (descriptor >> 49 & 7) != 0)
    emulator_fail("a matrix that is not laid out in rows of 64 swizzled bytes");
  return static_cast<uint32_t>(descriptor & 0x3fff) << 4;
}

/* Row `row` of a matrix, 32 bytes of it. */
void read_row(uint32_t begin, uint32_t row, int8_t *out) {
  for (uint32_t k = 0; k < depth; k += 16) {
    uint32_t at = begin + row * chunk + k;
    at ^= (at >> 7 & 3) << 4;
    emulator_bound(at, 16);
    memcpy(out + k, emulator_read(at, 16, emulator_here()), 16);
  }
}

int32_t dot(const int8_t *x, const int8_t *y) {
  int32_t sum = 0;
  for (uint32_t k = 0; k < depth; k++) sum += (int16_t)x[k] * (int16_t)y[k];
  return sum;
}

/* One product for the whole group; `of` are the group's threads. */
void multiply(thread *of, size_t index) {
  static int8_t a[64][depth], b[rows][depth];
  const product &first = of[0].product_groups.front()[index];
  for (uint32_t r = 0; r < 64; r++) read_row(matrix_offset(first.a), r, a[r]);
  for (uint32_t r = 0; r < rows; r++) read_row(matrix_offset(first.b), r, b[r]);
  for (uint32_t t = 0; t < group_threads; t++) {
    const product &own = of[t].product_groups.front()[index];
    if (own.a != first.a || own.b != first.b || own.adds != first.adds)
      emulator_fail("a product of different matrices");
    for (uint32_t i = 0; i < rows / 2; i++) {
      uint32_t lane = t % 32, row = t / 32 * 16 + lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      own.sums[i] = (own.adds ? own.sums[i] : 0) + dot(a[row], b[column]);
    }
  }
}

/* The oldest group of products of four warps. */
void multiply_group(emulator_lane *lanes) {
  thread *of = &now.all[static_cast<size_t>(lanes - now.lanes.data())];
  size_t count = of->product_groups.front().size();
  for (uint32_t t = 0; t < group_threads; t++)
    if (of[t].product_groups.empty() || of[t].product_groups.front().size() != count)
      emulator_fail("lanes that asked for different products");
  for (size_t i = 0; i < count; i++) multiply(of, i);
}

}  // namespace

void run_bulk_copies() {
  std::vector<bulk_copy> copies;
  copies.swap(now.bulk_copies);
  for (const bulk_copy &c : copies) {
    memcpy(&now.shared[c.offset], c.from, c.bytes);
    for (uint32_t w = c.offset / 4; w < (c.offset + c.bytes) / 4; w++) {
      now.words[w].in_flight = false;
      now.words[w].written = 0; /* seen by whoever passes the mbarrier */
    }
    mbarrier_at(c.mbarrier).bytes -= c.bytes;
    end_phase(c.mbarrier);
  }
}

}  // namespace emulator

using namespace emulator;

namespace {

void arrive(uint32_t at, uint32_t bytes) {
  mbarrier &g = mbarrier_at(at);
  if (g.left == 0) emulator_fail("more arrive at an mbarrier than it counts");
  g.bytes += bytes;
  g.left--;
  end_phase(at);
}

/* An offset in another block's shared memory, which must still be there. */
uint32_t offset_in(uint32_t rank, uint32_t offset, emulator_site site) {
  if (rank >= now.members.size()) emulator_fail("a block that the cluster does not have: " + name_site(site));
  if (now.members[rank].done == now.threads) emulator_fail("a block that has ended is used: " + name_site(site));
  return rank * now.shared_bytes + offset;
}

void copy_later(uint32_t at, const void *from, uint32_t bytes, uint32_t mbarrier, emulator_site site) {
  for (uint32_t w = at / 4; w < (at + bytes) / 4; w++) {
    note_write(w, site);
    now.words[w].in_flight = true;
  }
  memset(&now.shared[at], 0xa5, bytes);
  now.bulk_copies.push_back({at, bytes, mbarrier, from});
}

void check_copy(uint32_t offset, const void *from, uint32_t bytes, emulator_site site) {
  if (offset % 16 != 0 || (uintptr_t)from % 16 != 0 || bytes % 16 != 0)
    emulator_fail("a copy that is not aligned: " + name_site(site));
  emulator_bound(offset, bytes);
}

}  // namespace

void emulator_mbarrier_make(uint32_t offset, uint32_t count) {
  now.mbarriers[absolute(offset)] = mbarrier{count, count, 0, 0, 0};
}

void emulator_mbarrier_arrive(uint32_t offset, uint32_t bytes) { arrive(absolute(offset), bytes); }

void emulator_mbarrier_arrive_at(uint32_t offset, uint32_t rank, emulator_site site) {
  arrive(offset_in(rank, offset, site), 0);
}

void emulator_mbarrier_wait(uint32_t offset, uint32_t parity, emulator_site site) {
  thread &me = self();
  uint32_t at = absolute(offset);
  me.site = site;
  if (mbarrier_at(at).phase == parity) {
    me.mbarrier = at;
    me.mbarrier_parity = parity;
    me.now = AT_MBARRIER;
    give_way();
  }
  if (mbarrier_at(at).passed > me.acquired) me.acquired = mbarrier_at(at).passed;
}

void emulator_bulk_copy(uint32_t offset, const void *from, uint32_t bytes, uint32_t mbarrier, emulator_site site) {
  check_copy(offset, from, bytes, site);
  copy_later(absolute(offset), from, bytes, absolute(mbarrier), site);
}

void emulator_bulk_copy_to_all(uint32_t offset, const void *from, uint32_t bytes, uint32_t mbarrier,
                               emulator_site site) {
  check_copy(offset, from, bytes, site);
  for (uint32_t r = 0; r < now.members.size(); r++)
    copy_later(offset_in(r, offset, site), from, bytes, offset_in(r, mbarrier, site), site);
}

void emulator_product(int32_t *sums, uint64_t a, uint64_t b, bool adds) {
  self().products.push_back({sums, a, b, adds});
}

void emulator_product_commit() {
  self().product_groups.push_back(std::move(self().products));
  self().products.clear();
}

void emulator_product_wait(size_t pending, emulator_site site) {
  std::deque<std::vector<product>> &groups = self().product_groups;
  for (; groups.size() > pending; groups.pop_front()) {
    unsigned char in = 0, out;
    emulator_meet(&in, 1, &out, 0, multiply_group, site, group_threads);
  }
}
