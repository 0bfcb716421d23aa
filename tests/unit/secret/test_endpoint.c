#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "secret/endpoint.h"

static void of_region(const char *region, bool fips, const char *host)
{
        struct endpoint at;
        struct error e = {0};

        assert_true(endpoint_of_region(region, fips, false, &at, &e));
        assert_string_equal(at.host, host);
        assert_string_equal(at.authority, host);
        assert_string_equal(at.path, "/");
        assert_true(at.tls);
}

static void each_partition_has_its_suffix(void **state)
{
        (void) state;
        of_region("eu-west-1", false, "secretsmanager.eu-west-1.amazonaws.com");
        of_region("us-east-1", true, "secretsmanager-fips.us-east-1.amazonaws.com");
        of_region("cn-north-1", false, "secretsmanager.cn-north-1.amazonaws.com.cn");
        of_region("us-gov-west-1", true, "secretsmanager-fips.us-gov-west-1.amazonaws.com");
        of_region("eusc-de-east-1", false, "secretsmanager.eusc-de-east-1.amazonaws.eu");
        of_region("us-iso-east-1", false, "secretsmanager.us-iso-east-1.c2s.ic.gov");
        of_region("us-isob-east-1", false, "secretsmanager.us-isob-east-1.sc2s.sgov.gov");
        of_region("eu-isoe-west-1", false, "secretsmanager.eu-isoe-west-1.cloud.adc-e.uk");
        of_region("us-isof-south-1", false, "secretsmanager.us-isof-south-1.csp.hci.ic.gov");
        of_region("xx-new-1", false, "secretsmanager.xx-new-1.amazonaws.com");
}

static void dual_stack_is_the_ordinary_name_where_it_is_known(void **state)
{
        struct endpoint at;
        struct error e = {0};

        (void) state;
        assert_true(endpoint_of_region("eu-west-1", false, true, &at, &e));
        assert_string_equal(at.host, "secretsmanager.eu-west-1.amazonaws.com");
        assert_false(endpoint_of_region("us-iso-east-1", false, true, &at, &e));
        assert_non_null(strstr(e.text, "not in this version"));
}

static void of_sts(const char *region, bool fips, bool dual_stack, const char *host)
{
        struct endpoint at;
        struct error e = {0};

        assert_true(endpoint_of_sts(region, fips, dual_stack, &at, &e));
        assert_string_equal(at.host, host);
        assert_string_equal(at.authority, host);
        assert_true(at.tls);
}

static void sts_is_asked_in_the_region(void **state)
{
        (void) state;
        of_sts("eu-west-1", false, false, "sts.eu-west-1.amazonaws.com");
        of_sts("eu-west-1", false, true, "sts.eu-west-1.api.aws");
        of_sts("us-east-1", true, false, "sts-fips.us-east-1.amazonaws.com");
        of_sts("us-gov-west-1", true, false, "sts.us-gov-west-1.amazonaws.com");
        of_sts("cn-north-1", false, true, "sts.cn-north-1.api.amazonwebservices.com.cn");
}

static void or_anywhere_where_that_is_wanted_and_was_so_before(void **state)
{
        struct endpoint at;

        (void) state;
        assert_true(endpoint_of_legacy_sts("eu-west-1", &at));
        assert_string_equal(at.authority, "sts.amazonaws.com");
        assert_false(endpoint_of_legacy_sts("eu-south-1", &at));
        assert_false(endpoint_of_legacy_sts("cn-north-1", &at));
}

