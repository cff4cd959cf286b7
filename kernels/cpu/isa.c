#include "kernels/cpu/isa.h"

#include <stdbool.h>
#include <string.h>

#ifdef LK_HAVE_X86
#include <cpuid.h>
#endif

#ifdef LK_HAVE_X86
/* A processor with AVX2 also converts halves (F16C is older); clang 14 cannot ask for that. */
static bool avx2_runs_here(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static bool avx512vnni_runs_here(void) {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && avx2_runs_here();
}

/* clang 14 cannot ask for AMX by name. */
static bool amx_runs_here(void) {
  const unsigned tile_and_int8 = 3U << 24;
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & tile_and_int8) == tile_and_int8 && avx512vnni_runs_here() &&
         lk_amx_is_granted();
}
#endif

static bool runs_anywhere(void) { return true; }

/* Best first. */
static const struct {
  const lk_isa *isa;
  bool (*runs_here)(void);
} known[] = {
#ifdef LK_HAVE_X86
    {&lk_isa_amx, amx_runs_here},
    {&lk_isa_avx512vnni, avx512vnni_runs_here},
    {&lk_isa_avx2, avx2_runs_here},
#endif
    {&lk_isa_portable, runs_anywhere},
};

const lk_isa *lk_isa_find(const char *name) {
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if ((name == NULL || strcmp(name, known[i].isa->name) == 0) && known[i].runs_here()) return known[i].isa;
  return NULL;
}

void lk_isa_pack(const int8_t *codes, uint32_t rows, uint32_t dim, uint32_t width, uint8_t *tile) {
  uint32_t strips = (rows + LK_STRIP_ROWS - 1) / LK_STRIP_ROWS;
  memset(tile, LK_CODE_SHIFT, (size_t)strips * LK_STRIP_ROWS * width);
  for (uint32_t r = 0; r < rows; r++) {
    uint8_t *strip = tile + (size_t)(r / LK_STRIP_ROWS) * LK_STRIP_ROWS * width;
    uint8_t *packed = strip + (size_t)(r % LK_STRIP_ROWS) * LK_STEP;
    const int8_t *code = codes + (size_t)r * dim;
    for (uint32_t i = 0; i < dim; i++)
      packed[(size_t)(i / LK_STEP) * LK_STRIP_ROWS * LK_STEP + i % LK_STEP] = (uint8_t)(code[i] + LK_CODE_SHIFT);
  }
}

static int larger(int a, int b) { return a > b ? a : b; }

int lk_isa_run_sum(const int8_t *probe, uint32_t width) {
  int most = 0;
  for (uint32_t begin = 0; begin < width; begin += LK_RUN)
    for (uint32_t half = 0; half < LK_STEP; half += LK_STEP / 2) {
      int above = 0, below = 0;
      for (uint32_t i = begin + half; i < width && i < begin + LK_RUN; i += LK_STEP)
        for (uint32_t e = i; e < i + LK_STEP / 2; e++) {
          above += larger(probe[e], 0);
          below += larger(-probe[e], 0);
        }
      most = larger(most, larger(above, below));
    }
  return most;
}
