#include "load.h"

static void an_error_says_where_and_what_was_expected(void **state)
{
        (void) state;
        refuse("socket:\n  port: abc\n", "b.yaml:2:9: socket.port: found \"abc\"", "1 to 65535");
        refuse("socket:\n  prot: 1\n", "b.yaml:2:3: ", "\"socket.port\" (the nearest one)");
        refuse("envs: {}", "b.yaml:1:1: ", "unknown key \"envs\"");
        refuse("socket: [a]", "b.yaml:1:9: socket: found a list", "socket.");
        refuse("socket: {port: [1]}", "b.yaml:1:16: socket.port: found a list", "number");
        refuse("socket: {directory: }", "b.yaml:1:21: socket.directory: found nothing", "text");
        refuse("socket.port: 1", "b.yaml:1:1: ", "unknown key \"socket.port\"");
        refuse("- a", "b.yaml:1:1: found a list", "keys and values");
        refuse("environments: prod", "b.yaml:1:15: environments: found \"prod\"",
               "names of environments");
        refuse("environments: {prod: yes}", "b.yaml:1:22: found \"yes\"", "keys and values");
        refuse("log: {level: loud}", "b.yaml:1:14: log.level: ", "debug, info, warn or error");
        refuse(PROD("aliases: x"), "b.yaml:1:32: aliases: found \"x\"", "list of texts");
        refuse(PROD("aliases: [[x]]"), "b.yaml:1:33: aliases: found a list", "text");
        refuse(PROD("pool: {pool_mode: statement}"),
               "b.yaml:1:41: pool.pool_mode: ", "transaction or session");
        refuse("a: 1\na: 2", "b.yaml:2:1: ", "again");
        refuse("", "b.yaml: ", "environment");
}

static void what_is_not_built_yet_is_not_ignored(void **state)
{
        (void) state;
        static const char *const later[] = {
                "http: {listen: '127.0.0.1:9000'}",
                "secrets_api: {socket: /run/x}",
                PROD("api_keys: {secret_name: forecaster/api-keys/dev}"),
                PROD("auth: {secret_region: eu-west-1}"),
                PROD("secret_access: {auth: {users: [root]}}"),
                PROD("secret_access: {auth: {users: x}}"),
        };

        for (size_t i = 0; i < sizeof later / sizeof *later; i++)
                refuse(later[i], "b.yaml:1:", "not in this version");

        OWN(config_free)
        struct config *c = load("http: {listen: ''}\n" PROD(
                "api_keys: {secret_name: forecaster/api-keys/prod}, "
                "auth: {secret_name: forecaster/auth/prod, secret_region: ''}, "
                "pool: {max_prepared_statements: 0}, "
                "secret_access: {auth: {users: []}}"));
        assert_int_equal(c->environment_count, 1);
}

static void names_lead_to_one_environment(void **state)
{
        (void) state;
        refuse("environments: {pgbroker: {}}", "b.yaml:1:16: ", "pgbroker");
        refuse("environments: {pgbouncer: {}}", "b.yaml:1:16: ", "pgbouncer");
        refuse(PROD("aliases: [pgbouncer]"), "b.yaml:1:33: ", "pgbouncer");
        refuse("environments: {prod: {}, prod: {}}", "b.yaml:1:26: ", "again");
        refuse("environments: {a: {aliases: [x]}, b: {aliases: [x]}}",
               "b.yaml:1:49: ", "leads to a");
        refuse("environments: {a: {aliases: [b]}, b: {}}", "b.yaml:1:30: ", "leads to b");
        refuse(PROD("aliases: [x, x]"), "b.yaml:1:36: ", "leads to prod");
        refuse("environments: {'a b': {}}", "b.yaml:1:16: ", "letters, digits");
        refuse("environments: {'': {}}", "b.yaml:1:16: ", "letters, digits");
        refuse(PROD("aliases: ['a/b']"), "b.yaml:1:33: ", "letters, digits");
}

static void a_pool_must_be_able_to_serve(void **state)
{
        (void) state;
        refuse(PROD("pool: {pool_size: 0}"), "b.yaml:1:41: pool.pool_size: ", "from 1");
        refuse(PROD("pool: {pool_size: 5, min_pool_size: 6}"),
               "b.yaml:1:59: pool.min_pool_size: ", "(5)");
        refuse(PROD("pool: {max_pinned: 20}"), "b.yaml:1:42: pool.max_pinned: ", "pool_size (20)");
        refuse(PROD("pool: {server_lifetime: 1d}"), "b.yaml:1:47: pool.server_lifetime: ", "1h");
}

