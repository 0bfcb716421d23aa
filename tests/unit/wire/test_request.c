/* A client's messages are read field by field, and what does not add up is bad. */
#include "cmocka_all.h"
#include "wire/request.h"

/* The reader sees exactly these bytes; they live until the next call. */
static const uint8_t *bytes(const char *p, size_t n)
{
        static uint8_t *copy;
        free(copy);
        return copy = exactly(p, n);
}

static void a_parse_has_a_name_and_a_query(void **state)
{
        (void) state;
        struct request_parse r;
        static const char p[] = "name\0SELECT 1\0\0\2\0\0\0\1\0\0\0\2";
        size_t n = sizeof p - 1;
        assert_int_equal(request_parse(bytes(p, n), n, false, &r), FRAME_READY);
        assert_string_equal(r.name, "name");
        assert_string_equal(r.query, "SELECT 1");
        assert_int_equal(r.query_size, 8);
        assert_true(r.query_ends);
        for (size_t cut = 0; cut < n; cut++)
                assert_int_equal(request_parse(bytes(p, cut), cut, false, &r), FRAME_BAD);
        assert_int_equal(request_parse(bytes(p, n + 1), n + 1, false, &r), FRAME_BAD);
        assert_int_equal(request_parse(bytes(LITERAL("\0\0\0\0")), 4, false, &r), FRAME_READY);
        assert_string_equal(r.name, "");
        assert_int_equal(r.query_size, 0);
}

static void of_a_partial_parse_the_name_must_be_there(void **state)
{
        (void) state;
        struct request_parse r;
        assert_int_equal(request_parse(bytes(LITERAL("na")), 2, true, &r), FRAME_BAD);
        assert_int_equal(request_parse(bytes(LITERAL("")), 0, true, &r), FRAME_BAD);
        assert_int_equal(request_parse(bytes(LITERAL("na\0")), 3, true, &r), FRAME_READY);
        assert_int_equal(r.query_size, 0);
        assert_false(r.query_ends);
        assert_int_equal(request_parse(bytes(LITERAL("na\0SEL")), 6, true, &r), FRAME_READY);
        assert_int_equal(r.query_size, 3);
        assert_memory_equal(r.query, "SEL", 3);
        assert_int_equal(request_parse(bytes(LITERAL("\0SEL\0\1")), 6, true, &r), FRAME_READY);
        assert_int_equal(r.query_size, 3);
        assert_true(r.query_ends);
}

static void a_bind_has_two_names(void **state)
{
        (void) state;
        struct request_bind r;
        static const char p[] = "portal\0statement\0\0\0\0\0\0\0";
        assert_int_equal(request_bind(bytes(LITERAL(p)), sizeof p - 1, false, &r), FRAME_READY);
        assert_string_equal(r.portal, "portal");
        assert_string_equal(r.statement, "statement");
        assert_int_equal(request_bind(bytes(p, 17), 17, true, &r), FRAME_READY);
        for (size_t cut = 0; cut < 17; cut++)
                assert_int_equal(request_bind(bytes(p, cut), cut, cut & 1, &r), FRAME_BAD);
        assert_int_equal(request_bind(bytes(LITERAL("\0\0")), 2, true, &r), FRAME_READY);
        assert_string_equal(r.statement, "");
}

static void describe_and_close_name_a_target(void **state)
{
        (void) state;
        struct request_target r;
        assert_int_equal(request_target(bytes(LITERAL("Sx\0")), 3, &r), FRAME_READY);
        assert_int_equal(r.kind, 'S');
        assert_string_equal(r.name, "x");
        assert_int_equal(request_target(bytes(LITERAL("P\0")), 2, &r), FRAME_READY);
        assert_int_equal(r.kind, 'P');
        assert_int_equal(request_target(bytes(LITERAL("Q\0")), 2, &r), FRAME_BAD);
        assert_int_equal(request_target(bytes(LITERAL("Sx")), 2, &r), FRAME_BAD);
        assert_int_equal(request_target(bytes(LITERAL("Sx\0y")), 4, &r), FRAME_BAD);
        assert_int_equal(request_target(bytes(LITERAL("S")), 1, &r), FRAME_BAD);
        assert_int_equal(request_target(bytes(LITERAL("")), 0, &r), FRAME_BAD);
}

static void an_execute_has_a_limit(void **state)
{
        (void) state;
        struct request_execute r;
        assert_int_equal(request_execute(bytes(LITERAL("p\0\0\0\1\0")), 6, &r), FRAME_READY);
        assert_string_equal(r.portal, "p");
        assert_int_equal(r.max_rows, 256);
        assert_int_equal(request_execute(bytes(LITERAL("\0\xff\xff\xff\xff")), 5, &r), FRAME_READY);
        assert_int_equal(r.max_rows, 0);
        assert_int_equal(request_execute(bytes(LITERAL("\0\0\0\0")), 4, &r), FRAME_BAD);
        assert_int_equal(request_execute(bytes(LITERAL("\0\0\0\0\0\0")), 6, &r), FRAME_BAD);
        assert_int_equal(request_execute(bytes(LITERAL("ppp")), 3, &r), FRAME_BAD);
}

static void a_query_ends_with_its_only_nul(void **state)
{
        (void) state;
        const char *sql;
        size_t size;
        assert_int_equal(request_query(bytes(LITERAL("SELECT 1\0")), 9, false, &sql, &size),
                         FRAME_READY);
        assert_string_equal(sql, "SELECT 1");
        assert_int_equal(size, 8);
        assert_int_equal(request_query(bytes(LITERAL("\0")), 1, false, &sql, &size), FRAME_READY);
        assert_int_equal(size, 0);
        assert_int_equal(request_query(bytes(LITERAL("a\0b\0")), 4, false, &sql, &size), FRAME_BAD);
        assert_int_equal(request_query(bytes(LITERAL("ab")), 2, false, &sql, &size), FRAME_BAD);
        assert_int_equal(request_query(bytes(LITERAL("")), 0, false, &sql, &size), FRAME_BAD);
        assert_int_equal(request_query(bytes(LITERAL("ab")), 2, true, &sql, &size), FRAME_READY);
        assert_int_equal(size, 2);
        assert_int_equal(request_query(bytes(LITERAL("a\0b")), 3, true, &sql, &size), FRAME_BAD);
        assert_int_equal(request_query(bytes(LITERAL("")), 0, true, &sql, &size), FRAME_READY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_parse_has_a_name_and_a_query),
                cmocka_unit_test(of_a_partial_parse_the_name_must_be_there),
                cmocka_unit_test(a_bind_has_two_names),
                cmocka_unit_test(describe_and_close_name_a_target),
                cmocka_unit_test(an_execute_has_a_limit),
                cmocka_unit_test(a_query_ends_with_its_only_nul),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
