#include "secret/chain_settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *chain_settings_variable(const struct chain_settings *s, const char *name)
{
        const char *value = s->getenv_(name);

        return value && *value ? value : NULL;
}

const char *chain_settings_get(const struct chain_settings *s, const char *key)
{
        static const struct {
                const char *key, *variables[2];
        } by_variable[] = {
                {"region", {"AWS_REGION", "AWS_DEFAULT_REGION"}},
                {"endpoint_url", {"AWS_ENDPOINT_URL"}},
                {"ca_bundle", {"AWS_CA_BUNDLE"}},
                {"use_fips_endpoint", {"AWS_USE_FIPS_ENDPOINT"}},
                {"use_dualstack_endpoint", {"AWS_USE_DUALSTACK_ENDPOINT"}},
                {"ignore_configured_endpoint_urls", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}},
                {"sts_regional_endpoints", {"AWS_STS_REGIONAL_ENDPOINTS"}},
        };

        for (size_t i = 0; i < sizeof by_variable / sizeof *by_variable; i++)
                for (int j = 0; j < 2 && strcmp(by_variable[i].key, key) == 0; j++)
                        if (by_variable[i].variables[j] &&
                            chain_settings_variable(s, by_variable[i].variables[j]))
                                return chain_settings_variable(s, by_variable[i].variables[j]);
        for (int i = 0; i < SHARED_COUNT; i++)
                if (strcmp(shared_setting_name((enum shared_setting) i), key) == 0)
                        return s->shared->settings[i] ? s->shared->settings[i] : "";
        return "";
}

static bool is_true(const struct chain_settings *s, const char *key)
{
        return strcasecmp(chain_settings_get(s, key), "true") == 0;
}

const char *chain_settings_endpoint(const struct chain_settings *s, enum chain_service service)
{
        static const struct {
                const char *variable;
                enum shared_service section;
        } of[] = {[CHAIN_SECRETS_MANAGER] = {"AWS_ENDPOINT_URL_SECRETS_MANAGER",
                                             SHARED_SECRETS_MANAGER},
                  [CHAIN_STS] = {"AWS_ENDPOINT_URL_STS", SHARED_STS}};
        const char *of_service = chain_settings_variable(s, of[service].variable);
        const char *of_all = chain_settings_variable(s, "AWS_ENDPOINT_URL");

        if (is_true(s, "ignore_configured_endpoint_urls"))
                return "";
        if (of_service)
                return of_service;
        if (of_all)
                return of_all;
        if (s->shared->endpoints[of[service].section])
                return s->shared->endpoints[of[service].section];
        return chain_settings_get(s, "endpoint_url");
}

/* ---- STS ---- */

static bool choose(const struct chain_settings *s, struct role_sts *out, struct error *e)
{
        const char *url = chain_settings_endpoint(s, CHAIN_STS);
        const char *regional = chain_settings_get(s, "sts_regional_endpoints");
        bool legacy = strcasecmp(regional, "legacy") == 0;

        if (*url)
                return endpoint_parse(url, &out->at, e);
        if (legacy && endpoint_of_legacy_sts(out->region, &out->at)) {
                snprintf(out->region, sizeof out->region, "us-east-1");
                return true;
        }
        return endpoint_of_sts(out->region, is_true(s, "use_fips_endpoint"),
                               is_true(s, "use_dualstack_endpoint"), &out->at, e);
}

bool chain_settings_sts(const struct chain_settings *s, const char *region, struct role_sts *out,
                        struct error *e)
{
        const char *set = chain_settings_get(s, "region");
        const char *ca_file = chain_settings_get(s, "ca_bundle");

        if (*set)
                region = set;
        if (!endpoint_is_region(region)) {
                error_set(e, "08001", "STS: \"%.64s\" is not an AWS region", region);
                return error_hint(e, "Set AWS_REGION.");
        }
        snprintf(out->region, sizeof out->region, "%s", region);
        out->ca_file = *ca_file ? ca_file : NULL;
        return choose(s, out, e) || error_context(e, "STS");
}
