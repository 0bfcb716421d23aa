/* The same tokens come out, however the text is cut. What they mean is in test_sqlword. Each text
 * has a semicolon added: it ends the last token. */
#include "cmocka_all.h"
#include "wire/sqllex.h"

static const char *const kinds[] = {
        [SQLTOKEN_WORD] = "w",       [SQLTOKEN_QUOTED] = "q", [SQLTOKEN_STRING] = "s",
        [SQLTOKEN_NUMBER] = "n",     [SQLTOKEN_MARK] = "",    [SQLTOKEN_INNER_WORD] = "i",
        [SQLTOKEN_INNER_MARK] = "m",
};

enum { DULL = 1, INNER = 2 };

static void tokens_of(const char *sql, size_t chunk, int how, char *text, size_t size)
{
        struct sqllex l;
        size_t used = 0;
        char whole[300];
        size_t n = (size_t) snprintf(whole, sizeof whole, "%s;", sql);
        const struct sqltoken *t;
        memset(&l, 0xa5, sizeof l);
        sqllex_init(&l, false);
        l.dull = how & DULL;
        l.quote.inner = how & INNER;
        text[0] = 0;
        for (size_t at = 0; at < n; at += chunk) {
                size_t piece = n - at < chunk ? n - at : chunk;
                uint8_t *copy = exactly(whole + at, piece);
                sqllex_feed(&l, (char *) copy, piece);
                while ((t = sqllex_next(&l))) {
                        size_t length = t->length == SQLTOKEN_LONG ? 0 : t->length;
                        if (length > SQLTOKEN_KEPT)
                                length = SQLTOKEN_KEPT;
                        used += (size_t) snprintf(text + used, size - used, "%s%.*s%c ",
                                                  kinds[t->kind], (int) length,
                                                  t->text ? t->text : "", t->mark ? t->mark : ':');
                        assert_true(used < size);
                }
                free(copy);
        }
}

static void check(const char *sql, int how, const char *expected)
{
        char text[2000];
        for (size_t chunk = strlen(sql) + 1; chunk > 0; chunk--) {
                tokens_of(sql, chunk, how, text, sizeof text);
                if (strcmp(text, expected) != 0)
                        fail_msg("%s\n  in chunks of %zu: %s\n  expected: %s", sql, chunk, text,
                                 expected);
        }
}

static void text_is_cut_into_tokens(void **state)
{
        (void) state;
        check("SELECT a.b, 'x' FROM \"T\"\"t\" WHERE c=$1;", 0,
              "wSELECT: wa: . wb: , sx: wFROM: qT\"t: wWHERE: wc: = n: ; ; ");
        check("1.5e-3 .5 1e5x 1ex 1e+x 1e-x $12a", 0,
              "n: . n: n: wx: n: wex: we: wx: we: - wx: n: wa: ; ");
        check("a--b\n/* /* */ */-/+", 0, "wa: - / + ; ");
        check("E'\\'' b'0' U&'x' u&\"\\0041\\\\\\+000042\" u&x n'y'", 0,
              "s: s: s: qA\\B: wu: wx: wn: sy: ; ");
        check("'a' 'b' 'c'\n'd' 'e''f'; $$x$$ $a$$b$$a$ $-", 0, "sa: sb: s: s: ; s: s: $ - ; ");
        check("é_1$ _x", 0, "wé_1$: w_x: ; ");
}

static void inner_words_are_given_on_request(void **state)
{
        (void) state;
        check("'set x=1' $$a(b)$$ $t$ $t $t$", INNER,
              "iset: ix: m= i1: sset x=1: ia: m( ib: m) s: m$ it: s: ; ");
        check("'it''s' E'\\x41 \\n' U&'a'", INNER, "iit: m' is: s: m\\ i41: s: m\\ ia: s: ; ");
}

static void dull_text_is_skipped(void **state)
{
        (void) state;
        check("select a.b, 'x', 5, \"q\", \"nextval\" from (t) having nextval + 1; set -x", DULL,
              "qnextval: ( ) wnextval: ; wset: ; ");
        check("$1 $$x$$ / - 1e5 1e+x u&x u&\"x\"", DULL, "qx: ; ");
}

static void long_words_are_cut(void **state)
{
        (void) state;
        char sql[200] = "", expected[200] = "";
        memset(sql, 'x', 100);
        tokens_of(sql, 200, 0, expected, sizeof expected);
        assert_int_equal(strlen(expected), 1 + SQLTOKEN_KEPT + 2 + 2);
        check(sql, 0, expected);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(text_is_cut_into_tokens),
                cmocka_unit_test(inner_words_are_given_on_request),
                cmocka_unit_test(dull_text_is_skipped),
                cmocka_unit_test(long_words_are_cut),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
