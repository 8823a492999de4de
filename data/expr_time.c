/* hour, weekday, date: of seconds since 1970-01-01 00:00 UTC, or of a text
 * "2022-04-25", "20220425", with " 13:45:00" or "T13:45" behind. Leap seconds do
 * not exist here. */
#include <math.h>

#include "data/expr_code.h"

enum { DAY = 86400, HOUR = 3600 };

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, counted
 * in eras of 400 years that begin on March 1st. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2) year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The same backwards: yyyymmdd. */
static int64_t date_of(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * shifted + 2) / 5 + 1;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    return year * 10000 + month * 100 + day;
}

/* n digits at *at, which moves on. */
static bool take_digits(struct text *t, size_t n, int64_t *out)
{
    if (t->n < n) return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)(unsigned char)t->s[i] - '0';
        if (digit > 9) return false;
        *out = 10 * *out + (int64_t)digit;
    }
    t->s += n;
    t->n -= n;
    return true;
}

static bool take(struct text *t, char c)
{
    if (t->n == 0 || t->s[0] != c) return false;
    t->s++;
    t->n--;
    return true;
}

/* "13", "13:45", "13:45:07", "13:45:07.25": seconds of the day. */
static bool take_clock(struct text *t, int64_t *seconds)
{
    int64_t hour, minute = 0, second = 0;
    if (!take_digits(t, 2, &hour) || hour > 23) return false;
    if (take(t, ':') && (!take_digits(t, 2, &minute) || minute > 59)) return false;
    if (take(t, ':') && (!take_digits(t, 2, &second) || second > 59)) return false;
    if (take(t, '.')) {
        int64_t digit;
        while (take_digits(t, 1, &digit)) {
        }
    }
    *seconds = hour * HOUR + minute * 60 + second;
    return true;
}

static bool seconds_of_text(struct text t, int64_t *seconds)
{
    static const char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day, clock = 0;
    if (!take_digits(&t, 4, &year)) return false;
    bool dashes = take(&t, '-');
    if (!take_digits(&t, 2, &month) || month < 1 || month > 12) return false;
    if (dashes && !take(&t, '-')) return false;
    if (!take_digits(&t, 2, &day) || day < 1 || day > lengths[month - 1]) return false;
    int64_t days = days_of(year, month, day);
    if (date_of(days) != year * 10000 + month * 100 + day) return false;
    if (t.n && !((take(&t, ' ') || take(&t, 'T')) && take_clock(&t, &clock)))
        return false;
    *seconds = days * DAY + clock;
    return t.n == 0;
}

/* Years 0 to 9999, so that a date has eight digits at most. */
static bool seconds_of(const struct expr_cell *c, double *out)
{
    int64_t seconds;
    if (c->kind == VALUE_STRING) {
        if (!seconds_of_text((struct text){c->u.s, c->n}, &seconds)) return false;
        *out = (double)seconds;
        return true;
    }
    *out = expr_cell_number(c);
    return *out >= -62167219200.0 && *out < 253402300800.0;
}

struct expr_cell expr_time(enum expr_op op, const struct expr_cell *args, size_t n)
{
    double seconds, offset = n == 2 ? expr_cell_number(&args[1]) : 0;
    if (!seconds_of(&args[0], &seconds) || !(offset >= -24 && offset <= 24))
        return expr_cell_missing();
    int64_t t = (int64_t)floor(seconds + offset * HOUR);
    int64_t days = t / DAY - (t % DAY < 0), of_day = t - days * DAY;
    if (op == OP_HOUR) return expr_cell_int(of_day / HOUR);
    if (op == OP_DATE) return expr_cell_int(date_of(days));
    return expr_cell_int(((days + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday: 3 */
}
