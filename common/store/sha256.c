/* SHA-256 of files and memory (file.h). The only file that includes OpenSSL. */
#include "common/store/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/base/mem.h"

enum { READ_BYTES = 1 << 20, SHA256_BYTES = 32 };

static void to_hex(const unsigned char bytes[SHA256_BYTES], char hex[SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[SHA256_HEX - 1] = '\0';
}

void bytes_sha256(const void *data, size_t bytes, char hex[SHA256_HEX])
{
    unsigned char out[SHA256_BYTES] = {0};
    unsigned n = 0;
    int done = EVP_Digest(data, bytes, out, &n, EVP_sha256(), NULL);
    assert(done == 1 && n == SHA256_BYTES); /* a build of libcrypto without SHA-256 */
    (void)done;
    to_hex(out, hex);
}

static enum status hash_fd(int fd, const char *path, EVP_MD_CTX *context, void *buffer,
                           void (*progress)(void *, uint64_t bytes), void *arg,
                           struct error *err)
{
    uint64_t total = 0;
    for (;;) {
        ssize_t n = read(fd, buffer, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return error_set(err, ST_IO, "%s: cannot read it: %s", path, strerror(errno));
        if (n == 0) return ST_OK;
        if (EVP_DigestUpdate(context, buffer, (size_t)n) != 1)
            return error_set(err, ST_INTERNAL, "%s: SHA-256 failed", path);
        total += (uint64_t)n;
        if (progress) progress(arg, total);
    }
}

enum status file_sha256(const char *path, char hex[SHA256_HEX],
                        void (*progress)(void *, uint64_t bytes), void *arg,
                        struct error *err)
{
    unsigned char out[SHA256_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, ST_NOINPUT, "%s: cannot open it: %s", path,
                         strerror(errno));
    void *buffer = mem_alloc(READ_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    enum status st = ST_OK;
    if (!buffer || !context)
        st = mem_error(err, path, READ_BYTES);
    else if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        st = error_set(err, ST_INTERNAL, "%s: libcrypto has no SHA-256", path);
    if (st == ST_OK) st = hash_fd(fd, path, context, buffer, progress, arg, err);
    if (st == ST_OK && EVP_DigestFinal_ex(context, out, NULL) != 1)
        st = error_set(err, ST_INTERNAL, "%s: SHA-256 failed", path);
    if (st == ST_OK) to_hex(out, hex);
    EVP_MD_CTX_free(context);
    mem_free(buffer);
    close(fd);
    return st;
}
