#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "backend/connect.h"
#include "base/sealed.h"
#include "broker.h"

static int complain(const struct error *e)
{
        fprintf(stderr, "pgbrokerd: %s\n", e->text);
        if (e->hint[0])
                fprintf(stderr, "  %s\n", e->hint);
        return 2;
}

static int run(const struct arguments *a)
{
        struct config *config = NULL;
        struct error e = {0};
        switch (a->wish) {
        case ARGUMENTS_HELP:
                arguments_help(stdout);
                return 0;
        case ARGUMENTS_VERSION:
                arguments_version(stdout);
                return 0;
        default:
                break;
        }
        if (!config_load(&a->config, &config, &e))
                return complain(&e);
        if (a->wish == ARGUMENTS_PRINT_CONFIG) {
                config_print(config, stdout);
                config_free(config);
                return 0;
        }
        return a->wish == ARGUMENTS_CHECK ? broker_check(config) : broker_run(config, a);
}

/* Where a standard stream is closed, the next thing opened would take its number: a client's socket that
 * log lines are written into. */
static void occupy_standard_streams(void)
{
        int fd;
        do {
                fd = open("/dev/null", O_RDWR);
        } while (fd >= 0 && fd <= 2);
        if (fd > 2)
                close(fd);
}

/* A client is a descriptor, a server connection is two: as many as the hard limit allows. */
static void allow_files(void)
{
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) != 0)
                return;
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
        struct arguments arguments;
        struct error e = {0};
        occupy_standard_streams();
        sealed_harden_process();
        connect_neutralise_environment();
        signal(SIGPIPE, SIG_IGN);
        allow_files();
        /* Logins, lookups and file reads share libuv's threads; four would be few in a storm. */
        setenv("UV_THREADPOOL_SIZE", "8", 0);
        int code = arguments_read(argc, argv, &arguments, &e) ? run(&arguments) : complain(&e);
        arguments_free(&arguments);
        return code;
}
