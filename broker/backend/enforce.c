#include "backend/enforce.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include "base/expect.h"

#define POLICY "F0000" /* config_file_error: trying again is of no use */

/* What the demands come down to, on the way to a decision. */
struct demand {
        enum ssl_mode secret, floor, mode; /* as they hold; mode is the stronger one */
        bool secret_says, floor_says;      /* not by default */
        const struct enforce_options *options;
        const char *host;
};

bool enforce_loopback_host(const char *host)
{
        struct in_addr v4;
        struct in6_addr v6;

        if (strcasecmp(host, "localhost") == 0)
                return true;
        if (inet_pton(AF_INET, host, &v4) == 1)
                return ntohl(v4.s_addr) >> 24 == 127;
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static const char *binding_name(enum enforce_binding b)
{
        switch (b) {
        case BINDING_PREFER:
                return "prefer";
        case BINDING_REQUIRE:
                return "require";
        case BINDING_DISABLE:
                return "disable";
        }
        expect(!"a channel_binding");
        return NULL;
}

static bool below_require(enum ssl_mode m)
{
        return m < SSL_MODE_REQUIRE;
}

/* Refuses, and says which side asks for it: the one whose key can be changed. */
static bool refuse_socket(const struct demand *d, struct error *e)
{
        if (d->floor_says)
                error_set(e, POLICY,
                          "min_ssl_mode is %s, but host %s is a unix socket, where there is no TLS",
                          ssl_mode_name(d->floor), d->host);
        else if (d->secret_says && !below_require(d->secret))
                error_set(
                        e, POLICY,
                        "the secret's ssl_mode is %s, but host %s is a unix socket, where there is "
                        "no TLS",
                        ssl_mode_name(d->secret), d->host);
        else
                error_set(
                        e, POLICY,
                        "TLS is required unless min_ssl_mode says otherwise, but host %s is a unix "
                        "socket, where there is no TLS",
                        d->host);
        return error_hint(e, "If this server's socket can be trusted, set tls.min_ssl_mode of the "
                             "environment to disable.");
}

static bool decide_socket(const struct demand *d, struct enforce_decision *out, struct error *e)
{
        if (!d->floor_says || !below_require(d->floor))
                return refuse_socket(d, e);
        if (d->options->channel_binding == BINDING_REQUIRE) {
                error_set(
                        e, POLICY,
                        "channel_binding is require, but host %s is a unix socket, where there is "
                        "no TLS to bind to",
                        d->host);
                return error_hint(e, "Set tls.channel_binding of the environment to prefer.");
        }
        *out = (struct enforce_decision){
                .sslmode = "disable",
                .channel_binding = binding_name(d->options->channel_binding),
        };
        return true;
}

/* Demands that no server could meet. */
static bool possible(const struct demand *d, struct error *e)
{
        /* The administrator's word settles it; a default doesn't overrule a secret in silence. */
        if (d->secret_says && d->secret == SSL_MODE_DISABLE && !d->floor_says &&
            !below_require(d->floor)) {
                error_set(
                        e, POLICY,
                        "the secret's ssl_mode is disable, but host %s is not this machine: TLS is "
                        "required there",
                        d->host);
                return error_hint(e, "Set the secret's ssl_mode to require, or, to send data and "
                                     "logins in plain text, tls.min_ssl_mode of the environment to "
                                     "disable.");
        }
        if (d->mode == SSL_MODE_DISABLE && d->options->channel_binding == BINDING_REQUIRE) {
                error_set(e, POLICY,
                          "channel_binding is require, but ssl_mode is disable: there is "
                          "no TLS to bind to");
                return error_hint(e, "Set tls.min_ssl_mode of the environment to require, or "
                                     "tls.channel_binding to prefer.");
        }
        if (d->mode >= SSL_MODE_VERIFY_CA && !d->options->root_cert[0]) {
                error_set(e, POLICY,
                          "%s is %s, but there is no root_cert to verify the server with",
                          d->floor == d->mode ? "min_ssl_mode" : "the secret's ssl_mode",
                          ssl_mode_name(d->mode));
                return error_hint(e, "Set tls.root_cert of the environment to the file of the "
                                     "authority that signed the server's certificate.");
        }
        return true;
}

static void decide_tcp(const struct demand *d, struct enforce_decision *out)
{
        bool binding = d->options->channel_binding == BINDING_REQUIRE;
        bool root_cert = d->options->root_cert[0] != 0;
        enum ssl_mode mode = d->mode;

        *out = (struct enforce_decision){
                .channel_binding = binding_name(d->options->channel_binding),
                .tls_expected = mode != SSL_MODE_DISABLE,
                /* Binding needs TLS, so that a login in plain text could only fail. */
                .plain_allowed = (mode == SSL_MODE_ALLOW || mode == SSL_MODE_PREFER) && !binding,
                .warn_unverified = mode == SSL_MODE_REQUIRE && !root_cert && !binding,
        };
        if (out->tls_expected && below_require(mode))
                mode = SSL_MODE_REQUIRE;
        /* What libpq makes of require with a root_cert, said aloud: if the file is missing, libpq
         * then fails instead of not verifying at all. */
        if (mode == SSL_MODE_REQUIRE && root_cert)
                mode = SSL_MODE_VERIFY_CA;
        out->sslmode = ssl_mode_name(mode);
}

bool enforce_decide(enum ssl_mode secret, const struct enforce_options *options, const char *host,
                    bool loopback, struct enforce_decision *out, struct error *e)
{
        bool is_socket = host[0] == '/';
        bool local = loopback && !is_socket;
        struct enforce_options tls = *options;
        struct demand d = {
                .secret_says = secret != SSL_MODE_UNSET,
                .floor_says = options->min_ssl_mode != SSL_MODE_UNSET,
                .options = &tls,
                .host = host,
        };

        if (!tls.root_cert)
                tls.root_cert = "";
        d.secret = d.secret_says ? secret : local ? SSL_MODE_PREFER : SSL_MODE_REQUIRE;
        d.floor = d.floor_says ? tls.min_ssl_mode : local ? SSL_MODE_DISABLE : SSL_MODE_REQUIRE;
        d.mode = d.secret > d.floor ? d.secret : d.floor;
        if (is_socket)
                return decide_socket(&d, out, e);
        if (!possible(&d, e))
                return false;
        decide_tcp(&d, out);
        return true;
}
