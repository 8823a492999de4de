/* page.html, which the build puts into the program. */
#ifndef MTPS_SERVE_HTTP_PAGE_H
#define MTPS_SERVE_HTTP_PAGE_H

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_html_bytes;

#endif
