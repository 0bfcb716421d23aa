/* A little HTTP server on 127.0.0.1, in threads of its own, that behaves as the path says:
 * /hello /echo /chunked /moved /denied are answered, /slow never, /cut in part, /none not at all,
 * /long has 5000 bytes, /endless no end. */
#ifndef PGB_TEST_HTTP_SERVER_H
#define PGB_TEST_HTTP_SERVER_H

#include "turns.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>

enum { SERVER_CONNECTIONS = 64 };

struct server_connection {
        struct server *server;
        pthread_t thread;
        int fd;
        SSL *ssl;
};

struct server {
        int fd;
        unsigned port;
        SSL_CTX *tls;                   /* NULL: plain */
        pthread_t thread;
        pthread_mutex_t lock;
        int count;                      /* connections so far */
        struct server_connection all[SERVER_CONNECTIONS];
};

static inline ssize_t server_read(struct server_connection *c, void *p, size_t n)
{
        return c->ssl ? SSL_read(c->ssl, p, (int) n) : read(c->fd, p, n);
}

static inline bool server_write(struct server_connection *c, const char *p, size_t n)
{
        if (c->ssl)
                return SSL_write(c->ssl, p, (int) n) > 0;
        return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t) n;
}

static inline bool server_say(struct server_connection *c, const char *text)
{
        return server_write(c, text, strlen(text));
}

static inline void server_answer(struct server_connection *c, const char *head, const char *body)
{
        OWN(free) char *all = own_format("HTTP/1.1 %sContent-Length: %zu\r\n\r\n%s", head,
                                         strlen(body), body);

        server_say(c, all);
}

/* One request, head and body, as a string; NULL: no more. */
static inline char *server_request(struct server_connection *c)
{
        char *text = own_alloc(65536), *end = NULL, *length;
        size_t used = 0, wanted = 0;
        ssize_t n;

        while (!end || used < wanted) {
                n = server_read(c, text + used, 65535 - used);
                if (n <= 0) {
                        free(text);
                        return NULL;
                }
                used += (size_t) n;
                text[used] = 0;
                end = strstr(text, "\r\n\r\n");
                length = strstr(text, "Content-Length: ");
                if (end)
                        wanted = (size_t) (end - text) + 4;
                if (end && length)
                        wanted += strtoul(length + 16, NULL, 10);
        }
        return text;
}

static inline void server_endless(struct server_connection *c)
{
        server_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (server_say(c, "10\r\n0123456789abcdef\r\n"))
                ;
}

/* False: the connection is over. */
static inline bool server_behave(struct server_connection *c, const char *request)
{
        static char long_body[5001];
        char path[256] = "", byte;

        sscanf(request, "%*s %255s", path);
        if (strstr(path, "/hello"))
                server_answer(c,
                              "200 OK\r\nContent-Type: text/plain\r\nx-amzn-requestid: r-1\r\n"
                              "Date: Sun, 22 Nov 2026 13:20:33 GMT\r\n",
                              "hello");
        else if (strstr(path, "/echo"))
                server_answer(c, "200 OK\r\n", request);
        else if (strstr(path, "/chunked"))
                server_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "3\r\none\r\n5\r\n, two\r\n0\r\n\r\n");
        else if (strstr(path, "/moved"))
                server_answer(c, "302 Found\r\nLocation: /hello\r\n", "");
        else if (strstr(path, "/denied"))
                server_answer(c,
                              "400 Bad Request\r\n"
                              "x-amzn-ErrorType: AccessDeniedException:http\r\n",
                              "{}");
        else if (strstr(path, "/long"))
                server_answer(c, "200 OK\r\n", memset(long_body, 'x', 5000));
        else if (strstr(path, "/endless"))
                server_endless(c);
        else if (strstr(path, "/cut"))
                server_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
        else if (strstr(path, "/slow"))
                while (server_read(c, &byte, 1) > 0)
                        ;
        return strstr(path, "/hello") || strstr(path, "/echo") || strstr(path, "/chunked");
}

static inline void *server_serve(void *arg)
{
        struct server_connection *c = arg;
        bool on = !c->ssl || SSL_accept(c->ssl) == 1;

        while (on) {
                OWN(free) char *request = server_request(c);

                on = request && server_behave(c, request);
        }
        SSL_free(c->ssl);
        shutdown(c->fd, SHUT_RDWR);
        return NULL;
}

static inline void *server_accept(void *arg)
{
        struct server *s = arg;
        int fd;

        while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                struct server_connection *c = &s->all[s->count];

                *c = (struct server_connection){.server = s, .fd = fd};
                if (s->tls) {
                        c->ssl = SSL_new(s->tls);
                        SSL_set_fd(c->ssl, fd);
                }
                pthread_create(&c->thread, NULL, server_serve, c);
                pthread_mutex_lock(&s->lock);
                s->count++;
                pthread_mutex_unlock(&s->lock);
        }
        return NULL;
}

static inline int server_count(struct server *s)
{
        pthread_mutex_lock(&s->lock);

        int count = s->count;

        pthread_mutex_unlock(&s->lock);
        return count;
}

static inline struct server *server_new(SSL_CTX *tls)
{
        struct server *s = own_new(struct server);
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof a;

        s->tls = tls;
        pthread_mutex_init(&s->lock, NULL);
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(s->fd, (struct sockaddr *) &a, sizeof a), 0);
        assert_int_equal(listen(s->fd, 64), 0);
        assert_int_equal(getsockname(s->fd, (struct sockaddr *) &a, &size), 0);
        s->port = ntohs(a.sin_port);
        pthread_create(&s->thread, NULL, server_accept, s);
        return s;
}

static inline void server_free(struct server *s)
{
        shutdown(s->fd, SHUT_RDWR);
        pthread_join(s->thread, NULL);
        for (int i = 0; i < s->count; i++) {
                shutdown(s->all[i].fd, SHUT_RDWR);
                pthread_join(s->all[i].thread, NULL);
                close(s->all[i].fd);
        }
        close(s->fd);
        pthread_mutex_destroy(&s->lock);
        SSL_CTX_free(s->tls);
        free(s);
}

OWN_DEFINE(struct server, server_free)

/* A context with a self-signed certificate for "localhost", written to `path` as a CA file. */
static inline SSL_CTX *server_certificate(const char *path)
{
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *c = X509_new();
        X509_EXTENSION *names =
                X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
        FILE *f = fopen(path, "we");

        X509_set_version(c, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(c), (long) loop_us());
        X509_gmtime_adj(X509_getm_notBefore(c), -60);
        X509_gmtime_adj(X509_getm_notAfter(c), 3600);
        X509_set_pubkey(c, key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                                   (const unsigned char *) "localhost", -1, -1, 0);
        X509_set_issuer_name(c, X509_get_subject_name(c));
        X509_add_ext(c, names, -1);
        assert_true(X509_sign(c, key, EVP_sha256()) > 0);
        assert_int_equal(SSL_CTX_use_certificate(context, c), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
        assert_int_equal(PEM_write_X509(f, c), 1);
        fclose(f);
        X509_EXTENSION_free(names);
        X509_free(c);
        EVP_PKEY_free(key);
        return context;
}

#endif
