#include "base/timestamp.h"

#include <stdio.h>
#include <string.h>

enum { MS_PER_MINUTE = 60 * 1000, MS_PER_DAY = 24 * 60 * MS_PER_MINUTE, DAYS_PER_ERA = 146097 /* 400 years */ };

static const char malformed[] =
    "is neither a timestamp such as 2021-06-10T09:00:00+02:00 nor a date such as 2021-06-10",
                  bad_date[] = "is not a valid date", bad_time[] = "has an invalid time of day",
                  no_offset[] = "has no time zone: a timestamp ends with Z or an offset such as +02:00";

/* Days from 1970-01-01. Years begin in March, so that the leap day comes last (Hinnant, days_from_civil). */
static int64_t days_of_date(int year, int month, int day) {
  int from_march = (month + 9) % 12, y = year - (month <= 2);
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t of_era = y - era * 400, day_of_year = (153 * from_march + 2) / 5 + day - 1;
  return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int *month, int *day) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA, of_era = days - era * DAYS_PER_ERA;
  int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int day_of_year = (int)(of_era - (365 * y + y / 4 - y / 100)), from_march = (5 * day_of_year + 2) / 153;
  *day = day_of_year - (153 * from_march + 2) / 5 + 1;
  *month = from_march < 10 ? from_march + 3 : from_march - 9;
  *year = y + era * 400 + (*month <= 2);
}

static int days_of_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

static bool take(lk_text *text, const char *one_of) {
  if (text->length == 0 || text->bytes[0] == '\0' || strchr(one_of, text->bytes[0]) == NULL) return false;
  text->bytes++, text->length--;
  return true;
}

static bool take_digits(lk_text *text, int count, int *number) {
  *number = 0;
  for (; count > 0; count--) {
    if (text->length == 0 || text->bytes[0] < '0' || text->bytes[0] > '9') return false;
    *number = 10 * *number + (text->bytes[0] - '0');
    text->bytes++, text->length--;
  }
  return true;
}

static const char *take_date(lk_text *text, int64_t *ms) {
  int year, month, day;
  if (!take_digits(text, 4, &year) || !take(text, "-") || !take_digits(text, 2, &month) || !take(text, "-") ||
      !take_digits(text, 2, &day))
    return malformed;
  if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month)) return bad_date;
  *ms = days_of_date(year, month, day) * MS_PER_DAY;
  return NULL;
}

static const char *take_time(lk_text *text, int64_t *ms) {
  int hour, minute, second, thousandths = 0, digit, worth = 100;
  if (!take_digits(text, 2, &hour) || !take(text, ":") || !take_digits(text, 2, &minute) || !take(text, ":") ||
      !take_digits(text, 2, &second))
    return malformed;
  if (hour > 23 || minute > 59 || second > 59) return bad_time;
  if (take(text, ".")) {
    for (; take_digits(text, 1, &digit); worth /= 10) {
      if (worth == 0) return "is finer than a millisecond";
      thousandths += digit * worth;
    }
    if (worth == 100) return malformed;
  }
  *ms += (hour * 60 + minute) * MS_PER_MINUTE + second * 1000 + thousandths;
  return NULL;
}

static const char *take_offset(lk_text *text, int64_t *ms) {
  if (take(text, "Zz")) return NULL;
  int sign = take(text, "+") ? 1 : take(text, "-") ? -1 : 0, hours, minutes;
  if (sign == 0) return text->length == 0 ? no_offset : malformed;
  if (!take_digits(text, 2, &hours) || !take(text, ":") || !take_digits(text, 2, &minutes)) return malformed;
  if (hours > 23 || minutes > 59) return "has an offset beyond 23:59";
  *ms -= sign * (hours * 60 + minutes) * MS_PER_MINUTE;
  return NULL;
}

const char *lk_timestamp_parse(lk_text text, int64_t *ms) {
  int64_t read = 0;
  const char *fault = take_date(&text, &read);
  if (fault == NULL && text.length > 0) {
    if (!take(&text, "Tt ")) return malformed;
    fault = take_time(&text, &read);
    if (fault == NULL) fault = take_offset(&text, &read);
    if (fault == NULL && text.length > 0) fault = malformed;
  }
  if (fault == NULL) *ms = read;
  return fault;
}

void lk_timestamp_format(int64_t ms, char text[LK_TIMESTAMP_SIZE]) {
  int64_t days = ms / MS_PER_DAY, of_day = ms % MS_PER_DAY, year;
  if (of_day < 0) days--, of_day += MS_PER_DAY;
  int month, day, left = (int)of_day;
  date_of_days(days, &year, &month, &day);
  int used = snprintf(text, LK_TIMESTAMP_SIZE, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)year, month, day,
                      left / (60 * MS_PER_MINUTE), left / MS_PER_MINUTE % 60, left / 1000 % 60);
  snprintf(text + used, (size_t)(LK_TIMESTAMP_SIZE - used), left % 1000 != 0 ? ".%03dZ" : "Z", left % 1000);
}
