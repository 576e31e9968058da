/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire format of protocol buffers.
 */
#include "model/protobuf.h"
#include <inttypes.h>
#include <string.h>

/* False when the bytes end in the middle of it or it has more than 64 bits. */
static bool read_varint(isc_message *m, uint64_t *out) {
  *out = 0;
  for (unsigned shift = 0; shift < 70 && m->at < m->end; shift += 7) {
    uint64_t byte = *m->at++;
    if (shift == 63 && byte > 1) return false;
    *out |= (byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

static bool read_fixed(isc_message *m, size_t size, uint64_t *out) {
  *out = 0;
  if ((size_t)(m->end - m->at) < size) return false;
  for (size_t i = 0; i < size; i++)
    *out |= (uint64_t)*m->at++ << (8 * i);
  return true;
}

static bool read_bytes(isc_message *m, isc_field *f) {
  uint64_t len;
  if (!read_varint(m, &len) || len > (uint64_t)(m->end - m->at)) return false;
  f->data = (const char *)m->at;
  f->len = (size_t)len;
  m->at += len;
  return true;
}

isc_status isc_message_next(isc_message *m, const char *where, isc_field *f, bool *more) {
  uint64_t tag;
  *f = (isc_field){0};
  *more = m->at < m->end;
  if (!*more) return ISC_OK;
  if (!read_varint(m, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF)
    return isc_fail(ISC_E_FORMAT, "%s: broken protocol buffer: a field without a number", where);
  f->number = (uint32_t)(tag >> 3);
  f->wire = (isc_wire)(tag & 7);
  bool whole = f->wire == ISC_WIRE_VARINT  ? read_varint(m, &f->value)
               : f->wire == ISC_WIRE_64    ? read_fixed(m, 8, &f->value)
               : f->wire == ISC_WIRE_32    ? read_fixed(m, 4, &f->value)
               : f->wire == ISC_WIRE_BYTES ? read_bytes(m, f)
                                           : false;
  if (whole) return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "%s: broken protocol buffer: field %" PRIu32 " is cut off or of a kind "
                  "that is not known",
                  where, f->number);
}

static isc_status expect(const isc_field *f, isc_wire wire, const char *where, const char *name) {
  if (f->wire == wire) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: %s: the value is of the wrong kind", where, name);
}

isc_status isc_field_bool(const isc_field *f, const char *where, const char *name, bool *out) {
  ISC_TRY(expect(f, ISC_WIRE_VARINT, where, name));
  *out = f->value != 0;
  return ISC_OK;
}

isc_status isc_field_int(const isc_field *f, const char *where, const char *name, int64_t *out) {
  ISC_TRY(expect(f, ISC_WIRE_VARINT, where, name));
  *out = (int64_t)f->value;
  return ISC_OK;
}

isc_status isc_field_float(const isc_field *f, const char *where, const char *name, float *out) {
  ISC_TRY(expect(f, ISC_WIRE_32, where, name));
  uint32_t bits = (uint32_t)f->value;
  memcpy(out, &bits, sizeof *out);
  return ISC_OK;
}

isc_status isc_field_bytes(const isc_field *f, const char *where, const char *name) {
  return expect(f, ISC_WIRE_BYTES, where, name);
}

/* ---- writing */

static isc_status append_varint(isc_text *out, uint64_t v) {
  char bytes[10];
  size_t n = 0;
  for (; v >= 0x80; v >>= 7)
    bytes[n++] = (char)(v | 0x80);
  bytes[n++] = (char)v;
  return isc_text_append(out, bytes, n);
}

static isc_status append_tag(isc_text *out, uint32_t number, isc_wire wire) {
  return append_varint(out, (uint64_t)number << 3 | (unsigned)wire);
}

isc_status isc_write_varint(isc_text *out, uint32_t number, uint64_t value) {
  ISC_TRY(append_tag(out, number, ISC_WIRE_VARINT));
  return append_varint(out, value);
}

isc_status isc_write_float(isc_text *out, uint32_t number, float value) {
  uint32_t bits;
  char bytes[4];
  memcpy(&bits, &value, sizeof bits);
  for (int i = 0; i < 4; i++)
    bytes[i] = (char)(bits >> (8 * i));
  ISC_TRY(append_tag(out, number, ISC_WIRE_32));
  return isc_text_append(out, bytes, sizeof bytes);
}

isc_status isc_write_bytes(isc_text *out, uint32_t number, const char *s, size_t len) {
  ISC_TRY(append_tag(out, number, ISC_WIRE_BYTES));
  ISC_TRY(append_varint(out, len));
  return isc_text_append(out, s, len);
}
