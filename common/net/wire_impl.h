/* Shared by the files that encode messages. */
#ifndef MTPS_NET_WIRE_IMPL_H
#define MTPS_NET_WIRE_IMPL_H

#include "common/net/wire.h"

/* Bytes of a section with its padding. */
size_t wire_padded(size_t bytes);

/* The first 16 bytes of every message: magic u32, version u16, kind u16, bytes of
 * the whole message u64. */
void wire_put_prefix(unsigned char *at, enum wire_kind kind, uint64_t bytes);

#endif
