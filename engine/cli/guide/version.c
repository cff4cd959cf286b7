#include "engine/cli/guide/version.h"

#include <jansson.h>
#include <likeness/device.h>
#include <likeness/version.h>
#include <sodium.h>
#include <utf8proc.h>
#include <xxhash.h>
#include <yaml.h>
#include <zlib.h>

#include "base/printable.h"
#include "engine/queue/link/wire.h"

static bool can_open(const char *name, lk_error *error) {
  lk_device *device;
  if (lk_device_open(name, 1, &device, error) != LK_OK) return false;
  lk_device_close(device);
  return true;
}

static void print_processor(FILE *out) {
  static const char *const names[] = {"cpu:amx", "cpu:avx512vnni", "cpu:avx2", "cpu:portable"};
  fputs("processor  ", out);
  for (int i = 0; i < 4; i++)
    if (can_open(names[i], NULL)) fprintf(out, " %s", names[i]);
  fputc('\n', out);
}

void lk_version_print(FILE *out) {
  lk_error error;
  unsigned hash = XXH_versionNumber();
  fprintf(out, "likeness %s\n", lk_version());
  print_processor(out);
  if (can_open("cuda", &error))
    fputs("GPU         cuda\n", out);
  else
    lk_printable_line(out, "GPU         none: %s", error.text);
  fprintf(out, "libraries   hiredis %s, jansson %s, libsodium %s, libyaml %s,\n", lk_wire_library(),
          jansson_version_str(), sodium_version_string(), yaml_get_version_string());
  fprintf(out, "            utf8proc %s, xxhash %u.%u.%u, zlib %s\n", utf8proc_version(), hash / 10000,
          hash / 100 % 100, hash % 100, zlibVersion());
}
