/* SPDX-License-Identifier: Apache-2.0
 *
 * A prior in C++17 without any extension: the numbers 0 to 99 in words of one digit each, "four two".
 *
 * It is here to show that the headers and the makefile fragment serve C++, and that nothing of the C++ library's
 * templates is exported beside the descriptor.
 */
#include <inversescope/prior.h>

#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <string>
#include <string_view>

namespace {

constexpr std::int64_t support_size = 100;
constexpr double test_fraction = 0.2;
const std::array<std::string, 10> digits = {"zero", "one", "two",   "three", "four",
                                            "five", "six", "seven", "eight", "nine"};

struct numbers {
  std::uint64_t seed;
};

std::string words(std::int64_t i) {
  return digits[static_cast<std::size_t>(i / 10)] + " " + digits[static_cast<std::size_t>(i % 10)];
}

std::int64_t parse(std::string_view text) {
  for (std::int64_t i = 0; i < support_size; i++)
    if (text == words(i)) return i;
  return -1;
}

isc_status open(const void *, std::uint64_t seed, void **self) {
  ISC_TRY(isc_split_check(support_size, test_fraction));
  *self = new (std::nothrow) numbers{seed};
  return *self ? ISC_OK : isc_fail(ISC_E_NOMEM, "prior plain: no memory");
}

void close(void *self) {
  delete static_cast<numbers *>(self);
}

std::int64_t count(void *, isc_split split) {
  return isc_split_count(support_size, test_fraction, split);
}

std::int64_t support(void *) {
  return support_size;
}

isc_status enumerate(void *, std::int64_t i, isc_text *out) {
  if (i < 0 || i >= support_size)
    return isc_fail(ISC_E_USAGE, "prior plain: there is no such text");
  const std::string text = words(i);
  return isc_text_set(out, text.data(), text.size());
}

isc_status draw(void *self, isc_split split, std::int64_t i, isc_text *out) {
  if (i < 0 || i >= count(self, split))
    return isc_fail(ISC_E_USAGE, "prior plain: there is no such input");
  const std::uint64_t seed = static_cast<numbers *>(self)->seed;
  return enumerate(self, isc_split_index(seed, support_size, test_fraction, split, i), out);
}

isc_status log_prob(void *, const char *text, std::size_t len, double *out) {
  const bool known = parse(std::string_view(text, len)) >= 0;
  *out = known ? -std::log(double(support_size)) : -std::numeric_limits<double>::infinity();
  return ISC_OK;
}

isc_status fingerprint(void *self, char hex[33]) {
  const std::string all = "plain 1 " + std::to_string(static_cast<numbers *>(self)->seed);
  return isc_text_hash(all.data(), all.size(), hex);
}

// Members by name, so that those a later header appends stay null; a constant, so that nothing runs at load time.
constexpr isc_prior_ops make_ops() {
  isc_prior_ops o = {};
  o.size = sizeof o;
  o.open = open;
  o.close = close;
  o.count = count;
  o.draw = draw;
  o.log_prob = log_prob;
  o.support = support;
  o.enumerate = enumerate;
  o.fingerprint = fingerprint;
  return o;
}
constexpr isc_prior_ops ops = make_ops();

const isc_class plain = {ISC_CLASS(ISC_PRIOR),
                         "plain",
                         "1.0.0",
                         "Numbers of two digits in words",
                         "Apache-2.0",
                         nullptr,
                         nullptr,
                         0,
                         &ops};

} // namespace

ISC_PLUGIN("plain", "1.0.0", &plain);
