/* SPDX-License-Identifier: Apache-2.0
 *
 * From how a checker process ended and what it answered to an outcome.
 *
 * An answer counts only when it is whole: a plugin that crashes, or ends the process, leaves none.
 */
#include "conform/runner_plan.h"
#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

const char *isc_outcome_name(isc_outcome o) {
  static const char *const names[ISC_OUTCOMES] = {"passed", "failed", "crashed", "timed out",
                                                  "skipped"};
  return names[o];
}

const char *isc_check_doc(const isc_check *check, char *room, size_t size) {
  snprintf(room, size, "docs/conformance.md#%s", check->id);
  for (char *c = room; (c = strchr(c, '.'));)
    *c = c > strchr(room, '#') ? '-' : '.', c++;
  return room;
}

static isc_status say(isc_pool *pool, isc_verdict *v, isc_outcome o, const char *fmt, ...)
    ISC_PRINTF(4, 5);
static isc_status say(isc_pool *pool, isc_verdict *v, isc_outcome o, const char *fmt, ...) {
  char text[2304], *kept;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  ISC_TRY(isc_pool_strndup(pool, text, strlen(text), &kept));
  v->outcome = o;
  v->message = kept;
  return ISC_OK;
}

/* The last lines of what it printed, from the start of a line. */
static isc_status keep_output(isc_pool *pool, const isc_job *j, isc_verdict *v) {
  char *kept;
  const char *from = j->output.s ? j->output.s : "";
  size_t len = j->output.len;
  if (len > ISC_JOB_OUTPUT_MAX) {
    const char *cut = from + (len - ISC_JOB_OUTPUT_MAX),
               *line = memchr(cut, '\n', ISC_JOB_OUTPUT_MAX);
    len -= (size_t)((line ? line + 1 : cut) - from);
    from = line ? line + 1 : cut;
  }
  while (len > 0 && isspace((unsigned char)from[len - 1]))
    len--;
  ISC_TRY(isc_pool_strndup(pool, from, len, &kept));
  for (size_t i = 0; i < len; i++)
    if (kept[i] == '\0') kept[i] = '?';
  v->output = kept;
  return ISC_OK;
}

static isc_status how_it_ended(isc_pool *pool, const isc_job *j, const char *doing,
                               isc_verdict *v) {
  if (j->timed_out)
    return say(pool, v, ISC_TIMED_OUT, "%s did not end within %g s", doing, j->limit);
  if (j->signal) {
    const char *name = sigabbrev_np(j->signal);
    return say(pool, v, ISC_CRASHED, "%s crashed (SIG%s)", doing, name ? name : "?");
  }
  return say(pool, v, ISC_CRASHED, "the process exited with status %d within %s", j->exit_status,
             doing);
}

static isc_status read_answer(isc_pool *pool, isc_verdict *v) {
  static const isc_outcome possible[] = {ISC_PASSED, ISC_FAILED, ISC_SKIPPED};
  const char *status = json_string_value(json_object_get(v->answer, "status"));
  const char *message = json_string_value(json_object_get(v->answer, "message"));
  const char *error = json_string_value(json_object_get(v->answer, "error"));
  if (!message) message = "";
  if (error) return say(pool, v, ISC_FAILED, "%s", error);
  if (!status && json_object_get(v->answer, "classes")) return say(pool, v, ISC_PASSED, "%s", "");
  if (!status) status = "";
  v->broken = !strcmp(status, "broken");
  if (v->broken) return say(pool, v, ISC_SKIPPED, "could not be checked: %s", message);
  for (size_t i = 0; i < sizeof possible / sizeof *possible; i++)
    if (!strcmp(status, isc_outcome_name(possible[i])))
      return say(pool, v, possible[i], "%s", message);
  return say(pool, v, ISC_CRASHED, "the process was disturbed: it answered \"%.40s\"", status);
}

isc_status isc_verdict_of(isc_pool *pool, const isc_job *j, const char *doing, isc_verdict *out) {
  *out = (isc_verdict){.message = "", .output = ""};
  if (j->output.failed || j->answer.failed)
    return isc_fail(ISC_E_NOMEM, "no memory for what a check printed");
  ISC_TRY(keep_output(pool, j, out));
  if (j->answer.len > 0) out->answer = json_loadb(j->answer.s, j->answer.len, 0, NULL);
  return out->answer ? read_answer(pool, out) : how_it_ended(pool, j, doing, out);
}
