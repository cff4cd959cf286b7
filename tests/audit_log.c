#include "tests/audit_log.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "index/text.h"

static lk_audit_record decision(uint32_t number, const char *id) {
  return (lk_audit_record){.type = LK_AUDIT_DECISION,
                           .id = lk_text_of(id),
                           .operation = lk_text_of("identify"),
                           .purpose = lk_text_of("missing \"person\""),
                           .actor = lk_text_of("Z\xc3\xbcrich\\desk-1"),
                           .authenticated = number % 2 == 0,
                           .permitted = number % 8 != 0,
                           .jurisdiction = lk_text_of("CH-ZH"),
                           .case_id = lk_text_of("2026/17"),
                           .authorisation = lk_text_of("W-4"),
                           .gallery = lk_text_of("faces"),
                           .model = lk_text_of("m1"),
                           .policy = lk_text_of("5f1c"),
                           .rules = {lk_text_of("missing"), lk_text_of("cap")},
                           .rules_count = number % 3,
                           .threshold = number % 5 == 0 ? -INFINITY : 1.0f / (float)(number + 1),
                           .cap = 10,
                           .epoch = 7,
                           .probes = number % 64,
                           .searched = 0,
                           .total = 1000000};
}

static lk_audit_record result(uint32_t number, const char *id) {
  return (lk_audit_record){.type = LK_AUDIT_RESULT,
                           .id = lk_text_of(id),
                           .gallery = lk_text_of("faces"),
                           .released = number % 4 == 1,
                           .probes = 3,
                           .candidates = number,
                           .searched = 999999,
                           .total = 1000000,
                           .epoch = 7};
}

lk_audit_record audit_log_record(uint32_t number) {
  static char id[32];
  snprintf(id, sizeof id, "d-%u", number / 2);
  if (number % 50 == 10)
    return (lk_audit_record){
        .type = LK_AUDIT_POLICY_LOADED, .file = lk_text_of("policy.yaml"), .policy = lk_text_of("5f1c")};
  if (number % 50 == 11)
    return (lk_audit_record){.type = LK_AUDIT_POLICY_REFUSED, .file = lk_text_of("policy.yaml"), .line = 12};
  if (number % 50 == 13)
    return (lk_audit_record){.type = (lk_audit_type)(LK_AUDIT_ENROLL + number / 50 % 5),
                             .id = lk_text_of(id),
                             .gallery = lk_text_of("faces"),
                             .model = lk_text_of("m1"),
                             .epoch = number,
                             .templates = 5};
  return number % 2 == 0 ? decision(number, id) : result(number, id);
}

uint64_t audit_log_append(lk_audit *audit, uint32_t number) {
  lk_audit_record record = audit_log_record(number);
  lk_error error = {0};
  uint64_t sequence = 0;
  cr_assert_eq(lk_audit_append(audit, &record, &sequence, &error), LK_OK, "%s", error.text);
  return sequence;
}
