/* The emulator finds each kind of fault. */
#include <criterion/criterion.h>

#include "kernels/cuda/device/ptx_hopper.cuh"

static bool contains(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

#define EXPECT(found, part) \
  cr_assert(contains(found, part), "'%s' and not '%s'", (found).empty() ? "nothing" : (found).c_str(), part)

Test(emulator, runs_every_thread_of_every_block) {
  uint32_t sum = 0;
  auto kernel = [&] { sum += lk_block() * 100 + lk_thread() + lk_blocks() + lk_threads(); };
  std::string error = emulator_launch(kernel, 3, 64, 0);
  cr_assert(error.empty(), "%s", error.c_str());
  cr_assert(sum == 64 * 300 + 3 * (64 * 63 / 2) + 3 * 64 * 67);
}

Test(emulator, barriers_order_shared_memory) {
  uint32_t wrong = 0;
  auto kernel = [&] {
    lk_shared<uint32_t> words = lk_shared_array<uint32_t>(0, 96);
    for (uint32_t round = 0; round < 5; round++) {
      words.store(lk_thread(), lk_thread() + round);
      lk_barrier();
      wrong += words.load((lk_thread() + 1) % 96) != (lk_thread() + 1) % 96 + round;
      lk_barrier();
    }
  };
  std::string error = emulator_launch(kernel, 2, 96, 96 * 4);
  cr_assert(error.empty() && wrong == 0, "%s", error.c_str());
}

Test(emulator, warps) {
  uint32_t wrong = 0;
  auto kernel = [&] {
    uint32_t lane = lk_thread() % 32;
    wrong += lk_shuffle(lane * 3, 7u) != 21;
    wrong += lk_shuffle_down(1.5 * lane, 4) != 1.5 * (lane < 28 ? lane + 4 : lane);
    wrong += lk_shuffle_up((uint64_t)lane << 40, 1) != (uint64_t)(lane > 0 ? lane - 1 : 0) << 40;
    wrong += lk_shuffle_xor((float)lane, 16) != (float)(lane ^ 16);
    wrong += lk_ballot(lane % 3 == 0) != 0x49249249;
    wrong += lk_any(lk_thread() == 40) != (lk_thread() >= 32);
    wrong += lk_barrier_any(lk_thread() == 40) != true;
    wrong += lk_barrier_any(false) != false;
  };
  std::string error = emulator_launch(kernel, 1, 64, 0);
  cr_assert(error.empty() && wrong == 0, "%u: %s", wrong, error.c_str());
}

/* One product of 16 x 32 and 32 x 8, its fragments laid out by hand. */
Test(emulator, tensor_cores) {
  int8_t a[16][32], b[8][32];
  for (int i = 0; i < 16 * 32; i++) a[i / 32][i % 32] = (int8_t)(i * 37 % 255 - 127);
  for (int i = 0; i < 8 * 32; i++) b[i / 32][i % 32] = (int8_t)(i * 91 % 255 - 127);
  uint32_t wrong = 0;
  auto kernel = [&] {
    uint32_t lane = lk_thread(), row = lane / 4, k = lane % 4 * 4, fa[4], fb[2];
    for (int i = 0; i < 4; i++) memcpy(&fa[i], &a[row + i % 2 * 8][k + i / 2 * 16], 4);
    for (int i = 0; i < 2; i++) memcpy(&fb[i], &b[row][k + i * 16], 4);
    int32_t sum[4] = {1, 2, 3, 4};
    lk_multiply(sum, fa, fb);
    for (int i = 0; i < 4; i++) {
      int32_t want = i + 1;
      for (int j = 0; j < 32; j++) want += a[row + i / 2 * 8][j] * b[lane % 4 * 2 + i % 2][j];
      wrong += sum[i] != want;
    }
  };
  std::string error = emulator_launch(kernel, 1, 32, 0);
  cr_assert(error.empty() && wrong == 0, "%u: %s", wrong, error.c_str());
}

Test(emulator, copies_arrive_when_waited_for) {
  lk_quad from[64];
  memset(from, 7, sizeof from);
  uint32_t wrong = 0;
  auto kernel = [&] {
    lk_shared<lk_quad> quads = lk_shared_array<lk_quad>(0, 64);
    lk_copy(quads, lk_thread(), &from[lk_thread()]);
    lk_copy_commit();
    lk_copy(quads, lk_thread() + 32, &from[lk_thread() + 32]);
    lk_copy_commit();
    lk_copy_wait<1>();
    wrong += quads.load(lk_thread()).word[3] != 0x07070707;
    lk_copy_wait<0>();
    lk_barrier();
    wrong += quads.load(lk_thread() ^ 33).word[0] != 0x07070707;
  };
  std::string error = emulator_launch(kernel, 1, 32, 64 * 16);
  cr_assert(error.empty() && wrong == 0, "%s", error.c_str());
}

/* Each of two blocks brings half of what both read, and no block writes the second time before both have read. */
static std::string share_copies(const lk_quad *from, bool waits, uint32_t *wrong) {
  auto kernel = [=] {
    lk_shared<lk_quad> quads = lk_shared_array<lk_quad>(0, 32);
    lk_shared<uint64_t> mbarriers = lk_shared_array<uint64_t>(512, 2);
    if (lk_thread() == 0) {
      lk_mbarrier_make(mbarriers, 0, 1);
      lk_mbarrier_make(mbarriers, 1, 64);
    }
    lk_cluster_barrier();
    for (uint32_t turn = 0; turn < 2; turn++) {
      if (lk_thread() == 0) {
        if (waits) lk_mbarrier_wait(mbarriers, 1, turn ^ 1);
        lk_mbarrier_announce(mbarriers, 0, 512);
        lk_bulk_copy_to_all(quads, lk_block() % 2 * 16, from + turn * 32 + lk_block() % 2 * 16, 256, mbarriers, 0, 2);
      }
      lk_mbarrier_wait(mbarriers, 0, turn);
      *wrong += quads.load(lk_thread()).word[0] != from[turn * 32 + lk_thread()].word[0];
      lk_any(true);
      for (uint32_t rank = 0; rank < 2; rank++) lk_mbarrier_arrive_at(mbarriers, 1, rank);
    }
    lk_cluster_barrier();
  };
  return emulator_launch(kernel, 4, 32, 512 + 16, 2);
}

Test(emulator, clusters_share_copies) {
  lk_quad from[64];
  for (uint32_t i = 0; i < 64; i++) from[i].word[0] = i;
  uint32_t wrong = 0;
  std::string error = share_copies(from, true, &wrong);
  cr_assert(error.empty() && wrong == 0, "%u: %s", wrong, error.c_str());
}

/* ---- faults ---- */

Test(emulator, finds_a_copy_over_what_another_block_reads) {
  lk_quad from[64] = {};
  uint32_t wrong = 0;
  EXPECT(share_copies(from, false, &wrong), "between the same barriers");
}

/* In one of two launches the other block is ahead. */
Test(emulator, finds_a_block_of_the_cluster_that_has_ended) {
  auto kernel = [] {
    lk_shared<uint64_t> mbarriers = lk_shared_array<uint64_t>(0, 1);
    if (lk_thread() == 0) lk_mbarrier_make(mbarriers, 0, 64);
    lk_cluster_barrier();
    if (lk_block() == 1) lk_mbarrier_arrive_at(mbarriers, 0, 0);
  };
  std::string errors = emulator_launch(kernel, 2, 32, 16, 2) + emulator_launch(kernel, 2, 32, 16, 2);
  EXPECT(errors, "a block that has ended");
}

Test(emulator, finds_a_cluster_barrier_that_a_block_leaves_out) {
  auto kernel = [] {
    if (lk_block() == 0) lk_cluster_barrier();
  };
  std::string error = emulator_launch(kernel, 2, 32, 16, 2);
  cr_assert(contains(error, "left behind") || contains(error, "deadlock"), "%s", error.c_str());
}

Test(emulator, finds_a_divergent_barrier) {
  auto kernel = [] {
    if (lk_thread() < 32)
      lk_barrier();
    else
      lk_barrier();
  };
  EXPECT(emulator_launch(kernel, 1, 64, 0), "divergent barriers");
}

Test(emulator, finds_a_barrier_that_a_thread_leaves_out) {
  auto kernel = [] {
    if (lk_thread() != 5) lk_barrier();
  };
  std::string error = emulator_launch(kernel, 1, 64, 0);
  cr_assert(contains(error, "left behind") || contains(error, "wait at a barrier"), "%s", error.c_str());
}

Test(emulator, finds_a_deadlock) {
  auto kernel = [] {
    if (lk_thread() < 16)
      lk_barrier();
    else
      lk_any(true);
  };
  EXPECT(emulator_launch(kernel, 1, 32, 0), "deadlock");
}

Test(emulator, finds_lanes_that_meet_in_different_instructions) {
  auto kernel = [] {
    if (lk_thread() < 16)
      lk_any(true);
    else
      lk_ballot(true);
  };
  EXPECT(emulator_launch(kernel, 1, 32, 0), "lanes of a warp meet");
}

Test(emulator, finds_an_index_out_of_bounds) {
  auto kernel = [] { lk_shared_array<uint32_t>(0, 32).store(lk_thread() + 1, 0); };
  EXPECT(emulator_launch(kernel, 1, 32, 256), "element 32 of a shared array of 32");
}

Test(emulator, finds_an_array_beyond_the_shared_memory) {
  auto kernel = [] { lk_shared_array<uint64_t>(8, 32); };
  EXPECT(emulator_launch(kernel, 1, 32, 256), "from byte 8 to 264 of 256");
}

Test(emulator, finds_a_read_without_a_barrier) {
  auto kernel = [] {
    lk_shared<uint32_t> words = lk_shared_array<uint32_t>(0, 64);
    words.store(lk_thread(), 1);
    words.load(lk_thread() ^ 1);
  };
  EXPECT(emulator_launch(kernel, 1, 64, 256), "between the same barriers");
}

Test(emulator, finds_a_write_over_what_others_read) {
  auto kernel = [] {
    lk_shared<uint32_t> words = lk_shared_array<uint32_t>(0, 64);
    words.store(lk_thread(), 1);
    lk_barrier();
    words.load(lk_thread() ^ 1);
    words.store(lk_thread(), 2);
  };
  EXPECT(emulator_launch(kernel, 1, 64, 256), "between the same barriers");
}

Test(emulator, finds_a_copy_that_is_read_too_early) {
  lk_quad from[64] = {};
  auto kernel = [&] {
    lk_shared<lk_quad> quads = lk_shared_array<lk_quad>(0, 32);
    lk_copy(quads, lk_thread(), &from[lk_thread()]);
    lk_copy_commit();
    lk_copy_wait<1>();
    quads.load(lk_thread());
  };
  EXPECT(emulator_launch(kernel, 1, 32, 512), "has not brought yet");
}

Test(emulator, finds_a_copy_that_others_read_without_a_barrier) {
  lk_quad from[64] = {};
  auto kernel = [&] {
    lk_shared<lk_quad> quads = lk_shared_array<lk_quad>(0, 32);
    lk_copy(quads, lk_thread(), &from[lk_thread()]);
    lk_copy_commit();
    lk_copy_wait<0>();
    lk_any(true);
    quads.load(lk_thread() ^ 1);
  };
  EXPECT(emulator_launch(kernel, 1, 32, 512), "between the same barriers");
}

Test(emulator, finds_copies_that_nobody_waits_for) {
  lk_quad from[64] = {};
  auto kernel = [&] {
    lk_copy(lk_shared_array<lk_quad>(0, 32), lk_thread(), &from[lk_thread()]);
    lk_copy_commit();
  };
  EXPECT(emulator_launch(kernel, 1, 32, 512), "copies on their way");
}

/* The next launch is not harmed. */
Test(emulator, goes_on_after_a_fault) {
  for (int i = 0; i < 3; i++) {
    EXPECT(emulator_launch(
               [] {
                 if (lk_thread() > 3) lk_barrier();
               },
               2, 64, 0),
           "barrier");
    std::string error = emulator_launch([] { lk_barrier(); }, 2, 128, 0);
    cr_assert(error.empty(), "%s", error.c_str());
  }
}
