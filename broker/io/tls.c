#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#define READ_AHEAD (128 * 1024)

bool tls_adopt(void *ssl, int fd, struct error *e)
{
        /* What others left in this thread's queue would be taken for a failure of ours. */
        ERR_clear_error();
        if (!SSL_is_init_finished(ssl))
                return error_set(e, "08001", "the TLS handshake with the server is not finished");
        if (SSL_version(ssl) < TLS1_2_VERSION) {
                error_set(e, "08001", "the server speaks %s, at least TLSv1.2 is needed",
                          SSL_get_version(ssl));
                return error_hint(e, "Raise ssl_min_protocol_version of the server.");
        }
        if (SSL_set_fd(ssl, fd) != 1) {
                char reason[256];

                ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
                return error_set(e, "08001", "the TLS session cannot be taken over: %s", reason);
        }
        /* With the socket BIO, OpenSSL writes by write(2): SIGPIPE has to be ignored. */
        SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_set_read_ahead(ssl, 1);
        /* The buffer that the handshake has made holds one record: the next one takes what has come in
         * one call. (It stays if something is in it.) */
        SSL_set_default_read_buffer_len(ssl, READ_AHEAD);
        SSL_free_buffers(ssl);
        return true;
}

const char *tls_describe(void *ssl, char *text, size_t size)
{
        if (!ssl || !SSL_is_init_finished(ssl) || SSL_version(ssl) < TLS1_2_VERSION)
                return NULL;
        snprintf(text, size, "%s/%s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
        return text;
}
