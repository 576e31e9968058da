# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/support_run.h tests/faulty_io.h tests/leaks.sh \
  tests/data/micro/prior.inc tests/data/micro/pretrain.cfg tests/data/micro/study.cfg
check_LTLIBRARIES += tests/librun_support.la
tests_librun_support_la_SOURCES = tests/support_run.c tests/support_snapshot.c
tests_librun_support_la_LIBADD = libinversescope.la
run_ldadd = tests/librun_support.la $(LDADD)

check_PROGRAMS += \
  tests/test_baselines \
  tests/test_cli \
  tests/test_cli_model \
  tests/test_cli_signals \
  tests/test_large_model \
  tests/test_rehearsal \
  tests/test_run \
  tests/test_run_ablation \
  tests/test_run_errors \
  tests/test_run_insight \
  tests/test_run_kill \
  tests/test_run_scatter \
  tests/test_run_score \
  tests/test_samples \
  tests/test_store \
  tests/test_study_harvest
tests_test_baselines_SOURCES = tests/test_baselines.c tests/faulty_io.c
tests_test_baselines_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_baselines_LDADD = $(run_ldadd) $(JANSSON_LIBS)
tests_test_study_harvest_SOURCES = tests/test_study_harvest.c
tests_test_study_harvest_LDADD = $(run_ldadd)
tests_test_large_model_SOURCES = tests/test_large_model.c tests/faulty_io.c
tests_test_large_model_LDADD = $(run_ldadd)
tests_test_rehearsal_SOURCES = tests/test_rehearsal.c tests/faulty_io.c
tests_test_rehearsal_LDADD = $(run_ldadd)
tests_test_run_SOURCES = tests/test_run.c tests/faulty_io.c
tests_test_run_LDADD = $(run_ldadd)
tests_test_run_kill_SOURCES = tests/test_run_kill.c tests/faulty_io.c
tests_test_run_kill_LDADD = $(run_ldadd)
tests_test_run_errors_SOURCES = tests/test_run_errors.c
tests_test_run_errors_LDADD = $(run_ldadd)
tests_test_samples_SOURCES = tests/test_samples.c
tests_test_samples_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_test_samples_LDADD = $(LDADD) $(SQLITE_LIBS)
tests_test_store_SOURCES = tests/test_store.c
tests_test_run_ablation_SOURCES = tests/test_run_ablation.c tests/faulty_io.c
tests_test_run_ablation_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_run_ablation_LDADD = $(run_ldadd) $(JANSSON_LIBS)
tests_test_run_insight_SOURCES = tests/test_run_insight.c tests/faulty_io.c
tests_test_run_insight_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(JANSSON_CFLAGS)
tests_test_run_insight_LDADD = $(run_ldadd) $(SQLITE_LIBS) $(JANSSON_LIBS)
tests_test_run_scatter_SOURCES = tests/test_run_scatter.c tests/faulty_io.c
tests_test_run_scatter_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(JANSSON_CFLAGS)
tests_test_run_scatter_LDADD = $(run_ldadd) $(SQLITE_LIBS) $(JANSSON_LIBS)
tests_test_run_score_SOURCES = tests/test_run_score.c tests/faulty_io.c
tests_test_run_score_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(JANSSON_CFLAGS)
tests_test_run_score_LDADD = $(run_ldadd) $(SQLITE_LIBS) $(JANSSON_LIBS)
tests_test_cli_SOURCES = tests/test_cli.c tests/faulty_io.c
tests_test_cli_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_cli_LDADD = $(run_ldadd) $(JANSSON_LIBS)
tests_test_cli_model_SOURCES = tests/test_cli_model.c
tests_test_cli_model_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_cli_model_LDADD = $(run_ldadd) $(JANSSON_LIBS)
tests_test_cli_signals_SOURCES = tests/test_cli_signals.c tests/faulty_io.c
tests_test_cli_signals_LDADD = $(run_ldadd)
# For leaks.sh.
noinst_PROGRAMS += tests/alloc_sweep tests/loader_sweep
tests_alloc_sweep_SOURCES = tests/alloc_sweep.c
tests_alloc_sweep_LDADD = libinversescope.la
tests_loader_sweep_SOURCES = tests/loader_sweep.c
tests_loader_sweep_LDADD = libinversescope.la
