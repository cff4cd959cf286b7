#include "index/portable/departure.h"

#include <math.h>

#include "base/fail.h"
#include "kernels/control.h"

enum { REPORTED = 4096 };

static void report(const lk_departure *d) {
  if (d->order->progress != NULL) d->order->progress(d->order->context, d->done, d->living.count);
}

lk_status lk_departure_count(lk_departure *departure, lk_error *error) {
  if (lk_control_is_cancelled(departure->order->control))
    return lk_fail(error, LK_ECANCELLED, "the export was stopped");
  if (++departure->done % REPORTED == 0) report(departure);
  return LK_OK;
}

static lk_status write_living(lk_departure *d, lk_departure_write *write, void *context, uint64_t *epoch,
                              lk_error *error) {
  lk_status status = lk_living_open(d->gallery, d->for_log, &d->living, error);
  if (status == LK_OK) {
    report(d);
    *epoch = d->living.sight.epoch;
    status = write(context, d, error);
  }
  lk_living_close(&d->living);
  return status;
}

lk_status lk_departure_run(lk_departure *departure, const lk_gallery *gallery, lk_departure_write *write,
                           lk_departure_finish *finish, void *context, lk_error *error) {
  static const lk_policy_request request = {.operation = LK_OPERATION_EXPORT, .k = 1, .threshold = -INFINITY};
  static const lk_evidence none;
  uint64_t epoch = 0;
  departure->gallery = gallery;
  lk_status status =
      lk_gallery_authorise(&departure->authorisation, gallery, &request, &none, departure->order->claims, error);
  /* Whoever kills the process has nearly all templates in the file. */
  if (status == LK_OK) status = lk_gallery_commit_decision(&departure->authorisation, error);
  if (status == LK_OK) status = write_living(departure, write, context, &epoch, error);
  if (status == LK_OK) status = lk_gallery_release(&departure->authorisation, departure->done, epoch, error);
  if (status == LK_OK) status = finish(context, error);
  lk_gallery_authorise_end(&departure->authorisation);
  return status;
}
