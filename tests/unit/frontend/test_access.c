#include "../base/cmocka_all.h"
#include "frontend/access.h"

static const struct access_self broker = {
        .own_uid = 990, .overflow_uid = 65533, .overflow_gid = 65533};

static struct access_list list_of(uid_t user, gid_t group)
{
        struct access_list list = {0};

        access_list_add_user(&list, user);
        access_list_add_group(&list, group);
        return list;
}

static bool allows(const struct access_list *list, uid_t uid, gid_t gid, gid_t group)
{
        struct listen_peer peer = {.uid = uid, .gid = gid, .groups = &group, .group_count = 1};

        return access_allows(list, &broker, &peer);
}

static void nobody_comes_in_by_an_empty_list(void **state)
{
        (void) state;
        struct access_list empty = {0};

        assert_false(allows(&empty, 1000, 1000, 1000));
        assert_false(allows(NULL, 1000, 1000, 1000));
        assert_false(allows(&empty, 0, 0, 0));
}

static void the_broker_s_own_uid_always_comes_in(void **state)
{
        (void) state;
        struct access_self as_nobody = {
                .own_uid = 65534, .overflow_uid = 65534, .overflow_gid = 65534};
        struct listen_peer peer = {.uid = 65534};

        assert_true(allows(NULL, 990, 1000, 1000));
        assert_true(access_allows(NULL, &as_nobody, &peer));
        assert_true(access_known(NULL, 0, &as_nobody, &peer));
}

static void a_listed_user_comes_in(void **state)
{
        (void) state;
        struct access_list list = {0};

        for (uid_t uid = 1000; uid < 1010; uid++)
                access_list_add_user(&list, uid);
        assert_true(allows(&list, 1000, 5, 5));
        assert_true(allows(&list, 1009, 5, 5));
        assert_false(allows(&list, 1010, 5, 5));
        assert_false(allows(&list, 0, 0, 0));
        access_list_free(&list);
        assert_int_equal(list.user_count, 0);
        assert_false(allows(&list, 1000, 5, 5));
}

static void a_member_of_a_listed_group_comes_in(void **state)
{
        (void) state;
        struct access_list list = list_of(1000, 50);

        assert_true(allows(&list, 1001, 50, 7));
        assert_true(allows(&list, 1001, 7, 50));
        assert_false(allows(&list, 1001, 7, 7));
        access_list_free(&list);
}

static void a_gid_is_not_taken_for_a_uid(void **state)
{
        (void) state;
        struct access_list list = list_of(1000, 50);

        assert_false(allows(&list, 50, 1000, 1000));
        access_list_free(&list);
}

static void an_unmapped_uid_never_matches(void **state)
{
        (void) state;
        struct access_list list = list_of(65534, 50);

        access_list_add_user(&list, 65533);
        assert_false(allows(&list, 65534, 7, 7));
        assert_false(allows(&list, 65533, 7, 7));
        /* Not by a group either: it may be anybody. */
        assert_false(allows(&list, 65534, 50, 50));
        assert_false(allows(&list, 65533, 50, 50));
        access_list_free(&list);
}

static void an_unmapped_gid_never_matches(void **state)
{
        (void) state;
        struct access_list list = list_of(1000, 65534);

        access_list_add_group(&list, 65533);
        assert_false(allows(&list, 1001, 65534, 65534));
        assert_false(allows(&list, 1001, 65533, 65533));
        assert_true(allows(&list, 1000, 65534, 65534));
        access_list_free(&list);
}

static void one_list_of_many_makes_a_peer_known(void **state)
{
        (void) state;
        struct access_list prod = list_of(1000, 50), admin = list_of(1001, 51);
        const struct access_list *lists[] = {&prod, NULL, &admin};
        struct listen_peer peer = {.uid = 1001, .gid = 9};

        assert_true(access_known(lists, 3, &broker, &peer));
        assert_false(access_known(lists, 2, &broker, &peer));
        peer.gid = 50;
        assert_true(access_known(lists, 1, &broker, &peer));
        peer.uid = 65534;
        assert_false(access_known(lists, 3, &broker, &peer));
        peer.uid = broker.own_uid;
        assert_true(access_known(lists, 0, &broker, &peer));
        access_list_free(&prod);
        access_list_free(&admin);
}

static void this_process_knows_itself(void **state)
{
        (void) state;
        struct access_self self = access_self();

        assert_int_equal(self.own_uid, geteuid());
        assert_int_not_equal(self.overflow_uid, 0);
        assert_int_not_equal(self.overflow_gid, 0);
        assert_false(access_is_somebody(&self, 65534));
        assert_false(access_is_some_group(&self, 65534));
        assert_true(access_is_somebody(&self, 0));
        assert_true(access_is_some_group(&self, 100));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nobody_comes_in_by_an_empty_list),
                cmocka_unit_test(the_broker_s_own_uid_always_comes_in),
                cmocka_unit_test(a_listed_user_comes_in),
                cmocka_unit_test(a_member_of_a_listed_group_comes_in),
                cmocka_unit_test(a_gid_is_not_taken_for_a_uid),
                cmocka_unit_test(an_unmapped_uid_never_matches),
                cmocka_unit_test(an_unmapped_gid_never_matches),
                cmocka_unit_test(one_list_of_many_makes_a_peer_known),
                cmocka_unit_test(this_process_knows_itself),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
