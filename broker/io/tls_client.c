#include "io/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>
#include "base/own.h"

struct tls_client {
        SSL_CTX *context;
        SSL *ssl;
        char *root_cert, *host;
        enum tls_verify verify;
        int fd;
};

/* ---- does a certificate bear a name? By libpq's rules, so that none passes at login and fails
 * here, or the other way round. ---- */

struct host {
        const char *text;
        uint8_t address[16];
        int address_size;               /* 0: it is a name */
};

static struct host read_host(const char *text)
{
        struct host h = {.text = text};

        if (inet_pton(AF_INET, text, h.address) == 1)
                h.address_size = 4;
        else if (inet_pton(AF_INET6, text, h.address) == 1)
                h.address_size = 16;
        return h;
}

/* '*' stands for the whole of the leftmost label, and for no part of an address. */
static bool wildcard_fits(const struct host *h, const char *pattern, size_t n)
{
        const char *rest = strchr(h->text, '.');

        return !h->address_size && n > 2 && pattern[0] == '*' && pattern[1] == '.' && rest &&
               rest != h->text && strlen(rest) == n - 1 &&
               strncasecmp(rest, pattern + 1, n - 1) == 0;
}

/* A name with a NUL in it is somebody's trick. */
static bool name_fits(const struct host *h, const ASN1_STRING *name)
{
        const char *text = (const char *) ASN1_STRING_get0_data(name);
        size_t n = (size_t) ASN1_STRING_length(name);

        if (n == 0 || memchr(text, 0, n))
                return false;
        return (strlen(h->text) == n && strncasecmp(h->text, text, n) == 0) ||
               wildcard_fits(h, text, n);
}

static bool address_fits(const struct host *h, const ASN1_OCTET_STRING *address)
{
        return h->address_size && ASN1_STRING_length(address) == h->address_size &&
               memcmp(ASN1_STRING_get0_data(address), h->address, (size_t) h->address_size) == 0;
}

/* *own_kind: there is a name of the kind that the host is, so that the common name doesn't count. */
static bool alternative_fits(const struct host *h, X509 *certificate, bool *own_kind)
{
        GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
        bool fits = false;

        for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && !fits; i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

                *own_kind |= name->type == (h->address_size ? GEN_IPADD : GEN_DNS);
                if (name->type == GEN_DNS)
                        fits = name_fits(h, name->d.dNSName);
                else if (name->type == GEN_IPADD)
                        fits = address_fits(h, name->d.iPAddress);
        }
        GENERAL_NAMES_free(names);
        return fits;
}

static bool common_name_fits(const struct host *h, X509 *certificate)
{
        X509_NAME *subject = X509_get_subject_name(certificate);
        int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

        return at >= 0 &&
               name_fits(h, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static bool certificate_fits(X509 *certificate, const char *host)
{
        struct host h = read_host(host);
        bool own_kind = false;

        return alternative_fits(&h, certificate, &own_kind) ||
               (!own_kind && common_name_fits(&h, certificate));
}

/* ---- the handshake ---- */

static enum tls_step fail(struct error *e, const char *what)
{
        char reason[256] = "connection lost";
        unsigned long code = ERR_get_error();

        if (code)
                ERR_error_string_n(code, reason, sizeof reason);
        else if (errno)
                snprintf(reason, sizeof reason, "%s", strerror(errno));
        error_set(e, "08006", "%s: %s", what, reason);
        return TLS_FAILED;
}

/* libpq gives the name of the server, never an address, for servers that have several certificates. */
static bool say_name(struct tls_client *t)
{
        struct host h = read_host(t->host);

        return h.address_size || !t->host[0] || SSL_set_tlsext_host_name(t->ssl, t->host) == 1;
}

static bool set_up(struct tls_client *t)
{
        t->context = SSL_CTX_new(TLS_client_method());
        if (!t->context || SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION) != 1)
                return false;
        if (t->verify != TLS_VERIFY_NONE) {
                SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
                if (SSL_CTX_load_verify_locations(t->context, t->root_cert, NULL) != 1)
                        return false;
        }
        t->ssl = SSL_new(t->context);
        if (!t->ssl || SSL_set_fd(t->ssl, t->fd) != 1 || !say_name(t))
                return false;
        SSL_set_connect_state(t->ssl);
        return true;
}

static enum tls_step finished(struct tls_client *t, struct error *e)
{
        X509 *certificate = SSL_get1_peer_certificate(t->ssl);
        bool fits = t->verify != TLS_VERIFY_FULL ||
                    (certificate && t->host[0] && certificate_fits(certificate, t->host));

        X509_free(certificate);
        if (fits)
                return TLS_DONE;
        error_set(e, "08001", "the server's certificate does not bear the host name \"%s\"", t->host);
        error_hint(e, "Let the secret's host be a name in the server's certificate.");
        return TLS_FAILED;
}

static enum tls_step refused(struct tls_client *t, struct error *e)
{
        long verdict = SSL_get_verify_result(t->ssl);

        if (t->verify == TLS_VERIFY_NONE || verdict == X509_V_OK)
                return fail(e, "the TLS handshake with the server failed");
        error_set(e, "08001", "the server's certificate can't be verified: %s",
                  X509_verify_cert_error_string(verdict));
        error_hint(e, "tls.root_cert of the environment must hold the authority that signed it.");
        return TLS_FAILED;
}

enum tls_step tls_client_step(struct tls_client *t, struct error *e)
{
        /* What others left in this thread's queue would be taken for a failure of ours. */
        ERR_clear_error();
        errno = 0;
        if (!t->ssl && !set_up(t))
                return fail(e, "the TLS handshake can't begin (tls.root_cert?)");

        int n = SSL_do_handshake(t->ssl);

        if (n == 1)
                return finished(t, e);
        switch (SSL_get_error(t->ssl, n)) {
        case SSL_ERROR_WANT_READ:
                return TLS_WANTS_READ;
        case SSL_ERROR_WANT_WRITE:
                return TLS_WANTS_WRITE;
        default:
                return refused(t, e);
        }
}

bool tls_client_write(struct tls_client *t, const void *p, size_t n, struct error *e)
{
        ERR_clear_error();
        errno = 0;
        if (SSL_write(t->ssl, p, (int) n) == (int) n)
                return true;
        fail(e, "writing to the server failed");
        return false;
}

struct tls_client *tls_client_new(const struct tls_client_options *o)
{
        struct tls_client *t = own_new(struct tls_client);

        t->fd = o->fd;
        t->verify = o->verify;
        t->root_cert = own_string(o->root_cert ? o->root_cert : "");
        t->host = own_string(o->host ? o->host : "");
        return t;
}

void tls_client_free(struct tls_client *t)
{
        if (!t)
                return;
        SSL_free(t->ssl);
        SSL_CTX_free(t->context);
        free(t->root_cert);
        free(t->host);
        free(t);
}
