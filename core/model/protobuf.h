/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire format of protocol buffers: reading a message field by field, and writing one.
 *
 * The bytes are a stranger's: a length is compared with what is left before it is believed. Groups, which
 * were given up long ago, are refused.
 */
#ifndef ISC_CORE_PROTOBUF_H
#define ISC_CORE_PROTOBUF_H

#include <inversescope/text.h>
#include <stdint.h>

typedef enum isc_wire {
  ISC_WIRE_VARINT = 0,
  ISC_WIRE_64 = 1,
  ISC_WIRE_BYTES = 2,
  ISC_WIRE_32 = 5
} isc_wire;

/* What is left of a message. */
typedef struct isc_message {
  const unsigned char *at, *end;
} isc_message;

typedef struct isc_field {
  uint32_t number;
  isc_wire wire;
  uint64_t value; /* of all but ISC_WIRE_BYTES */
  const char *data;
  size_t len; /* of ISC_WIRE_BYTES */
} isc_field;

/* The next field; *more is false at the end. ISC_E_FORMAT naming `where` when the bytes are none. */
isc_status isc_message_next(isc_message *m, const char *where, isc_field *f, bool *more);
/* A field as what it must be, else ISC_E_FORMAT naming `where` and `name`. */
isc_status isc_field_bool(const isc_field *f, const char *where, const char *name, bool *out);
isc_status isc_field_int(const isc_field *f, const char *where, const char *name, int64_t *out);
isc_status isc_field_float(const isc_field *f, const char *where, const char *name, float *out);
isc_status isc_field_bytes(const isc_field *f, const char *where, const char *name);

ISC_API isc_status isc_write_varint(isc_text *out, uint32_t number, uint64_t value);
ISC_API isc_status isc_write_float(isc_text *out, uint32_t number, float value);
ISC_API isc_status isc_write_bytes(isc_text *out, uint32_t number, const char *s, size_t len);

#endif
