#include "engine/cli/receipt.h"

#include <inttypes.h>

#include "base/fail.h"
#include "base/printable.h"
#include "base/timestamp.h"
#include "engine/cli/render.h"

enum { WORDS = 96 };

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

static const char *thing(const lk_done *done) { return done->by_subject ? "subject" : "key"; }

static lk_status print_asked(FILE *out, const lk_done *done, lk_error *error) {
  lk_status status = LK_OK;
  if (done->asked == NULL) return LK_OK;
  fprintf(out, ",\"%ss\":[", thing(done));
  for (uint32_t i = 0; status == LK_OK && i < done->asked_count; i++) {
    if (i > 0) fputc(',', out);
    status = lk_render_json_text(out, done->by_subject ? done->asked[i].subject : done->asked[i].key, error);
  }
  fputc(']', out);
  return status;
}

static lk_status print_json(FILE *out, const lk_done *done, lk_error *error) {
  bool erased = done->operation == LK_OPERATION_ERASE;
  fprintf(out, "{\"operation\":\"%s\"", lk_operation_name(done->operation));
  lk_status status = print_asked(out, done, error);
  fprintf(out,
          ",\"epoch\":%" PRIu64 ",\"templates\":%" PRIu64 ",\"missing\":%" PRIu64
          ",\"erased\":%s,\"remains\":[%s%s%s]}\n",
          done->epoch, done->templates, done->missing, erased ? "true" : "false", done->in_journal ? "\"journal\"" : "",
          done->in_journal && done->in_segments ? "," : "", done->in_segments ? "\"segments\"" : "");
  return status;
}

/* What became of the templates. */
static void describe(const lk_done *done, char words[WORDS]) {
  char at[LK_TIMESTAMP_SIZE];
  switch (done->operation) {
    case LK_OPERATION_TAG:
      snprintf(words, WORDS, "tagged");
      break;
    case LK_OPERATION_EXPIRE:
      if (done->expires_ms == LK_NEVER) {
        snprintf(words, WORDS, "will not expire");
        break;
      }
      lk_timestamp_format((int64_t)done->expires_ms, at);
      snprintf(words, WORDS, "will expire at %s", at);
      break;
    case LK_OPERATION_ERASE:
      snprintf(words, WORDS, "erased");
      break;
    default:
      snprintf(words, WORDS, "deleted");
  }
}

static void print_words(FILE *out, const lk_done *done) {
  char words[WORDS], missing[WORDS] = "";
  describe(done, words);
  if (done->missing > 0)
    snprintf(missing, sizeof missing, ", %" PRIu64 " %s%s %s not there", done->missing, thing(done),
             plural(done->missing), done->missing == 1 ? "was" : "were");
  fprintf(out, "%" PRIu64 " template%s %s%s; epoch %" PRIu64, done->templates, plural(done->templates), words, missing,
          done->epoch);
  if (done->operation == LK_OPERATION_DELETE)
    lk_printable_line(out, "; %s bytes stay in %s until `likeness compact %s`", done->templates == 1 ? "its" : "their",
                      done->folder, done->folder);
  else if (done->operation == LK_OPERATION_ERASE)
    lk_printable_line(out, "; no file in %s has bytes of deleted or expired templates; backups and copies may",
                      done->folder);
  else
    fputc('\n', out);
}

lk_status lk_receipt_print(FILE *out, lk_format format, const lk_done *done, lk_error *error) {
  bool nothing = done->templates == 0 && done->operation != LK_OPERATION_ERASE;
  lk_status status = LK_OK;
  if (format == LK_JSON)
    status = print_json(out, done, error);
  else if (!nothing)
    print_words(out, done);
  if (!nothing || status != LK_OK) return status;
  if (done->missing == 1) return lk_fail(error, LK_ENOTFOUND, "nothing was changed: nobody has the %s", thing(done));
  return lk_fail(error, LK_ENOTFOUND, "nothing was changed: nobody has any of the %" PRIu64 " keys", done->missing);
}
