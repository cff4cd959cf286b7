#include <string.h>

#include "index/likeness.h"
#include "kernels/fail.h"

static const char *const metric_names[] = {"cosine", "ip", "l2"}, *const store_names[] = {"f32", "f16"};

const char *lk_metric_name(lk_metric metric) { return metric_names[metric]; }

lk_status lk_metric_parse(const char *name, lk_metric *metric, lk_error *error) {
  for (size_t i = 0; i < sizeof metric_names / sizeof metric_names[0]; i++)
    if (strcmp(name, metric_names[i]) == 0) {
      *metric = (lk_metric)i;
      return LK_OK;
    }
  return lk_fail(error, LK_EINVAL, "metric '%s' is none of cosine, ip, l2", name);
}

const char *lk_store_name(lk_store store) { return store_names[store]; }

lk_status lk_store_parse(const char *name, lk_store *store, lk_error *error) {
  for (size_t i = 0; i < sizeof store_names / sizeof store_names[0]; i++)
    if (strcmp(name, store_names[i]) == 0) {
      *store = (lk_store)i;
      return LK_OK;
    }
  return lk_fail(error, LK_EINVAL, "store '%s' is none of f32, f16", name);
}
