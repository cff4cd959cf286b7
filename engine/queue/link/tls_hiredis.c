#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>

#include "base/fail.h"
#include "engine/queue/link/socket.h"
#include "engine/queue/link/tls.h"

bool lk_tls_is_supported(void) { return true; }

static lk_status fail(const SSL *ssl, lk_error *error) {
  long verified = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
  const char *why = verified != X509_V_OK ? X509_verify_cert_error_string(verified) : NULL;
  if (why == NULL) why = ERR_reason_error_string(ERR_peek_last_error());
  return lk_fail(error, LK_EIO, "TLS: %s", why != NULL ? why : "the connection was closed");
}

/* The name that the certificate must carry: of an IP address, that address. */
static bool set_host(SSL *ssl, const char *host) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1) return true;
  return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *make(const char *host) {
  SSL_CTX *authorities = SSL_CTX_new(TLS_client_method());
  SSL *ssl = NULL;
  if (authorities != NULL && SSL_CTX_set_min_proto_version(authorities, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_default_verify_paths(authorities) == 1)
    ssl = SSL_new(authorities);
  SSL_CTX_free(authorities); /* `ssl` keeps it */
  if (ssl == NULL) return NULL;
  SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
  if (set_host(ssl, host)) return ssl;
  SSL_free(ssl);
  return NULL;
}

static lk_status shake_hands(SSL *ssl, int fd, const lk_deadline *deadline, lk_error *error) {
  for (;;) {
    ERR_clear_error();
    int done = SSL_do_handshake(ssl), why = SSL_get_error(ssl, done);
    if (done == 1) return LK_OK;
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return fail(ssl, error);
    if (lk_socket_wait(fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline) <= 0)
      return lk_fail(error, LK_EIO, "TLS: no answer in time");
  }
}

lk_status lk_tls_start(struct redisContext *context, int fd, const char *host, const lk_deadline *deadline,
                       lk_error *error) {
  SSL *ssl = make(host);
  if (ssl == NULL) return fail(NULL, error);
  if (redisInitiateSSL(context, ssl) == REDIS_OK) return shake_hands(ssl, fd, deadline, error);
  lk_status status = fail(ssl, error);
  SSL_free(ssl);
  return status;
}
