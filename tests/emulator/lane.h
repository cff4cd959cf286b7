/* Types that device code hands to the emulator: where it is, and what a lane of a warp brings to the others. */
#ifndef TESTS_EMULATOR_LANE_H
#define TESTS_EMULATOR_LANE_H

/* Where in device code: as a default argument, where the caller is. */
struct emulator_site {
  const char *file;
  int line;
};
inline emulator_site emulator_here(const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  return {file, line};
}

/* What a lane brings, and what it gets. */
struct emulator_lane {
  alignas(16) unsigned char in[48];
  alignas(16) unsigned char out[16];
};
typedef void emulator_combine(emulator_lane *lanes);

#endif