static void a_source_must_be_complete_and_of_one_kind(void **state)
{
        (void) state;
        refuse(PROD("database: {source: env}"), "b.yaml:1:42: database.source: ", "local");
        refuse(PROD("database: {source: file}"), "b.yaml:1:42: database.source: ", "path");
        refuse(PROD("database: {source: vault}"),
               "b.yaml:1:42: database.source: ", "aws, file or env");
        refuse(PROD("database: {path: /x}"), "b.yaml:1:40: database.path: ", "does not use it");
        refuse(PROD("database: {variable: X}"),
               "b.yaml:1:44: database.variable: ", "does not use it");
        refuse(PROD("database: {source: file, path: /x, secret_name: forecaster/database/prod}"),
               "b.yaml:1:71: database.secret_name: ", "does not use it");
        refuse(PROD("database: {secret_name: forcaster/database/prod}"),
               "b.yaml:1:47: database.secret_name: ", "forecaster/database/ENVIRONMENT");
        refuse(PROD("database: {secret_name: forecaster/auth/prod}"),
               "b.yaml:1:47: database.secret_name: ", "component");
        refuse(PROD("database: {secret_name: ''}"),
               "b.yaml:1:47: database.secret_name: ", "found \"\"");
        refuse(PROD("database: {secret_name: 'rds!x'}, endpoint: {host: h, port: 1}"),
               "b.yaml:1:47: database.secret_name: ", "endpoint.database");
        refuse(PROD("database: {secret_region: 'EU west'}"),
               "b.yaml:1:49: database.secret_region: ", "region");
        refuse(PROD("endpoint: {host: 'a,'}"), "b.yaml:1:40: endpoint.host: ", "list of hosts");
        refuse("aws: {region: x_y}\n", "b.yaml:1:15: aws.region: ", "region");
        refuse("aws: {endpoint_url: 'ftp://x'}\n", "b.yaml:1:21: aws.endpoint_url: ", "https");
}

static void what_this_machine_lacks_is_named(void **state)
{
        (void) state;
        refuse(PROD("access: {users: [root, no_such_user]}"),
               "b.yaml:1:46: access.users: ", "\"no_such_user\"");
        refuse(PROD("access: {groups: [no_such_group]}"), "b.yaml:1:41: access.groups: ", "group");
        refuse(PROD("access: {users: [4294967295]}"), "b.yaml:1:40: access.users: ", "user");
        refuse("admin: {users: [no_such_user]}\n" PROD(""),
               "b.yaml:1:17: admin.users: ", "no_such_user");
        refuse("socket: {group: no_such_group}\n", "b.yaml:1:17: socket.group: ", "group");
        refuse("socket: {directory: run}\n", "b.yaml:1:21: socket.directory: ", "begins with /");
        refuse("socket: {directory: "
               "/0123456789012345678901234567890123456789012345678901234567890123456"
               "789012345678901234567890123456789012345}\n",
               "b.yaml:1:21: socket.directory: ", "at most 107");
        refuse(PROD("tls: {root_cert: missing.pem}"),
               "b.yaml:1:40: tls.root_cert: ", "No such file");
        refuse(PROD("tls: {root_cert: /}"), "b.yaml:1:40: tls.root_cert: ", "not a file");
        refuse(PROD("tls: {min_ssl_mode: verify-full}"),
               "b.yaml:1:43: tls.min_ssl_mode: ", "root_cert");
}

static void an_error_in_the_forecaster_s_file_says_so(void **state)
{
        (void) state;
        static const struct {
                const char *text, *place, *says;
        } cases[] = {
                {"database: {secret_nam: x}", "prod.yml:1:11: ", "no database.secret_name"},
                {"api_keys: {}", "prod.yml:1:1: ", "no database.secret_name"},
                {"database: {secret_name: [x]}", "prod.yml:1:25: ", "a list"},
                {"database:\n  secret_name: bad/name\n", "prod.yml:2:16: ", "bad/name"},
                {"database: {secret_name: forecaster/database/prod, secret_region: X}",
                 "prod.yml:1:66: ", "region"},
                {"a: [", "prod.yml:2:1: ", "not YAML"},
        };
        char place[200];

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                write_file("prod.yml", cases[i].text);
                snprintf(place, sizeof place, "%s/%s", folder, cases[i].place);
                refuse(PROD("config: prod.yml"), place, cases[i].says);
        }
        refuse(PROD("config: no.yml, database: {source: file, path: /x}"),
               "b.yaml:1:31: config: ", "No such file");
        write_file("prod.yml", "database: {secret_name: forecaster/database/prod}");
        refuse(PROD("config: prod.yml, database: {source: file, path: /x}"),
               "b.yaml:1:31: config: ", "does not use it");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_error_says_where_and_what_was_expected),
                cmocka_unit_test(what_is_not_built_yet_is_not_ignored),
                cmocka_unit_test(names_lead_to_one_environment),
                cmocka_unit_test(a_pool_must_be_able_to_serve),
                cmocka_unit_test(a_source_must_be_complete_and_of_one_kind),
                cmocka_unit_test(what_this_machine_lacks_is_named),
                cmocka_unit_test(an_error_in_the_forecaster_s_file_says_so),
        };
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
