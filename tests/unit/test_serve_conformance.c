/* The server's transport: what is a request and what is none, each with its status and
 * whether the connection goes on; and the time limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve/http/closing.h"
#include "tests/unit/serve_client.h"

#define G "GET /v2/health/live HTTP/1.1\r\n"
#define H "Host: x\r\n"
#define P "POST /v1/models/m:predict HTTP/1.1\r\n" H
#define J "Content-Type: application/json\r\n"
#define L "Content-Length: 18\r\n"
#define B "{\"instances\":[{}]}"
#define E "\r\n"

enum end { OPEN, CLOSED };

struct request {
    const char *what, *bytes;
    int status;
    enum end end;
};

/* X100 and the like are longer than a line: see expand. */
static const struct request requests[] = {
    /* requests */
    {"the plainest", G H E, 200, OPEN},
    {"a body", P J L E B, 200, OPEN},
    {"a body of another type's parameters", P "Content-Type: application/json; charset=utf-8\r\n" L E B, 200, OPEN},
    {"a type in capitals", P "CONTENT-TYPE: Application/JSON\r\n" L E B, 200, OPEN},
    {"no type", P L E B, 200, OPEN},
    {"header names in small letters", "POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 18\r\n" E B, 200, OPEN},
    {"no space behind the colon", "GET /v2 HTTP/1.1\r\nHost:x\r\n" E, 200, OPEN},
    {"many spaces behind the colon", "GET /v2 HTTP/1.1\r\nHost:    x\r\n" E, 200, OPEN},
    {"an empty value", G H "X:\r\n" E, 200, OPEN},
    {"a tab in a value", G H "X: a\tb\r\n" E, 200, OPEN},
    {"bytes over 127 in a value", G H "X: \xC3\xA9\r\n" E, 200, OPEN},
    {"an empty line in front", "\r\n" G H E, 200, OPEN},
    {"a query", "GET /v2/health/live?a=b&c HTTP/1.1\r\n" H E, 200, OPEN},
    {"an empty query", "GET /v2/health/live? HTTP/1.1\r\n" H E, 200, OPEN},
    {"HTTP/1.0", "GET /v2/health/live HTTP/1.0\r\n\r\n", 200, CLOSED},
    {"HTTP/1.0 with a body", "POST /v1/models/m:predict HTTP/1.0\r\n" L E B, 200, CLOSED},
    {"Connection: close", G H "Connection: close\r\n" E, 200, CLOSED},
    {"a body that is not needed", "GET /v2 HTTP/1.1\r\n" H "Content-Length: 3\r\n" E "abc", 200, OPEN},
    {"an offer to upgrade", G H "Connection: Upgrade\r\nUpgrade: h2c\r\n" E, 200, OPEN},
    {"an index by POST without a body", "POST /v2/repository/index HTTP/1.1\r\n" H "Content-Length: 0\r\n" E, 200, OPEN},
    {"a coding that is none", P J L "Content-Encoding: identity\r\n" E B, 200, OPEN},
    {"tensors", "POST /v2/models/m/infer HTTP/1.1\r\n" H "Content-Type: application/octet-stream\r\n"
                "Inference-Header-Content-Length: 95\r\nContent-Length: 103\r\n" E
                "{\"inputs\":[{\"name\":\"user\",\"shape\":[1],\"datatype\":\"INT64\",\"parameters\":{\"binary_data_size\":8}}]}12345678", 200, OPEN},
    {"99 headers and Host", G H "$H99" E, 200, OPEN},
    {"headers of 15 KiB", G H "X: $V15000\r\n" E, 200, OPEN},
    {"an address of 4,000 bytes", "GET /v2?$V3990 HTTP/1.1\r\n" H E, 200, OPEN},
    {"a proxy's form", "GET http://y/v2 HTTP/1.1\r\n" H E, 200, OPEN},
    {"a proxy's form with a port and a query", "GET HTTP://y:8080/v2/health/live?a HTTP/1.1\r\n" H E, 200, OPEN},
    {"a proxy's form of an address of IPv6", "GET http://[::1]:80/v2 HTTP/1.1\r\n" H E, 200, OPEN},
    {"a proxy's form without a path", "GET http://y HTTP/1.1\r\n" H E, 200, OPEN},
    {"a proxy's form with a query behind the host", "GET http://y?a HTTP/1.1\r\n" H E, 200, OPEN},
    {"a proxy's form of HTTP/1.0 without Host", "GET http://y/v2 HTTP/1.0\r\n" E, 200, CLOSED},
    {"a proxy's form with a body", "POST http://y/v1/models/m:predict HTTP/1.1\r\n" H J L E B, 200, OPEN},
    {"a coded letter", "GET /v%32/h%65alth/live HTTP/1.1\r\n" H E, 200, OPEN},
    {"a coded name", "GET /v2/models/%6d HTTP/1.1\r\n" H E, 200, OPEN},
    {"a coded colon", "POST /v1/models/%6D%3Apredict HTTP/1.1\r\n" H J L E B, 200, OPEN},
    {"coded in a proxy's form", "GET http://y/v2/models/%6d/ready HTTP/1.1\r\n" H E, 200, OPEN},
    {"a query with what is no byte", "GET /v2?%zz%00 HTTP/1.1\r\n" H E, 200, OPEN},
    /* what the service refuses: the connection goes on */
    {"a model's name with a coded slash", "GET /v2/models/m%2Fready HTTP/1.1\r\n" H E, 404, OPEN},
    {"a model's name coded twice", "GET /v2/models/%256d HTTP/1.1\r\n" H E, 404, OPEN},
    {"a model's name with a space", "GET /v2/models/m%20 HTTP/1.1\r\n" H E, 404, OPEN},
    {"a model's name that is no UTF-8", "GET /v2/models/%FF%C0%80 HTTP/1.1\r\n" H E, 404, OPEN},
    {"a model's name that leads up", "GET /v2/models/.. HTTP/1.1\r\n" H E, 404, OPEN},
    {"a model's name that leads up, coded", "GET /v2/models/%2e%2e HTTP/1.1\r\n" H E, 404, OPEN},
    {"a body that is no JSON", P J L E "{\"instances\":[{}}}", 400, OPEN},
    {"an empty body", P J "Content-Length: 0\r\n" E, 400, OPEN},
    {"an unknown model", "POST /v1/models/nobody:predict HTTP/1.1\r\n" H J L E B, 404, OPEN},
    {"an unknown version", "POST /v1/models/m/versions/7:predict HTTP/1.1\r\n" H J L E B, 404, OPEN},
    /* what is refused before a body is read: the connection ends */
    {"an unknown address", "GET /v3 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address with a slash behind", "GET /v2/ HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address in capitals", "GET /V2 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address that goes up", "GET /v2/../v2 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address that is coded", "GET /v2%2Fhealth%2Flive HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address that goes up, coded", "GET /v2/%2e%2e/v2 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address that goes up behind a coded slash", "GET /v2%2F..%2Fv2 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address with %00", "GET /v2%00 HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a name with %00", "GET /v2/models/m%00 HTTP/1.1\r\n" H E, 400, CLOSED},
    {"an address with a coded end of line", "GET /v2%0d%0aX:%20y HTTP/1.1\r\n" H E, 400, CLOSED},
    {"an address with %zz", "GET /v2/models/%zz HTTP/1.1\r\n" H E, 400, CLOSED},
    {"an address that ends with %", "GET /v2/models/m% HTTP/1.1\r\n" H E, 400, CLOSED},
    {"an address that ends with %6", "GET /v2/models/m%6 HTTP/1.1\r\n" H E, 400, CLOSED},
    {"an address with %u", "GET /v2/models/%u006d HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a proxy's form without Host", "GET http://y/v2 HTTP/1.1\r\n" E, 400, CLOSED},
    {"a proxy's form without a host", "GET http:///v2 HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a proxy's form with a port alone", "GET http://:80/v2 HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a proxy's form with a name and a password", "GET http://a:b@y/v2 HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a proxy's form with a space", "GET http://y /v2 HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a proxy's form of another address", "GET http://y/v3 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"a proxy's form of https", "GET https://y/v2 HTTP/1.1\r\n" H E, 421, CLOSED},
    {"a form of something else", "GET ftp://y/v2 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"a host without a scheme", "GET //y/v2 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"an address without a slash", "GET v2 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"*", "OPTIONS * HTTP/1.1\r\n" H E, 404, CLOSED},
    {"a tunnel", "CONNECT y:80 HTTP/1.1\r\n" H E, 404, CLOSED},
    {"DELETE", "DELETE /v2 HTTP/1.1\r\n" H E, 405, CLOSED},
    {"PUT with a body", "PUT /v1/models/m:predict HTTP/1.1\r\n" H J L E B, 405, CLOSED},
    {"GET of what is posted", "GET /v1/models/m:predict HTTP/1.1\r\n" H E, 405, CLOSED},
    {"POST of what is got", "POST /v2 HTTP/1.1\r\n" H "Content-Length: 0\r\n" E, 405, CLOSED},
    {"TRACE", "TRACE / HTTP/1.1\r\n" H E, 405, CLOSED},
    {"a method that nobody knows", "BREW / HTTP/1.1\r\n" H E, 405, CLOSED},
    {"a method in small letters", "get / HTTP/1.1\r\n" H E, 405, CLOSED},
    {"a text", P "Content-Type: text/plain\r\n" L E B, 415, CLOSED},
    {"a form", P "Content-Type: application/x-www-form-urlencoded\r\n" L E B, 415, CLOSED},
    {"a type that begins like JSON", P "Content-Type: application/jsonx\r\n" L E B, 415, CLOSED},
    {"bytes without their header", P "Content-Type: application/octet-stream\r\n" L E B, 415, CLOSED},
    {"a packed body", P J L "Content-Encoding: gzip\r\n" E B, 415, CLOSED},
    {"no length", P J E, 411, CLOSED},
    {"chunks", P J "Transfer-Encoding: chunked\r\n" E "12\r\n" B "\r\n0\r\n\r\n", 411, CLOSED},
    {"chunks of GET", G H "Transfer-Encoding: chunked\r\n" E "0\r\n\r\n", 411, CLOSED},
    {"chunks in capitals", P J "TRANSFER-ENCODING: CHUNKED\r\n" E "0\r\n\r\n", 411, CLOSED},
    {"another transfer coding", P J "Transfer-Encoding: gzip\r\n" E B, 411, CLOSED},
    {"a body of 8 MiB and a byte", P J "Content-Length: 8388609\r\n" E, 413, CLOSED},
    {"a body of 900 TB", P J "Content-Length: 900000000000000\r\n" E, 413, CLOSED},
    {"a header length that is none", P J L "Inference-Header-Content-Length: x\r\n" E B, 400, CLOSED},
    {"a header longer than the body", P J L "Inference-Header-Content-Length: 19\r\n" E B, 400, CLOSED},
    {"a request line of 4 KiB", "GET /$V4096 HTTP/1.1\r\n" H E, 414, CLOSED},
    {"a request line of 40 KiB", "GET /$V40000 HTTP/1.1\r\n" H E, 414, CLOSED},
    {"headers of 16 KiB", G H "X: $V16384\r\n" E, 431, CLOSED},
    {"a header of 40 KiB", G H "X: $V40000\r\n" E, 431, CLOSED},
    {"101 headers", G H "$H100" E, 431, CLOSED},
    {"2,000 headers", G H "$H2000" E, 431, CLOSED},
    /* what could be read in two ways */
    {"no Host", G E, 400, CLOSED},
    {"two Hosts", G H H E, 400, CLOSED},
    {"two lengths", P J L L E B, 400, CLOSED},
    {"two different lengths", P J L "Content-Length: 3\r\n" E B, 400, CLOSED},
    {"a list of lengths", P J "Content-Length: 18, 18\r\n" E B, 400, CLOSED},
    {"a length with a sign", P J "Content-Length: +18\r\n" E B, 400, CLOSED},
    {"a negative length", P J "Content-Length: -18\r\n" E B, 400, CLOSED},
    {"a hexadecimal length", P J "Content-Length: 0x12\r\n" E B, 400, CLOSED},
    {"a length with a fraction", P J "Content-Length: 18.0\r\n" E B, 400, CLOSED},
    {"a length and a word", P J "Content-Length: 18 x\r\n" E B, 400, CLOSED},
    {"an empty length", P J "Content-Length:\r\n" E B, 400, CLOSED},
    {"length and chunks", P J L "Transfer-Encoding: chunked\r\n" E B, 400, CLOSED},
    {"chunks and length", P J "Transfer-Encoding: chunked\r\n" L E B, 400, CLOSED},
    {"a length of spaces' name", P J "Content-Length : 18\r\n" E B, 400, CLOSED},
    {"a length in a folded line", P J "X: y\r\n Content-Length: 18\r\n" L E B, 400, CLOSED},
    {"LF alone behind a header", G "Host: x\n" E, 400, CLOSED},
    {"LF alone behind the request line", "GET /v2/health/live HTTP/1.1\n" H E, 400, CLOSED},
    {"LF alone everywhere", "GET /v2/health/live HTTP/1.1\nHost: x\n\n", 400, CLOSED},
    {"LF alone at the end", G H "\n", 400, CLOSED},
    {"CR alone behind a header", G "Host: x\rX: y\r\n" E, 400, CLOSED},
    {"CR CR LF", G "Host: x\r\r\n" E, 400, CLOSED},
    {"a folded line", G H "X: a\r\n b\r\n" E, 400, CLOSED},
    {"a line folded by a tab", G H "X: a\r\n\tb\r\n" E, 400, CLOSED},
    {"a character 0 in a value", G H "X: a$0b\r\n" E, 400, CLOSED},
    {"a character 0 in a name", G H "X$0: b\r\n" E, 400, CLOSED},
    {"a character 0 in the address", "GET /v2/health/live$0x HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a character 1 in a value", G H "X: a\1b\r\n" E, 400, CLOSED},
    {"a space in a name", G H "X Y: b\r\n" E, 400, CLOSED},
    {"a space before the colon", G H "X : b\r\n" E, 400, CLOSED},
    {"a name that is empty", G H ": b\r\n" E, 400, CLOSED},
    {"a name in brackets", G H "(X): b\r\n" E, 400, CLOSED},
    {"a line without a colon", G H "X\r\n" E, 400, CLOSED},
    {"two spaces in the request line", "GET  /v2/health/live HTTP/1.1\r\n" H E, 400, CLOSED},
    {"a space in the address", "GET /v2/ health HTTP/1.1\r\n" H E, 400, CLOSED},
    {"something behind the version", "GET /v2/health/live HTTP/1.1 x\r\n" H E, 400, CLOSED},
    {"no version", "GET /v2/health/live\r\n" H E, 400, CLOSED},
    {"a version in small letters", "GET /v2/health/live http/1.1\r\n" H E, 400, CLOSED},
    {"HTTP/1.2", "GET /v2/health/live HTTP/1.2\r\n" H E, 400, CLOSED},
    {"HTTP/1.1x", "GET /v2/health/live HTTP/1.1x\r\n" H E, 400, CLOSED},
    {"HTTP/2.0", "GET /v2/health/live HTTP/2.0\r\n" H E, 505, CLOSED},
};
enum { N_REQUESTS = sizeof requests / sizeof *requests };

/* $0 is a character 0, $Vn n letters, $Hn n headers. */
static size_t expand(const char *text, char *out)
{
    size_t n = 0;
    for (; *text; text++) {
        if (text[0] != '$') {
            out[n++] = *text;
            continue;
        }
        char what = *++text, *end = NULL;
        if (what == '0') {
            out[n++] = 0;
            continue;
        }
        for (unsigned long k = strtoul(text + 1, &end, 10); k; k--)
            if (what == 'V')
                out[n++] = 'a';
            else
                n += (size_t)sprintf(out + n, "X: y\r\n");
        text = end - 1;
    }
    return n;
}

static int setup(void **state)
{
    struct serve_host *h = calloc(1, sizeof *h);
    *state = h;
    serve_host_open(h);
    return 0;
}

static int teardown(void **state)
{
    serve_host_close(*state);
    free(*state);
    return 0;
}

/* A connection goes on when the next request on it is answered. */
static bool goes_on(int fd)
{
    static const char next[] = G H E;
    struct serve_answer a;
    if (!serve_send(fd, next, sizeof next - 1)) return false;
    serve_receive(fd, 5, &a);
    return a.status == 200;
}

/* Each request has its status, and the connection goes on or ends as it should. */
static void every_request_has_its_status(void **state)
{
    struct serve_host *h = *state;
    static char bytes[65536];
    struct serve_answer a;
    size_t wrong = 0;
    serve_host_start(h);
    assert_true(N_REQUESTS >= 80);
    for (size_t i = 0; i < N_REQUESTS; i++) {
        int fd = serve_connect(h);
        serve_send(fd, bytes, expand(requests[i].bytes, bytes));
        serve_receive(fd, 5, &a);
        enum end end = goes_on(fd) ? OPEN : CLOSED;
        if (a.status != requests[i].status || end != requests[i].end) {
            print_error("%s: %d %s, not %d %s\n", requests[i].what, a.status, end == OPEN ? "open" : "closed",
                        requests[i].status, requests[i].end == OPEN ? "open" : "closed");
            wrong++;
        }
        close(fd);
    }
    assert_int_equal(wrong, 0);
}

/* A request in pieces of one byte is a request; several at once are several. */
static void pieces_do_not_matter(void **state)
{
    struct serve_host *h = *state;
    static const char one[] = P J L E B, three[] = P J L E B G H E P J L E B;
    struct serve_answer a, first;
    serve_host_start(h);
    int fd = serve_connect(h);
    serve_send(fd, one, sizeof one - 1);
    serve_receive(fd, 5, &first);
    for (size_t i = 0; i < sizeof one - 1; i++) assert_true(serve_send(fd, one + i, 1));
    serve_receive(fd, 5, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.text + a.head, first.text + first.head);
    assert_true(serve_send(fd, three, sizeof three - 1));
    for (int i = 0; i < 3; i++) {
        serve_receive(fd, 5, &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.text + a.head, i == 1 ? "{\"live\":true}" : first.text + first.head);
    }
    close(fd);
}

/* A client that expects to be asked for its body is asked, or told why not. */
static void bodies_are_asked_for(void **state)
{
    struct serve_host *h = *state;
    static const char head[] = P J L "Expect: 100-continue\r\n" E, large[] = P J "Content-Length: 9999999\r\nExpect: 100-continue\r\n" E;
    struct serve_answer a;
    serve_host_start(h);
    int fd = serve_connect(h);
    serve_send(fd, head, sizeof head - 1);
    serve_receive(fd, 5, &a);
    assert_int_equal(a.status, 100);
    serve_send(fd, B, sizeof B - 1);
    serve_receive(fd, 5, &a);
    assert_int_equal(a.status, 200);
    close(fd);
    fd = serve_connect(h);
    serve_send(fd, large, sizeof large - 1);
    serve_receive(fd, 5, &a);
    assert_int_equal(a.status, 413);
    close(fd);
}

/* A client that sends all of its body before it reads, however large it is, gets the answer
 * that refused it, and then the end of the connection. */
static void refusals_are_not_lost(void **state)
{
    struct serve_host *h = *state;
    static const char piece[1 << 16];
    static const struct {
        const char *head;
        size_t bytes;
        int status;
    } refused[] = {{P J "Content-Length: 20971520\r\n" E, 20971520, 413},
                   {P "Content-Type: text/plain\r\nContent-Length: 8388608\r\n" E, 8388608, 415},
                   {P J "Transfer-Encoding: chunked\r\n" E "1400000\r\n", 20971520, 411},
                   {"POST /v3 HTTP/1.1\r\n" H J "Content-Length: 20971520\r\n" E, 20971520, 404},
                   {"POST /v2 HTTP/1.1\r\n" H J "Content-Length: 20971520\r\n" E, 20971520, 405},
                   {P J "Content-Length: 20971520\r\nX: a\1b\r\n" E, 20971520, 400}};
    struct serve_answer a;
    serve_host_start(h);
    size_t files = serve_open_files();
    for (size_t i = 0; i < 8 * sizeof refused / sizeof *refused; i++) {
        int fd = serve_connect(h);
        assert_true(serve_send(fd, refused[i / 8].head, strlen(refused[i / 8].head)));
        for (size_t n = 0; n < refused[i / 8].bytes; n += sizeof piece) assert_true(serve_send(fd, piece, sizeof piece));
        serve_receive(fd, 5, &a);
        assert_int_equal(a.status, refused[i / 8].status);
        assert_non_null(strstr(a.text + a.head, "{\"error\":"));
        assert_true(serve_ends(fd, 5));
        close(fd);
    }
    for (int i = 0; i < 500 && serve_open_files() > files; i++) usleep(10000);
    assert_int_equal(serve_open_files(), files);
}

static double seconds_of_sending(int fd, size_t *bytes)
{
    static const char piece[1 << 16];
    double began = serve_now();
    for (*bytes = 0; serve_now() - began < 20 && serve_send(fd, piece, sizeof piece);) *bytes += sizeof piece;
    return serve_now() - began;
}

/* Whoever does not stop sending is cut: when CLOSING_BYTES were dropped, and also when the
 * time of a body is over. Many who do so at once keep nobody from an answer. */
static void but_nobody_is_listened_to_for_long(void **state)
{
    struct serve_host *h = *state;
    static const char head[] = P J "Content-Length: 900000000000\r\n" E;
    struct serve_answer a;
    size_t bytes;
    int fd[2 * CLOSING_MOST];
    h->numbers.body_time = 1;
    serve_host_start(h);
    int one = serve_connect(h);
    assert_true(serve_send(one, head, sizeof head - 1));
    assert_true(seconds_of_sending(one, &bytes) < 10);
    assert_in_range(bytes, 1, CLOSING_BYTES + (32 << 20)); /* and what the kernel holds */
    close(one);
    for (size_t i = 0; i < 2 * CLOSING_MOST; i++) {
        fd[i] = serve_connect(h);
        assert_true(serve_send(fd[i], head, sizeof head - 1));
        serve_receive(fd[i], 5, &a);
        assert_int_equal(a.status, 413);
    }
    double began = serve_now();
    int other = serve_connect(h);
    serve_send(other, G H E, sizeof G H E - 1);
    serve_receive(other, 5, &a);
    assert_int_equal(a.status, 200);
    close(other);
    /* A byte now and then does not help: sending to what is closed fails in the end. */
    for (size_t i = 0; i < 2 * CLOSING_MOST; i++) {
        while (serve_send(fd[i], "x", 1) && serve_now() - began < 10) usleep(1000);
        close(fd[i]);
    }
    assert_true(serve_now() - began < 5);
}

/* Whoever is slow is cut at the limit, and not before; a byte now and then does not help. */
static void slow_clients_are_cut(void **state)
{
    struct serve_host *h = *state;
    static const char *const starts[] = {"", "GE", G, G "Host: x", P J L E, P J L E "{\"inst", G H E, P J L E B};
    enum { N = sizeof starts / sizeof *starts };
    int fd[N];
    h->numbers.header_time = h->numbers.body_time = h->numbers.idle_time = 1;
    serve_host_start(h);
    double began = serve_now();
    for (size_t i = 0; i < N; i++) {
        fd[i] = serve_connect(h);
        serve_send(fd[i], starts[i], strlen(starts[i]));
    }
    while (serve_now() - began < 0.7) {
        serve_send(fd[1], "T", 1);
        serve_send(fd[5], " ", 1);
        assert_false(serve_ends(fd[0], 0.05));
    }
    for (size_t i = 0; i < N; i++) assert_true(serve_ends(fd[i], 3));
    assert_true(serve_now() - began < 3);
    for (size_t i = 0; i < N; i++) close(fd[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_request_has_its_status),
        TEST(pieces_do_not_matter),
        TEST(bodies_are_asked_for),
        TEST(refusals_are_not_lost),
        TEST(but_nobody_is_listened_to_for_long),
        TEST(slow_clients_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
