#include <likeness/types.h>
#include "base/fail.h"
#include "base/text.h"

static const char *const metric_names[] = {"cosine", "ip", "l2"}, *const store_names[] = {"f32", "f16"},
                         *const fusion_names[] = {"none", "max", "mean"};

/* -1: not found. */
static int find(const char *const *names, int count, lk_text name) {
  while (--count >= 0 && !lk_text_equal(lk_text_of(names[count]), name)) continue;
  return count;
}

const char *lk_metric_name(lk_metric metric) { return (unsigned)metric <= LK_L2 ? metric_names[metric] : "?"; }
const char *lk_store_name(lk_store store) { return (unsigned)store <= LK_STORE_F16 ? store_names[store] : "?"; }
const char *lk_fusion_name(lk_fusion fusion) { return (unsigned)fusion <= LK_FUSE_MEAN ? fusion_names[fusion] : "?"; }

lk_status lk_metric_parse(const char *name, lk_metric *metric, lk_error *error) {
  int found = find(metric_names, 3, lk_text_of(name));
  if (found < 0) return lk_fail(error, LK_EINVAL, "metric '%s' is not one of cosine, ip, l2", name);
  *metric = (lk_metric)found;
  return LK_OK;
}

lk_status lk_store_parse(const char *name, lk_store *store, lk_error *error) {
  int found = find(store_names, 2, lk_text_of(name));
  if (found < 0) return lk_fail(error, LK_EINVAL, "store '%s' is not one of f32, f16", name);
  *store = (lk_store)found;
  return LK_OK;
}

lk_status lk_fusion_parse(lk_text name, lk_fusion *fusion, lk_error *error) {
  int found = find(fusion_names, 3, name);
  if (found < 0)
    return lk_fail(error, LK_EINVAL, "'%.*s' is not one of none, max, mean", name.length < 40 ? (int)name.length : 40,
                   name.bytes);
  *fusion = (lk_fusion)found;
  return LK_OK;
}
