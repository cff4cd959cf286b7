#include "engine/queue/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

enum { PARTITION_DIGITS = 10 };

static bool is_tag(const char *name) {
  size_t length = strcspn(name, "/"), digits = strspn(name + length + (name[length] == '/'), "0123456789");
  if (length > LK_TEXT_MAX || !lk_text_is_name((lk_text){.bytes = name, .length = (uint32_t)length})) return false;
  if (name[length] == '\0') return true;
  return digits >= 1 && digits <= PARTITION_DIGITS && name[length + 1 + digits] == '\0';
}

static void make(char key[LK_KEY_SIZE], const char *gallery, const char *name) {
  snprintf(key, LK_KEY_SIZE, "lk:{%s}:%s", gallery, name);
}

/* Lane 0 has the plain name, so that a line of redis-cli needs no lane. */
static void make_lanes(char lanes[LK_LANES][LK_KEY_SIZE], const char *gallery, const char *name) {
  make(lanes[0], gallery, name);
  for (int lane = 1; lane < LK_LANES; lane++) snprintf(lanes[lane], LK_KEY_SIZE, "lk:{%s}:%s:%d", gallery, name, lane);
}

lk_status lk_keys_make(const char *gallery, lk_keys *keys, lk_error *error) {
  if (!is_tag(gallery))
    return lk_fail(error, LK_EINVAL, "'%.*s' is not a gallery's name: it may have letters, digits, '.', '_' and '-'",
                   lk_text_shown(lk_text_of(gallery)), gallery);
  strcpy(keys->gallery, gallery);
  make_lanes(keys->lanes[LK_HI], gallery, "q:hi");
  make_lanes(keys->lanes[LK_LO], gallery, "q:lo");
  make(keys->dead, gallery, "dead");
  make(keys->heads, gallery, "heads");
  make(keys->workers, gallery, "workers");
  make(keys->running, gallery, "running");
  make(keys->deaths, gallery, "deaths");
  make(keys->cancelled, gallery, "cancelled");
  make(keys->replies, gallery, "r:");
  make(keys->once, gallery, "signed:");
  make(keys->log, gallery, "log");
  make(keys->log_state, gallery, "log:state");
  make(keys->log_readers, gallery, "log:readers");
  make(keys->vectors, gallery, "v:");
  return LK_OK;
}

/* CRC-16/XMODEM, which Redis Cluster has for its slots. */
static uint16_t crc16(lk_text text) {
  uint16_t crc = 0;
  for (uint32_t i = 0; i < text.length; i++) {
    crc ^= (uint16_t)((unsigned char)text.bytes[i] << 8);
    for (int bit = 0; bit < 8; bit++) crc = (uint16_t)(crc << 1 ^ ((crc & 0x8000) != 0 ? 0x1021 : 0));
  }
  return crc;
}

uint32_t lk_keys_lane(lk_text client) { return crc16(client) % LK_LANES; }

const char *lk_keys_short(const lk_keys *keys, const char *stream) {
  return stream + strlen("lk:{}:") + strlen(keys->gallery);
}
