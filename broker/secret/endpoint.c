#include "secret/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool only(const char *text, size_t n, const char *allowed)
{
        return strspn(text, allowed) >= n;
}

static bool starts(const char *text, const char *with)
{
        return strncmp(text, with, strlen(with)) == 0;
}

/* ---- Regions ---- */

bool endpoint_is_region(const char *region)
{
        size_t n = strlen(region);

        return n >= 1 && n < ENDPOINT_REGION && only(region, n, LOWER DIGITS "-") &&
               region[0] != '-' && region[n - 1] != '-';
}

struct partition {
        const char *prefix, *suffix;
        const char *dual_stack; /* the suffix for that; NULL = not known here */
};

static const struct partition *partition_of(const char *region)
{
        static const struct partition partitions[] = {
                {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
                {"us-gov-", "amazonaws.com", "api.aws"},
                {"eusc-", "amazonaws.eu", NULL},
                {"us-iso-", "c2s.ic.gov", NULL},
                {"us-isob-", "sc2s.sgov.gov", NULL},
                {"eu-isoe-", "cloud.adc-e.uk", NULL},
                {"us-isof-", "csp.hci.ic.gov", NULL},
                {"", "amazonaws.com", "api.aws"},
        };
        const struct partition *p = partitions;

        while (!starts(region, p->prefix))
                p++;
        return p;
}

static void set_host(struct endpoint *out, const char *service, const char *region,
                     const char *suffix)
{
        *out = (struct endpoint){.tls = true, .path = "/"};
        snprintf(out->host, sizeof out->host, "%s.%s.%s", service, region, suffix);
        memcpy(out->authority, out->host, sizeof out->host);
}

static bool check_dual_stack(const char *region, bool wanted, struct error *e)
{
        if (!wanted || partition_of(region)->dual_stack)
                return true;
        error_set(e, "08001", "a dual-stack endpoint in region %s is not in this version", region);
        return error_hint(e, "Unset AWS_USE_DUALSTACK_ENDPOINT, or set aws.endpoint_url.");
}

/* Dual-stack is the ordinary name where it is known. */
bool endpoint_of_region(const char *region, bool fips, bool dual_stack, struct endpoint *out,
                        struct error *e)
{
        if (!check_dual_stack(region, dual_stack, e))
                return false;
        set_host(out, fips ? "secretsmanager-fips" : "secretsmanager", region,
                 partition_of(region)->suffix);
        return true;
}

bool endpoint_of_sts(const char *region, bool fips, bool dual_stack, struct endpoint *out,
                     struct error *e)
{
        const struct partition *p = partition_of(region);
        bool gov = starts(region, "us-gov-"); /* where the ordinary name is FIPS */

        if (!check_dual_stack(region, dual_stack, e))
                return false;
        set_host(out, fips && (!gov || dual_stack) ? "sts-fips" : "sts", region,
                 dual_stack ? p->dual_stack : p->suffix);
        return true;
}

bool endpoint_of_legacy_sts(const char *region, struct endpoint *out)
{
        static const char *const regions[] = {
                "ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
                "eu-central-1",   "eu-north-1", "eu-west-1",      "eu-west-2",      "eu-west-3",
                "sa-east-1",      "us-east-1",  "us-east-2",      "us-west-1",      "us-west-2",
        };

        for (size_t i = 0; i < sizeof regions / sizeof *regions; i++)
                if (strcmp(regions[i], region) == 0) {
                        *out = (struct endpoint){.tls = true, .path = "/"};
                        snprintf(out->host, sizeof out->host, "sts.amazonaws.com");
                        memcpy(out->authority, out->host, sizeof out->host);
                        return true;
                }
        return false;
}

/* ---- URLs ---- */

static bool is_loopback(const char *host)
{
        struct in6_addr v6;
        struct in_addr v4;

        if (inet_pton(AF_INET, host, &v4) == 1)
                return ntohl(v4.s_addr) >> 24 == 127;
        if (inet_pton(AF_INET6, host, &v6) == 1)
                return IN6_IS_ADDR_LOOPBACK(&v6);
        return strcasecmp(host, "localhost") == 0;
}

static bool bad_url(struct error *e, const char *what)
{
        error_set(e, "08001", "endpoint_url: %s", what);
        return error_hint(e, "Write https://HOST[:PORT][/PATH], or http:// for this machine.");
}

/* "host", "host:port", "[v6]:port" of n characters. */
static bool split_authority(const char *s, size_t n, struct endpoint *out)
{
        bool v6 = s[0] == '[';
        const char *end = v6 ? memchr(s, ']', n) : memchr(s, ':', n);
        size_t host = end ? (size_t) (end - s) - v6 : n;
        const char *rest = end ? end + v6 : s + n;

        if ((v6 && !end) || host == 0 || host >= sizeof out->host)
                return false;
        memcpy(out->host, s + v6, host);
        out->host[host] = 0;
        if (!only(out->host, host, v6 ? DIGITS "abcdefABCDEF:." : LOWER UPPER DIGITS "-._"))
                return false;
        if (rest == s + n)
                return true;

        size_t digits = (size_t) (s + n - rest) - 1;

        if (*rest != ':' || digits < 1 || digits > 5 || !only(rest + 1, digits, DIGITS))
                return false;
        out->port = (unsigned) strtoul(rest + 1, NULL, 10);
        return out->port >= 1 && out->port <= 65535;
}

static bool take_path(const char *path, struct endpoint *out)
{
        size_t n = strlen(path);

        while (n > 0 && path[n - 1] == '/')
                n--;
        if (n + 2 > sizeof out->path || !only(path, n, LOWER UPPER DIGITS "/-._~%!$&'()*+,;=:@") ||
            (n > 0 && (strstr(path, "//") || strstr(path, "/."))))
                return false;
        memcpy(out->path, path, n);
        memcpy(out->path + n, "/", 2);
        return true;
}

const char *endpoint_split(const char *url, struct endpoint *out, const char **rest)
{
        *out = (struct endpoint){.tls = strncasecmp(url, "https://", 8) == 0, .path = "/"};
        if (!out->tls && strncasecmp(url, "http://", 7) != 0)
                return "neither https:// nor http://";

        const char *authority = url + (out->tls ? 8 : 7);
        size_t n = strcspn(authority, "/?#");

        *rest = authority + n;
        if (memchr(authority, '@', n))
                return "it holds a user name";
        if (!split_authority(authority, n, out))
                return "not a host and port";
        if (out->port == (out->tls ? 443 : 80))
                out->port = 0;

        bool v6 = strchr(out->host, ':');

        snprintf(out->authority, sizeof out->authority, "%s%.*s%s", v6 ? "[" : "",
                 ENDPOINT_HOST - 1, out->host, v6 ? "]" : "");
        if (out->port)
                snprintf(out->authority + strlen(out->authority),
                         sizeof out->authority - strlen(out->authority), ":%u", out->port);
        return "";
}

bool endpoint_parse(const char *url, struct endpoint *out, struct error *e)
{
        const char *path, *wrong = endpoint_split(url, out, &path);

        if (*wrong)
                return bad_url(e, wrong);
        if (!take_path(path, out))
                return bad_url(e, "not a plain path");
        if (!out->tls && !is_loopback(out->host)) {
                error_set(e, "08001",
                          "endpoint_url: http:// to %s would show secrets to the network",
                          out->host);
                return error_hint(e, "Use https://; http:// is for 127.0.0.1, ::1 and localhost.");
        }
        return true;
}

/* ---- ARNs ---- */

bool endpoint_looks_like_arn(const char *text)
{
        return starts(text, "arn:");
}

/* arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX */
const char *endpoint_arn(const char *text, struct arn *out)
{
        const char *part[7];
        size_t length[7];

        *out = (struct arn){0};
        for (int i = 0; i < 6; i++) {
                part[i] = text;
                length[i] = strcspn(text, ":");
                if (!text[length[i]])
                        return "it is not arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME";
                text += length[i] + 1;
        }
        part[6] = text;
        length[6] = strlen(text);
        if (!starts(part[0], "arn:") || !starts(part[1], "aws"))
                return "it is not an ARN of AWS";
        if (!starts(part[2], "secretsmanager:") || !starts(part[5], "secret:"))
                return "it is not the ARN of a secret";
        if (length[3] >= sizeof out->region)
                return "its region is not one";
        memcpy(out->region, part[3], length[3]);
        if (!endpoint_is_region(out->region))
                return "its region is not one";
        if (length[4] != 12 || !only(part[4], 12, DIGITS))
                return "its account is not a number of 12 digits";
        if (length[6] < 8 || part[6][length[6] - 7] != '-' ||
            !only(part[6] + length[6] - 6, 6, LOWER UPPER DIGITS))
                return "it lacks the six random characters at its end; copy the full ARN";
        if (length[6] - 7 >= sizeof out->name)
                return "its name is too long";
        memcpy(out->name, part[6], length[6] - 7);
        return "";
}
