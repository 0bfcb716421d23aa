#include "wire/value.h"

#include <string.h>

static const struct kind {
        char letter;
        int16_t length;
        uint32_t oid;
} kinds[] = {
        {'s', -1, 25},          /* text */
        {'i', 4, 23},           /* int4 */
        {'q', 8, 20},           /* int8 */
        {'N', -1, 1700},        /* numeric */
        {'T', 8, 1184},         /* timestamptz */
        {'b', 1, 16},           /* bool */
};

static const struct kind *find(char letter)
{
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
                if (kinds[i].letter == letter)
                        return &kinds[i];
        return &kinds[0];
}

uint32_t value_oid(char type)
{
        return find(type)->oid;
}

int16_t value_length(char type)
{
        return find(type)->length;
}

static void big_endian(uint8_t *into, uint64_t v, size_t n)
{
        while (n-- > 0) {
                into[n] = (uint8_t) v;
                v >>= 8;
        }
}

static bool put(struct bytes *b, uint64_t v, size_t n)
{
        uint8_t image[8];
        big_endian(image, v, n);
        return bytes_append(b, image, n);
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Reads all of the text as an integer within [-limit - 1, limit]. */
static bool read_integer(const char *text, uint64_t limit, int64_t *value)
{
        bool minus = *text == '-';
        uint64_t n = 0;
        text += minus;
        if (!is_digit(*text))
                return false;
        for (; is_digit(*text); text++) {
                if (n > (UINT64_MAX - 9) / 10)
                        return false;
                n = n * 10 + (uint64_t) (*text - '0');
        }
        if (*text || n > limit + minus)
                return false;
        *value = minus ? (int64_t) -n : (int64_t) n;
        return true;
}

static bool put_integer(struct bytes *b, const char *text, size_t size)
{
        int64_t v;
        uint64_t limit = size == 4 ? INT32_MAX : INT64_MAX;
        return read_integer(text, limit, &v) && put(b, (uint64_t) v, size);
}

static bool put_bool(struct bytes *b, const char *text)
{
        if (strcmp(text, "t") == 0 || strcmp(text, "true") == 0)
                return put(b, 1, 1);
        if (strcmp(text, "f") == 0 || strcmp(text, "false") == 0)
                return put(b, 0, 1);
        return false;
}

/* --- numeric: groups of four decimal digits, the first of weight 10000^weight --- */

enum { POSITIVE = 0x0000, NEGATIVE = 0x4000, NOT_A_NUMBER = 0xc000, PLUS_INFINITY = 0xd000,
       MINUS_INFINITY = 0xf000 };

struct decimal {
        const char *whole, *fraction;   /* the digits before and after the point */
        size_t whole_size, fraction_size;
        uint16_t sign;
};

static bool read_decimal(const char *text, struct decimal *d)
{
        *d = (struct decimal){.sign = *text == '-' ? NEGATIVE : POSITIVE};
        text += *text == '-';
        d->whole = text;
        text += strspn(text, "0123456789");
        d->whole_size = (size_t) (text - d->whole);
        text += *text == '.';
        d->fraction = text;
        d->fraction_size = strspn(text, "0123456789");
        if (text[d->fraction_size] || d->whole_size + d->fraction_size == 0)
                return false;
        while (d->whole_size > 0 && *d->whole == '0') {
                d->whole++;
                d->whole_size--;
        }
        /* The bounds of the type: 131072 digits before the point, 16383 after it. */
        return d->whole_size <= 131072 && d->fraction_size <= 16383;
}

/* The four digits of weight 10000^weight. */
static uint16_t group(const struct decimal *d, int weight)
{
        unsigned v = 0;
        for (int k = 0; k < 4; k++) {
                long at = weight >= 0 ? (long) d->whole_size - 4 * (weight + 1) + k
                                      : -4 * ((long) weight + 1) + k;
                const char *digits = weight >= 0 ? d->whole : d->fraction;
                size_t size = weight >= 0 ? d->whole_size : d->fraction_size;
                v = v * 10 + (at >= 0 && (size_t) at < size ? (unsigned) (digits[at] - '0') : 0);
        }
        return (uint16_t) v;
}

static bool put_special(struct bytes *b, uint16_t sign)
{
        return put(b, (uint64_t) sign << 16, 8);
}

static bool put_numeric(struct bytes *b, const char *text)
{
        struct decimal d;
        if (strcmp(text, "NaN") == 0)
                return put_special(b, NOT_A_NUMBER);
        if (strcmp(text, "Infinity") == 0)
                return put_special(b, PLUS_INFINITY);
        if (strcmp(text, "-Infinity") == 0)
                return put_special(b, MINUS_INFINITY);
        if (!read_decimal(text, &d))
                return false;
        int first = (int) ((d.whole_size + 3) / 4) - 1, last = -(int) ((d.fraction_size + 3) / 4);
        while (first >= last && group(&d, first) == 0)
                first--;
        while (last < first && group(&d, last) == 0)
                last++;
        uint16_t count = first >= last ? (uint16_t) (first - last + 1) : 0;
        put(b, count, 2);
        put(b, (uint64_t) (count ? first : 0), 2);
        put(b, count ? d.sign : POSITIVE, 2);
        put(b, d.fraction_size, 2);
        for (int weight = first; weight >= last; weight--)
                put(b, group(&d, weight), 2);
        return !b->failed;
}

/* --- timestamptz --- */

/* Exactly `digits` digits, then on. */
static bool take(const char **p, size_t digits, int *value)
{
        *value = 0;
        while (digits-- > 0) {
                if (!is_digit(**p))
                        return false;
                *value = *value * 10 + (*(*p)++ - '0');
        }
        return true;
}

static bool take_char(const char **p, char c)
{
        if (**p != c)
                return false;
        (*p)++;
        return true;
}

/* Days from 2000-01-01; a year is counted from March, so that the leap day ends it. */
static int64_t days(int year, int month, int day)
{
        int64_t y = month > 2 ? year : year - 1;
        int m = month > 2 ? month - 3 : month + 9;
        int64_t leaps = y / 4 - y / 100 + y / 400;
        return y * 365 + leaps + (153 * m + 2) / 5 + day - 1 - 730425;
}

static bool read_date(const char **p, int64_t *date)
{
        static const uint8_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int year, month, day;
        size_t digits = strspn(*p, "0123456789");
        if (digits < 4 || digits > 6 || !take(p, digits, &year) || !take_char(p, '-') ||
            !take(p, 2, &month) || !take_char(p, '-') || !take(p, 2, &day))
                return false;
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        if (year < 1 || year > 294276 || month < 1 || month > 12 || day < 1 ||
            day > lengths[month - 1] || (month == 2 && day == 29 && !leap))
                return false;
        *date = days(year, month, day);
        return true;
}

static bool read_time(const char **p, int64_t *microseconds)
{
        int hour, minute, second, fraction = 0;
        if (!take(p, 2, &hour) || !take_char(p, ':') || !take(p, 2, &minute) ||
            !take_char(p, ':') || !take(p, 2, &second) || hour > 24 || minute > 59 || second > 60)
                return false;
        if (take_char(p, '.')) {
                if (!is_digit(**p))
                        return false;
                for (int unit = 100000; is_digit(**p); unit /= 10)
                        fraction += (*(*p)++ - '0') * unit;
        }
        *microseconds = ((hour * 60 + minute) * 60 + second) * INT64_C(1000000) + fraction;
        return true;
}

/* Nothing, Z, or a sign and hours, minutes, seconds: all of what is left. */
static bool read_zone(const char *p, int64_t *seconds)
{
        int hour = 0, minute = 0, second = 0;
        *seconds = 0;
        if (*p == 0 || strcmp(p, "Z") == 0)
                return true;
        bool west = *p == '-';
        if ((*p != '+' && *p != '-') || (p++, !take(&p, 2, &hour)))
                return false;
        if (take_char(&p, ':') && !take(&p, 2, &minute))
                return false;
        if (take_char(&p, ':') && !take(&p, 2, &second))
                return false;
        *seconds = (hour * 60 + minute) * 60 + second;
        if (west)
                *seconds = -*seconds;
        return *p == 0 && hour <= 15 && minute <= 59 && second <= 59;
}

bool value_timestamp(const char *text, int64_t *microseconds)
{
        int64_t date, time, zone;
        if (strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0) {
                *microseconds = *text == '-' ? INT64_MIN : INT64_MAX;
                return true;
        }
        if (!read_date(&text, &date) || (!take_char(&text, ' ') && !take_char(&text, 'T')) ||
            !read_time(&text, &time) || !read_zone(text, &zone))
                return false;
        *microseconds = date * INT64_C(86400000000) + time - zone * 1000000;
        return true;
}

static bool put_timestamp(struct bytes *b, const char *text)
{
        int64_t v;
        return value_timestamp(text, &v) && put(b, (uint64_t) v, 8);
}

bool value_binary(struct bytes *b, char type, const char *text)
{
        switch (type) {
        case 'i':
                return put_integer(b, text, 4);
        case 'q':
                return put_integer(b, text, 8);
        case 'b':
                return put_bool(b, text);
        case 'N':
                return put_numeric(b, text);
        case 'T':
                return put_timestamp(b, text);
        default:
                return bytes_text(b, text);
        }
}
