#include "wire/sqlname.h"

#include <string.h>

struct entry {
        char text[SQLNAME_LONGEST + 1];
        uint8_t name;
};

#define ENTRY(name, text) {text, SQLNAME_##name},
#define END(name, text) | SQLNAME_BIT((uint64_t) text[0], (uint64_t) text[sizeof text - 2])
#define ONE(name, text) +1

#define LENGTHS(X)                                                                                 \
        X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(13) X(14) X(15) X(16) X(18) X(20)    \
        X(22) X(23) X(25) X(27) X(32) X(33) X(34) X(35)

#define LIST(n) static const struct entry names_##n[] = {SQLNAMES_##n(ENTRY)};
LENGTHS(LIST)

static const struct {
        uint8_t count;
        const struct entry *names;
} lengths[SQLNAME_LONGEST + 1] = {
#define LENGTH(n) [n] = {0 SQLNAMES_##n(ONE), names_##n},
        LENGTHS(LENGTH)
};

const uint64_t sqlname_ends[SQLNAME_LONGEST + 1] = {
#define ENDS(n) [n] = 0 SQLNAMES_##n(END),
        LENGTHS(ENDS)
};

static bool matches(const char *text, const char *name, size_t n, bool fold)
{
        for (size_t i = 0; i < n; i++) {
                char c = text[i];
                if (fold && c >= 'A' && c <= 'Z')
                        c |= 0x20;
                if (c != name[i])
                        return false;
        }
        return true;
}

enum sqlname sqlname_find(const char *text, size_t n, bool fold)
{
        if (n == 0 || !sqlname_likely(text, n))
                return SQLNAME_NONE;
        for (size_t i = 0; n <= SQLNAME_LONGEST && i < lengths[n].count; i++)
                if (matches(text, lengths[n].names[i].text, n, fold))
                        return (enum sqlname) lengths[n].names[i].name;
        if (n >= 7 && matches(text, "pg_temp", 7, fold))
                return SQLNAME_PG_TEMP;
        return SQLNAME_NONE;
}
