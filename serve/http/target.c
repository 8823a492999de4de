#include "serve/http/target.h"

#include <string.h>
#include <strings.h>

bool target_is_path(const char *target)
{
    return *target == '/' && !strchr(target, '%');
}

static int refuse(int status, const char *text, const char **why)
{
    *why = text;
    return status;
}

/* To the path of an absolute form; NULL: it has no plain host. */
static const char *behind_host(const char *host)
{
    size_t n = strcspn(host, "/");
    return n && *host != ':' && !memchr(host, '@', n) ? host + n : NULL;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int decode(const char *from, char *to, const char **why)
{
    for (; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex(from[1]), low = high < 0 ? -1 : hex(from[2]);
        if (low < 0) return refuse(400, "an address with '%' in front of what is no byte", why);
        int c = high * 16 + low;
        if (c < 0x20 || c == 0x7F) return refuse(400, "an address with a coded control character", why);
        if (c == '/') {
            memcpy(to, "%2F", 3);
            to += 3;
        } else {
            *to++ = (char)c;
        }
        from += 2;
    }
    *to = 0;
    return 200;
}

int target_path(const char *target, char *out, const char **why)
{
    const char *path = target;
    /* A request for https that came without TLS is another server's (RFC 9110, 7.4). */
    if (!strncasecmp(target, "https://", 8)) return refuse(421, "https is not spoken here", why);
    if (!strncasecmp(target, "http://", 7)) path = behind_host(target + 7);
    if (!path) return refuse(400, "an address without a plain host", why);
    return decode(*path ? path : "/", out, why);
}
