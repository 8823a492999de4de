#include "serve/http/head.h"

#include <string.h>
#include <strings.h>

static bool is_token(const char *s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    if (!*s) return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr(others, *s)))
            return false;
    return true;
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7F) return true;
    return false;
}

void head_add(struct head *h, const char *name, const char *value)
{
    if (!value) value = "";
    h->n++;
    /* In place: from the name over the colon to the value, the value, CR and LF. */
    h->lines += (size_t)((uintptr_t)value - (uintptr_t)name) + strlen(value) + 2;
    if (!is_token(name) || has_control(value)) h->odd = true;
    if (!strcasecmp(name, "Content-Length")) {
        h->n_lengths++;
        h->length = value;
    } else if (!strcasecmp(name, "Host")) {
        h->n_hosts++;
    } else if (!strcasecmp(name, "Transfer-Encoding")) {
        h->encoding = value;
    } else if (!strcasecmp(name, "Content-Type")) {
        h->type = value;
    } else if (!strcasecmp(name, "Content-Encoding")) {
        h->coding = value;
    } else if (!strcasecmp(name, "Inference-Header-Content-Length")) {
        h->json = value;
    }
}

static int refuse(int status, const char *text, const char **why)
{
    *why = text;
    return status;
}

/* Every line ended with CR and LF, had single spaces, and nothing that a text hides. */
static bool is_well_formed(const struct head *h)
{
    size_t request_line = strlen(h->method) + 1 + h->line + 1 + strlen(h->version) + 2;
    return !h->odd && (!h->is_in_place || h->bytes == request_line + h->lines + 2);
}

int head_check(const struct head *h, const char **why)
{
    if (strlen(h->method) + h->line + sizeof " HTTP/1.1\r\n" > HEAD_REQUEST_LINE)
        return refuse(414, "the request line is over 4 KiB", why);
    if (h->bytes > HEAD_BYTES) return refuse(431, "the headers are over 16 KiB", why);
    if (h->n > HEAD_HEADERS) return refuse(431, "more than 100 headers", why);
    if (strcmp(h->version, "HTTP/1.1") != 0 && strcmp(h->version, "HTTP/1.0") != 0)
        return refuse(400, "HTTP/1.1 is spoken here", why);
    if (!is_well_formed(h)) return refuse(400, "a line that is not well-formed", why);
    if (h->n_lengths > 1) return refuse(400, "Content-Length stands twice", why);
    if (h->n_lengths && h->encoding) return refuse(400, "Content-Length and Transfer-Encoding", why);
    if (h->n_hosts > 1 || (!h->n_hosts && !strcmp(h->version, "HTTP/1.1")))
        return refuse(400, "one Host is expected", why);
    return 200;
}

/* ---- the body ---- */

static bool whole_number(const char *s, size_t *out)
{
    size_t v = 0, n = strlen(s);
    if (!n || n > 15 || n != strspn(s, "0123456789")) return false;
    for (; *s; s++) v = v * 10 + (size_t)(*s - '0');
    *out = v;
    return true;
}

uint64_t head_promised(const struct head *h)
{
    size_t body = 0;
    if (h->odd || h->encoding || h->n_lengths > 1 || (h->length && !whole_number(h->length, &body))) return UINT64_MAX;
    return (uint64_t)h->bytes + body;
}

static bool is_type(const char *type, const char *wanted)
{
    size_t n = strlen(wanted);
    return !strncasecmp(type, wanted, n) && (!type[n] || strchr("; \t", type[n]));
}

int head_check_body(const struct head *h, bool must, size_t max_body, size_t *length, size_t *json, const char **why)
{
    *length = 0;
    if (h->encoding) return refuse(411, "bodies in chunks are not taken: send Content-Length", why);
    if (h->length && !whole_number(h->length, length)) return refuse(400, "Content-Length is no number", why);
    if (must && !h->length) return refuse(411, "send Content-Length", why);
    if (*length > max_body) return refuse(413, "the body is larger than bodies may be", why);
    *json = *length;
    if (h->json && (!whole_number(h->json, json) || *json > *length))
        return refuse(400, "Inference-Header-Content-Length is no number, or over Content-Length", why);
    if (must && h->type && !is_type(h->type, "application/json") &&
        !(h->json && is_type(h->type, "application/octet-stream")))
        return refuse(415, "Content-Type: application/json is expected", why);
    if (must && h->coding && strcasecmp(h->coding, "identity") != 0)
        return refuse(415, "bodies are taken without Content-Encoding", why);
    return 200;
}
