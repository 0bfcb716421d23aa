/* Self-signed certificates, made while a test runs: each is its own authority. */
#ifndef PGB_TEST_CERTIFICATE_H
#define PGB_TEST_CERTIFICATE_H

#include "../base/cmocka_all.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct certificate {
        EVP_PKEY *key;
        X509 *x509;
};

/* common_name "" and names NULL: without. names as in openssl.cnf: "DNS:a.example,IP:10.0.0.1". */
static inline struct certificate certificate_make(const char *common_name, const char *names)
{
        struct certificate c = {EVP_EC_gen("P-256"), X509_new()};
        X509V3_CTX context;

        X509_set_version(c.x509, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(c.x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(c.x509), -60);
        X509_gmtime_adj(X509_getm_notAfter(c.x509), 3600);
        X509_set_pubkey(c.x509, c.key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x509), "O", MBSTRING_ASC,
                                   (const unsigned char *) "test", -1, -1, 0);
        if (common_name[0])
                X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x509), "CN", MBSTRING_ASC,
                                           (const unsigned char *) common_name, -1, -1, 0);
        X509_set_issuer_name(c.x509, X509_get_subject_name(c.x509));
        X509V3_set_ctx(&context, c.x509, c.x509, NULL, NULL, 0);
        if (names) {
                X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);

                assert_non_null(e);
                X509_add_ext(c.x509, e, -1);
                X509_EXTENSION_free(e);
        }
        assert_true(X509_sign(c.x509, c.key, EVP_sha256()) > 0);
        return c;
}

static inline void certificate_free(struct certificate *c)
{
        X509_free(c->x509);
        EVP_PKEY_free(c->key);
}

static inline void certificate_write(const struct certificate *c, const char *path)
{
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_int_equal(PEM_write_X509(f, c->x509), 1);
        fclose(f);
}

static inline SSL_CTX *certificate_server(const struct certificate *c)
{
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());

        assert_int_equal(SSL_CTX_use_certificate(context, c->x509), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(context, c->key), 1);
        return context;
}

#endif
