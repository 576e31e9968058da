# SPDX-License-Identifier: Apache-2.0
# The checks, linked into the command that runs them and into the checker process that does them.
noinst_LTLIBRARIES += libconform.la libreference.la
libreference_la_SOURCES = \
  core/conform/reference.c \
  core/conform/reference.h \
  core/conform/reference_features.c \
  core/conform/reference_math.h \
  core/conform/reference_nn.c \
  core/conform/reference_random.c \
  core/conform/reference_rows.c
libconform_la_LIBADD = libreference.la
libconform_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
libconform_la_SOURCES = \
  core/conform/any_dynamic.c \
  core/conform/any_memory.c \
  core/conform/any_options.c \
  core/conform/any_process.c \
  core/conform/any_static.c \
  core/conform/backend.c \
  core/conform/backend_lane.c \
  core/conform/backend_later.c \
  core/conform/backend_ops.c \
  core/conform/backend_repeat.c \
  core/conform/bench.c \
  core/conform/bench.h \
  core/conform/bench_array.h \
  core/conform/bench_compare.c \
  core/conform/case.c \
  core/conform/case.h \
  core/conform/case_file.c \
  core/conform/case_file.h \
  core/conform/checks.c \
  core/conform/conform.h \
  core/conform/descriptor.c \
  core/conform/descriptor.h \
  core/conform/device.c \
  core/conform/exercise.c \
  core/conform/exercise.h \
  core/conform/exercise_backend.c \
  core/conform/exercise_feature.c \
  core/conform/exercise_kernel.c \
  core/conform/exercise_method.c \
  core/conform/exercise_prior.c \
  core/conform/exercise_target.c \
  core/conform/feature.c \
  core/conform/feature_text.c \
  core/conform/feature_use.c \
  core/conform/feature_use.h \
  core/conform/forbidden.c \
  core/conform/forbidden.h \
  core/conform/guard.c \
  core/conform/kernel.c \
  core/conform/kernel_backends.c \
  core/conform/kernel_law.c \
  core/conform/kernel_use.c \
  core/conform/kernel_use.h \
  core/conform/memory.h \
  core/conform/method.c \
  core/conform/method_law.c \
  core/conform/method_load.c \
  core/conform/method_request.c \
  core/conform/method_resume.c \
  core/conform/method_samples.c \
  core/conform/method_task.c \
  core/conform/method_train.c \
  core/conform/method_use.c \
  core/conform/method_use.h \
  core/conform/ops.c \
  core/conform/ops.h \
  core/conform/ops_attention.c \
  core/conform/ops_decoder.c \
  core/conform/ops_dense.c \
  core/conform/ops_distances.c \
  core/conform/ops_index.c \
  core/conform/ops_jumprelu.c \
  core/conform/ops_random.c \
  core/conform/ops_rows.c \
  core/conform/ops_train.c \
  core/conform/places.c \
  core/conform/places.h \
  core/conform/prior.c \
  core/conform/prior_frequencies.c \
  core/conform/prior_law.c \
  core/conform/prior_slots.c \
  core/conform/prior_texts.c \
  core/conform/prior_use.c \
  core/conform/prior_use.h \
  core/conform/report.c \
  core/conform/report.h \
  core/conform/report_checks.c \
  core/conform/report_json.c \
  core/conform/runner.c \
  core/conform/runner.h \
  core/conform/runner_jobs.c \
  core/conform/runner_jobs.h \
  core/conform/runner_plan.c \
  core/conform/runner_plan.h \
  core/conform/runner_targets.c \
  core/conform/runner_verdict.c \
  core/conform/target.c \
  core/conform/target_forward.c \
  core/conform/target_golden.c \
  core/conform/target_limits.c \
  core/conform/target_pass.c \
  core/conform/target_patch.c \
  core/conform/target_sites.c \
  core/conform/target_use.c \
  core/conform/target_use.h \
  core/conform/texts.c \
  core/conform/texts.h \
  core/conform/toy.c \
  core/conform/toy.h \
  core/conform/toy_env.c \
  core/conform/toy_env.h \
  core/conform/words.c \
  core/conform/words.h
inversescope_LDADD += libconform.la $(JANSSON_LIBS) -lm -lpthread

# The process of one check. Its malloc family is its own (memory.c).
checkerdir = $(libdir)/inversescope
checker_PROGRAMS = inversescope-check
inversescope_check_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
inversescope_check_LDFLAGS = '-Wl,-rpath,$$ORIGIN/..'
inversescope_check_LDADD = libconform.la libinversescope.la $(JANSSON_LIBS) -ldl -lm -lpthread
inversescope_check_SOURCES = \
  core/conform/checker.c \
  core/conform/checker.h \
  core/conform/checker_list.c \
  core/conform/memory.c