static void regions_are_safe_in_a_host_name(void **state)
{
        (void) state;
        assert_true(endpoint_is_region("eu-west-1"));
        assert_false(endpoint_is_region(""));
        assert_false(endpoint_is_region("eu-west-1.evil.example"));
        assert_false(endpoint_is_region("EU-WEST-1"));
        assert_false(endpoint_is_region("eu/west"));
        assert_false(endpoint_is_region("-eu"));
        assert_false(endpoint_is_region("eu-"));
        assert_false(endpoint_is_region(
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void parsed(const char *url, const char *host, const char *authority, const char *path,
                   bool tls)
{
        struct endpoint at;
        struct error e = {0};

        assert_true(endpoint_parse(url, &at, &e));
        assert_string_equal(at.host, host);
        assert_string_equal(at.authority, authority);
        assert_string_equal(at.path, path);
        assert_int_equal(at.tls, tls);
}

static void refused(const char *url, const char *why)
{
        struct endpoint at;
        struct error e = {0};

        assert_false(endpoint_parse(url, &at, &e));
        assert_non_null(strstr(e.text, why));
        assert_string_not_equal(e.hint, "");
}

static void urls_are_taken_apart(void **state)
{
        (void) state;
        parsed("https://vpce-1.example", "vpce-1.example", "vpce-1.example", "/", true);
        parsed("https://h:443/", "h", "h", "/", true);
        parsed("HTTPS://h:8443/a/b", "h", "h:8443", "/a/b/", true);
        parsed("https://h/a%20b/", "h", "h", "/a%20b/", true);
        parsed("http://localhost:4566", "localhost", "localhost:4566", "/", false);
        parsed("http://127.9.9.9:80", "127.9.9.9", "127.9.9.9", "/", false);
        parsed("http://[::1]:4566/", "::1", "[::1]:4566", "/", false);
}

static void plain_http_is_for_this_machine(void **state)
{
        (void) state;
        refused("http://10.0.0.1:4566", "would show secrets to the network");
        refused("http://localhost.evil.example", "would show secrets to the network");
        refused("http://127.0.0.1.evil.example", "would show secrets to the network");
        refused("http://[2001:db8::1]/", "would show secrets to the network");
}

static void other_urls_are_refused(void **state)
{
        (void) state;
        refused("", "neither https");
        refused("secretsmanager.eu-west-1.amazonaws.com", "neither https");
        refused("ftp://h", "neither https");
        refused("https://", "not a host");
        refused("https://:1", "not a host");
        refused("https://h:", "not a host");
        refused("https://h:0", "not a host");
        refused("https://h:65536", "not a host");
        refused("https://h:1x", "not a host");
        refused("https://[::1", "not a host");
        refused("https://[::1]x", "not a host");
        refused("https://[h]", "not a host");
        refused("https://h h/", "not a host");
        refused("https://u:p@h/", "user name");
        refused("https://h/?q", "plain path");
        refused("https://h?q", "plain path");
        refused("https://h/#f", "plain path");
        refused("https://h/a/../b", "plain path");
        refused("https://h/a//b", "plain path");
        refused("https://h/a\r\nb", "plain path");
}

static void arn_is_refused(const char *text, const char *why)
{
        struct arn arn;

        assert_non_null(strstr(endpoint_arn(text, &arn), why));
}

static void arns_are_taken_apart(void **state)
{
        struct arn arn;

        (void) state;
        assert_string_equal(endpoint_arn("arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
                                         "forecaster/database/prod-a1B2c3",
                                         &arn),
                            "");
        assert_string_equal(arn.region, "eu-west-1");
        assert_string_equal(arn.name, "forecaster/database/prod");
        arn_is_refused("arn:aws:secretsmanager", "it is not arn:");
        arn_is_refused("arn:aws:s3:eu-west-1:123456789012:secret:x-a1B2c3",
                       "not the ARN of a secret");
        arn_is_refused("arn:aws:secretsmanager::123456789012:secret:x-a1B2c3", "region");
        arn_is_refused("arn:aws:secretsmanager:e.u:123456789012:secret:x-a1B2c3", "region");
        arn_is_refused("arn:aws:secretsmanager:eu-west-1:12:secret:x-a1B2c3", "account");
        arn_is_refused("arn:aws:secretsmanager:eu-west-1:123456789012:secret:x", "six random");
        arn_is_refused("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod-a1B2c",
                       "six random");
        arn_is_refused("arn:other:secretsmanager:eu-west-1:123456789012:secret:x-a1B2c3", "of AWS");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_partition_has_its_suffix),
                cmocka_unit_test(dual_stack_is_the_ordinary_name_where_it_is_known),
                cmocka_unit_test(sts_is_asked_in_the_region),
                cmocka_unit_test(or_anywhere_where_that_is_wanted_and_was_so_before),
                cmocka_unit_test(regions_are_safe_in_a_host_name),
                cmocka_unit_test(urls_are_taken_apart),
                cmocka_unit_test(plain_http_is_for_this_machine),
                cmocka_unit_test(other_urls_are_refused),
                cmocka_unit_test(arns_are_taken_apart),
        };

        return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
